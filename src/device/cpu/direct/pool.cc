// Pooling over channels-last or row-major tensors.
#include <algorithm>

#include "device/cpu/cpu_kernel.h"
#include "device/cpu/direct/direct.h"
#include "device/cpu/isa.h"
#include "device/cpu/isa/pool.h"
#include "device/cpu/parallel.h"

namespace trainer::cpu {
namespace {

bool all_lie_in(const OpInstance& instance, MemoryFormat order) {
  for (const TensorDesc& desc : instance.inputs) {
    if (!has_format(desc, order)) return false;
  }
  for (const TensorDesc& desc : instance.outputs) {
    if (!has_format(desc, order)) return false;
  }
  return true;
}

// The floats of a cache line.
constexpr int64_t kMinChannels = 16;

// T: float or Bf16.
template <typename T>
class Pool : public CpuKernel {
 public:
  explicit Pool(const OpInstance& instance)
      : CpuKernel(instance),
        g_(pool_geometry(instance)),
        table_(for_isa(isa_v2::kPoolTables, isa_v3::kPoolTables, isa_v4::kPoolTables).template of<T>()),
        kind_(instance.op->kind) {
    if (!all_lie_in(instance, MemoryFormat::kChannelsLast)) {
      g_.batch *= g_.channels;
      g_.channels = 1;
    }
    if (kind_ == OpKind::kMaxPool) small_winner_ = instance.outputs[1].dtype == DType::kU8;
    if (kind_ == OpKind::kMaxPoolGradient) small_winner_ = instance.inputs[1].dtype == DType::kU8;
    const bool forward = kind_ == OpKind::kMaxPool || kind_ == OpKind::kSumPool;
    places_ = g_.batch * (forward ? g_.windows.out_count() : g_.windows.in_count());
  }

  void run(const RunContext&) override {
    if (kind_ == OpKind::kMaxPoolGradient) {
      run_max_gradient();
      return;
    }
    parallel_ranges(threads(), places_, g_.channels * g_.windows.taps(),
                    [this](int, int64_t begin, int64_t end) { run_places(begin, end); });
  }

 private:
  const T* x() const { return input<T>(0); }
  T* y() const { return output<T>(0); }

  void run_places(int64_t begin, int64_t end) const {
    switch (kind_) {
      case OpKind::kMaxPool:
        if (small_winner_) {
          table_.max_u8(g_, x(), y(), output<uint8_t>(1), begin, end);
        } else {
          table_.max_s32(g_, x(), y(), output<int32_t>(1), begin, end);
        }
        break;
      case OpKind::kSumPool: table_.sum(g_, x(), y(), begin, end); break;
      default: table_.sum_gradient(g_, x(), y(), begin, end); break;
    }
  }

  // Work items are images, or parts of their channels if there are fewer images than threads.
  void run_max_gradient() const {
    const int64_t shares = std::clamp<int64_t>((threads() + g_.batch - 1) / std::max<int64_t>(1, g_.batch), 1,
                                               std::max<int64_t>(1, g_.channels / kMinChannels));
    const int64_t work = g_.channels * g_.windows.out_count() * g_.windows.taps() / shares;
    parallel_ranges(threads(), g_.batch * shares, work, [this, shares](int, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t n = i / shares, share = i % shares;
        const int64_t first = g_.channels * share / shares, last = g_.channels * (share + 1) / shares;
        if (small_winner_) {
          table_.max_gradient_u8(g_, x(), input<uint8_t>(1), y(), n, first, last);
        } else {
          table_.max_gradient_s32(g_, x(), input<int32_t>(1), y(), n, first, last);
        }
      }
    });
  }

  PoolGeometry g_;
  const PoolTable<T>& table_;
  OpKind kind_;
  bool small_winner_ = true;
  int64_t places_ = 0;
};

}  // namespace

std::string refuse_pool_direct(const OpInstance& instance) {
  if (instance.inputs[0].dtype != instance.outputs[0].dtype) return "input and output have different types";
  if (!all_lie_in(instance, MemoryFormat::kChannelsLast) && !all_lie_in(instance, MemoryFormat::kRowMajor)) {
    return "operands and results have different orders";
  }
  return "";
}

std::unique_ptr<Kernel> create_pool_direct(const OpInstance& instance) {
  if (instance.inputs[0].dtype == DType::kBF16) return std::make_unique<Pool<Bf16>>(instance);
  return std::make_unique<Pool<float>>(instance);
}

}  // namespace trainer::cpu
