// Builds graphs: values, ops, states.
#include "ops/graph.h"

#include "base/error.h"

namespace trainer {

const char* name_of(OpKind kind) {
  switch (kind) {
    case OpKind::kSource: return "source";
    case OpKind::kStateRead: return "state";
    case OpKind::kMap: return "map";
    case OpKind::kConvolution: return "convolution";
    case OpKind::kConvolutionInputGradient: return "convolution_input_gradient";
    case OpKind::kConvolutionWeightGradient: return "convolution_weight_gradient";
    case OpKind::kMatmul: return "matmul";
    case OpKind::kMaxPool: return "max_pool";
    case OpKind::kMaxPoolGradient: return "max_pool_gradient";
    case OpKind::kSumPool: return "sum_pool";
    case OpKind::kSumPoolGradient: return "sum_pool_gradient";
    case OpKind::kLrn: return "lrn";
    case OpKind::kLrnGradient: return "lrn_gradient";
    case OpKind::kRecurrence: return "recurrence";
    case OpKind::kRecurrenceGradient: return "recurrence_gradient";
    case OpKind::kReshape: return "reshape";
    case OpKind::kPermute: return "permute";
    case OpKind::kSlice: return "slice";
    case OpKind::kPad: return "pad";
    case OpKind::kConcat: return "concat";
    case OpKind::kReorder: return "reorder";
    case OpKind::kOpaque: return "opaque";
  }
  return "?";
}

const Shape& Value::shape() const { return graph_->desc(id_).shape; }
DType Value::dtype() const { return graph_->desc(id_).dtype; }

std::vector<Value> Graph::add(OpKind kind, Attributes attributes, const std::vector<Value>& inputs,
                              const std::vector<TensorDesc>& results) {
  Op op;
  op.kind = kind;
  op.attributes = std::move(attributes);
  op.shares.push_back({layer_, pass_, 1});
  for (const Value& input : inputs) {
    TRAINER_ASSERT(input.graph() == this);
    op.inputs.push_back(input.id());
  }
  std::vector<Value> out;
  for (const TensorDesc& desc : results) {
    const int id = static_cast<int>(values.size());
    ValueInfo info;
    info.desc = desc;
    info.producer = static_cast<int>(ops.size());
    values.push_back(std::move(info));
    op.outputs.push_back(id);
    out.push_back(value(id));
  }
  ops.push_back(std::move(op));
  return out;
}

Value Graph::add_one(OpKind kind, Attributes attributes, const std::vector<Value>& inputs, const Shape& shape) {
  return add(kind, std::move(attributes), inputs, {TensorDesc{shape}}).front();
}

Value Graph::add_source(const std::string& name, const Shape& shape, int top) {
  const int index = static_cast<int>(sources.size());
  const Value result = add_one(OpKind::kSource, IndexAttributes{index}, {}, shape);
  sources.push_back({name, result.id(), layer_, top, std::nullopt});
  return result;
}

Value Graph::read_state(const StateInfo& state) {
  for (const Op& op : ops) {
    if (op.kind != OpKind::kStateRead) continue;
    const StateInfo& known = states[static_cast<size_t>(op.as<IndexAttributes>().index)];
    if (known.name != state.name) continue;
    TRAINER_ASSERT(known.shape == state.shape);
    return value(op.outputs.front());
  }
  const int index = static_cast<int>(states.size());
  states.push_back(state);
  return add_one(OpKind::kStateRead, IndexAttributes{index}, {}, state.shape);
}

void Graph::write_state(const std::string& name, Value value) {
  for (size_t i = 0; i < states.size(); ++i) {
    if (states[i].name != name) continue;
    TRAINER_ASSERT(states[i].shape == value.shape());
    writes.push_back({static_cast<int>(i), value.id()});
    return;
  }
  states.push_back({name, value.shape(), StateOwner::kSolver});
  writes.push_back({static_cast<int>(states.size()) - 1, value.id()});
}

OrderRule order_rule(const Op& op) {
  switch (op.kind) {
    case OpKind::kConvolution:
    case OpKind::kConvolutionInputGradient:
    case OpKind::kConvolutionWeightGradient:
    case OpKind::kMaxPool:
    case OpKind::kMaxPoolGradient:
    case OpKind::kSumPool:
    case OpKind::kSumPoolGradient:
    case OpKind::kLrn:
    case OpKind::kLrnGradient: return OrderRule::kChannelsLast;
    case OpKind::kMap:
    case OpKind::kSlice:
    case OpKind::kPad:
    case OpKind::kConcat: return OrderRule::kUniform;
    default: return OrderRule::kRowMajor;
  }
}

}  // namespace trainer
