// Strides of operands, outputs and coordinates over the domain's axes.
#include "device/cpu/map_streams.h"

namespace trainer::cpu {
namespace {

// 0 where the tensor is broadcast or reduced.
std::vector<int64_t> domain_strides(const TensorDesc& desc, const Shape& domain) {
  std::vector<int64_t> strides(static_cast<size_t>(domain.rank()), 0);
  if (desc.shape.rank() == 0) return strides;
  const std::vector<int64_t> own = desc.strides();
  for (size_t axis = 0; axis < strides.size(); ++axis) {
    if (desc.shape[static_cast<int>(axis)] != 1) strides[axis] = own[axis];
  }
  return strides;
}

}  // namespace

MapStreams::MapStreams(const OpInstance& instance) {
  const MapBody& body = instance.op->as<MapBody>();
  const Shape& domain = body.domain;
  auto add = [&](std::vector<int64_t> strides) {
    Stream stream;
    stream.strides = std::move(strides);
    all.push_back(std::move(stream));
    return static_cast<int>(all.size()) - 1;
  };
  int64_t votes[2] = {0, 0};
  auto vote = [&](const TensorDesc& desc) {
    if (desc.shape == domain && !orders_coincide(domain))
      votes[static_cast<int>(desc.order)] += size_of(desc.dtype);
  };

  for (const TensorDesc& desc : instance.inputs) {
    add(domain_strides(desc, domain));
    operand_dtypes.push_back(desc.dtype);
    vote(desc);
  }
  for (const TensorDesc& desc : instance.outputs) {
    output_stream_.push_back(add(domain_strides(desc, domain)));
    output_dtypes.push_back(desc.dtype);
    vote(desc);
  }
  if (votes[1] > 0 && votes[1] >= votes[0]) order_ = Order::kChannelsLast;

  std::vector<int> coordinate(static_cast<size_t>(domain.rank()), -1);
  int logical_index = -1;
  for (const MapNode& node : body.nodes) {
    int stream = -1;
    switch (node.fn) {
      case Fn::kInput: stream = node.a; break;
      case Fn::kIndex: {
        int& known = coordinate[static_cast<size_t>(node.a)];
        if (known < 0) {
          std::vector<int64_t> strides(static_cast<size_t>(domain.rank()), 0);
          strides[static_cast<size_t>(node.a)] = 1;
          known = add(std::move(strides));
        }
        stream = known;
        break;
      }
      case Fn::kSegment:
      case Fn::kUniform:
      case Fn::kNormal:
        if (logical_index < 0)
          logical_index = add(TensorDesc{domain, DType::kF32, Order::kRowMajor}.strides());
        stream = logical_index;
        break;
      default: break;
    }
    of_node.push_back(stream);
  }
}

std::vector<Stream*> MapStreams::pointers() {
  std::vector<Stream*> out;
  for (Stream& stream : all) out.push_back(&stream);
  return out;
}

}  // namespace trainer::cpu
