// Computes the cost of an op from its shapes.
#include "ops/cost.h"

namespace trainer {
namespace {

// The part of a convolution's channels that are not zeros of a kPad.
double part_of_channels(const Graph& graph, const Op& op) {
  const Op& image = graph.producer(op.inputs[0]);
  if (image.kind != OpKind::kPad || image.as<SliceAttributes>().axis != 1) return 1;
  return static_cast<double>(graph.desc(image.inputs[0]).shape[1]) /
         static_cast<double>(graph.desc(op.inputs[0]).shape[1]);
}

double multiply_adds_of(const Graph& graph, const Op& op) {
  auto count = [&](int value) { return static_cast<double>(graph.desc(value).shape.count()); };
  switch (op.kind) {
    // Every element on the output side takes one multiply-add for each weight of its output channel.
    case OpKind::kConvolution:
      return count(op.outputs[0]) * static_cast<double>(graph.desc(op.inputs[1]).shape.count(1)) *
             part_of_channels(graph, op);
    case OpKind::kConvolutionInputGradient:
      return count(op.inputs[0]) * static_cast<double>(graph.desc(op.inputs[1]).shape.count(1));
    case OpKind::kConvolutionWeightGradient:
      return count(op.inputs[1]) * static_cast<double>(graph.desc(op.outputs[0]).shape.count(1)) *
             part_of_channels(graph, op);
    case OpKind::kMatmul: {
      const Shape& a = graph.desc(op.inputs[0]).shape;
      return count(op.outputs[0]) * static_cast<double>(a[a.rank() - (op.as<MatmulAttributes>().transpose_a ? 2 : 1)]);
    }
    // Every item is multiplied by the weights once per step.
    case OpKind::kRecurrence:
    case OpKind::kRecurrenceGradient:
      return static_cast<double>(graph.desc(op.inputs[0]).shape.count(0, 2)) * count(op.inputs[1]);
    default: return 0;
  }
}

double other_operations(const Graph& graph, const Op& op) {
  auto count = [&](int value) { return static_cast<double>(graph.desc(value).shape.count()); };
  switch (op.kind) {
    case OpKind::kMap:
      return static_cast<double>(op.as<MapBody>().domain.count()) * op.as<MapBody>().arithmetic_nodes();
    case OpKind::kMaxPool:
    case OpKind::kSumPool:
    case OpKind::kMaxPoolGradient:
    case OpKind::kSumPoolGradient: {
      double window = 1;
      for (int64_t extent : op.as<PoolAttributes>().kernel) window *= static_cast<double>(extent);
      const bool forward = op.kind == OpKind::kMaxPool || op.kind == OpKind::kSumPool;
      return window * count(forward ? op.outputs[0] : op.inputs[0]);
    }
    case OpKind::kRecurrence: return 20 * count(op.inputs[0]);
    case OpKind::kRecurrenceGradient: return 10 * count(op.outputs[0]);
    case OpKind::kLrn:
    case OpKind::kLrnGradient: return count(op.inputs[0]) * (static_cast<double>(op.as<LrnAttributes>().size) + 8);
    default: return 0;
  }
}

}  // namespace

OpCost cost_of(const Graph& graph, const Op& op) {
  OpCost cost;
  cost.multiply_adds = multiply_adds_of(graph, op);
  cost.operations = 2 * cost.multiply_adds + other_operations(graph, op);
  for (int value : op.inputs) cost.bytes += static_cast<double>(graph.desc(value).bytes());
  for (int value : op.outputs) cost.bytes += static_cast<double>(graph.desc(value).bytes());
  return cost;
}

}  // namespace trainer
