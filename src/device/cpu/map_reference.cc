// The reference of kMap: one element at a time, in logical row-major order, with sums in double.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/philox.h"
#include "device/cpu/cpu_kernel.h"
#include "device/cpu/map_kernel.h"
#include "ops/map_layout.h"
#include "tensor/bf16.h"

namespace trainer::cpu {
namespace {

float load(const void* data, DType dtype, int64_t at) {
  switch (dtype) {
    case DType::kU8: return static_cast<float>(static_cast<const uint8_t*>(data)[at]);
    case DType::kS32: return static_cast<float>(static_cast<const int32_t*>(data)[at]);
    case DType::kBF16: return to_float(static_cast<const Bf16*>(data)[at]);
    default: return static_cast<const float*>(data)[at];
  }
}

float segment_value(const SegmentTable& table, int64_t index) {
  const auto at = std::upper_bound(table.ends.begin(), table.ends.end(), index) - table.ends.begin();
  return table.values[static_cast<size_t>(at)];
}

class ReferenceMap : public CpuKernel {
 public:
  explicit ReferenceMap(const OpInstance& instance)
      : CpuKernel(instance), body_(instance.op->as<MapBody>()), inputs_(instance.inputs), outputs_(instance.outputs) {
    for (const TensorDesc& desc : inputs_) input_strides_.push_back(domain_strides(desc, body_.domain));
    for (const TensorDesc& desc : outputs_) {
      output_strides_.push_back(domain_strides(desc, body_.domain));
      totals_.emplace_back();
    }
    for (size_t i = 0; i < outputs_.size(); ++i) {
      if (body_.outputs[i].reduction != Reduction::kNone)
        totals_[i].resize(static_cast<size_t>(outputs_[i].shape.count()));
    }
    nodes_.resize(body_.nodes.size());
    coordinates_.resize(static_cast<size_t>(body_.domain.rank()));
  }

  void run(const RunContext& context) override {
    for (size_t i = 0; i < totals_.size(); ++i) {
      const bool is_max = body_.outputs[i].reduction == Reduction::kMax;
      std::fill(totals_[i].begin(), totals_[i].end(), is_max ? -std::numeric_limits<double>::infinity() : 0.0);
    }
    std::fill(coordinates_.begin(), coordinates_.end(), 0);
    const int64_t count = body_.domain.count();
    for (int64_t element = 0; element < count; ++element) {
      evaluate(element, context.pass);
      store();
      advance();
    }
    for (size_t i = 0; i < totals_.size(); ++i) {
      for (size_t k = 0; k < totals_[i].size(); ++k) output(i)[k] = static_cast<float>(totals_[i][k]);
    }
  }

 private:
  int64_t offset(const std::vector<int64_t>& strides) const {
    int64_t at = 0;
    for (size_t axis = 0; axis < strides.size(); ++axis) at += strides[axis] * coordinates_[axis];
    return at;
  }

  void evaluate(int64_t element, uint64_t pass) {
    for (size_t i = 0; i < nodes_.size(); ++i) {
      const MapNode& node = body_.nodes[i];
      const size_t a = static_cast<size_t>(node.a);
      switch (node.fn) {
        case Fn::kInput: nodes_[i] = load(input<void>(a), inputs_[a].dtype, offset(input_strides_[a])); break;
        case Fn::kConstant: nodes_[i] = node.k; break;
        case Fn::kIndex: nodes_[i] = static_cast<float>(coordinates_[a]); break;
        case Fn::kSegment: nodes_[i] = segment_value(body_.segments[a], element); break;
        case Fn::kUniform:
          nodes_[i] = uniform_from_bits(philox_element(body_.keys[a], pass, static_cast<uint64_t>(element)));
          break;
        case Fn::kNormal: nodes_[i] = philox_normal(body_.keys[a], pass, static_cast<uint64_t>(element)); break;
        default:
          nodes_[i] = node.apply(nodes_[a], node.b >= 0 ? nodes_[static_cast<size_t>(node.b)] : 0,
                                 node.c >= 0 ? nodes_[static_cast<size_t>(node.c)] : 0);
      }
    }
  }

  void store() {
    for (size_t i = 0; i < outputs_.size(); ++i) {
      const MapOutput& out = body_.outputs[i];
      const float value = nodes_[static_cast<size_t>(out.node)];
      const int64_t at = offset(output_strides_[i]);
      if (out.reduction == Reduction::kNone) {
        if (outputs_[i].dtype == DType::kBF16) {
          output<Bf16>(i)[at] = to_bf16(value);
        } else {
          output(i)[at] = value;
        }
        continue;
      }
      double& total = totals_[i][static_cast<size_t>(at)];
      if (out.reduction == Reduction::kSum) {
        total += value;
      } else if (std::isnan(value) || value > total) {
        total = std::isnan(total) ? total : value;
      }
    }
  }

  void advance() {
    for (size_t axis = coordinates_.size(); axis-- > 0;) {
      if (++coordinates_[axis] < body_.domain[static_cast<int>(axis)]) return;
      coordinates_[axis] = 0;
    }
  }

  MapBody body_;
  std::vector<TensorDesc> inputs_, outputs_;
  std::vector<std::vector<int64_t>> input_strides_, output_strides_;
  std::vector<std::vector<double>> totals_;
  std::vector<float> nodes_;
  std::vector<int64_t> coordinates_;
};

}  // namespace

std::unique_ptr<Kernel> create_map_reference(const OpInstance& instance) {
  return std::make_unique<ReferenceMap>(instance);
}

}  // namespace trainer::cpu
