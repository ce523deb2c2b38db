// Local response normalization over channels-last pixels.
#include "device/cpu/isa/lrn.h"
#include "device/cpu/cpu_kernel.h"
#include "device/cpu/direct/direct.h"
#include "device/cpu/isa.h"
#include "device/cpu/parallel.h"

namespace trainer::cpu {
namespace {

LrnWindow window_of(const OpInstance& instance) {
  const auto& a = instance.op->as<LrnAttributes>();
  return {instance.inputs[0].shape[1], a.size, a.alpha, a.beta, a.k};
}

class Lrn : public CpuKernel {
 public:
  explicit Lrn(const OpInstance& instance)
      : CpuKernel(instance),
        table_(for_isa(isa_v2::kLrnTable, isa_v3::kLrnTable, isa_v4::kLrnTable)),
        gradient_(instance.op->kind == OpKind::kLrnGradient),
        window_(window_of(instance)),
        pixels_(window_.channels == 0 ? 0 : instance.inputs[0].shape.count() / window_.channels) {}

  int64_t workspace_bytes() const override { return threads() * scratch_bytes(); }

  void run(const RunContext&) override {
    parallel_ranges(
        threads(), pixels_, window_.channels * (window_.size + 8), [this](int thread, int64_t begin, int64_t end) {
          float* scratch = reinterpret_cast<float*>(workspace() + thread * scratch_bytes());
          const int64_t first = begin * window_.channels;
          if (gradient_) {
            table_.gradient(window_, end - begin, input(0) + first, input(1) + first, output(0) + first, scratch);
          } else {
            table_.forward(window_, end - begin, input(0) + first, output(0) + first, scratch);
          }
        });
  }

 private:
  int64_t scratch_bytes() const {
    return aligned(lrn_scratch_floats(window_.channels, window_.size) * static_cast<int64_t>(sizeof(float)));
  }

  const LrnTable& table_;
  bool gradient_;
  LrnWindow window_;
  int64_t pixels_;
};

}  // namespace

std::string refuse_lrn_direct(const OpInstance& instance) {
  for (const TensorDesc& desc : instance.inputs) {
    if (!has_format(desc, MemoryFormat::kChannelsLast)) return "an operand is row-major";
  }
  return has_format(instance.outputs[0], MemoryFormat::kChannelsLast) ? "" : "the result is row-major";
}

std::unique_ptr<Kernel> create_lrn_direct(const OpInstance& instance) { return std::make_unique<Lrn>(instance); }

}  // namespace trainer::cpu
