// Reorders of weights: an implementation of kReorder, also for several in a row.
#include "device/cuda/kernels/repack.h"

#include <algorithm>

#include "device/cuda/fixed_kernel.h"

namespace trainer::cuda {
namespace {

bool is_float(DType dtype) { return dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16; }

// The tensor of a reorder without its addresses.
Repack repack_of(const OpInstance& instance) {
  const TensorDesc &from = instance.inputs[0], &to = instance.outputs[0];
  const Shape& shape = from.shape;
  Repack a;
  a.count = static_cast<int32_t>(shape.count());
  a.from_type = type_of(from);
  a.to_type = type_of(to);
  if (!orders_coincide(shape) && from.order != to.order) {
    a.channels = static_cast<int32_t>(shape[1]);
    a.taps = static_cast<int32_t>(shape.count(2));
    a.to_channels_last = to.order == MemoryFormat::kChannelsLast;
  }
  const int64_t row = a.taps == 1 ? 1 : int64_t{a.channels} * a.taps;
  a.tile = static_cast<int32_t>(std::max(row, kRepackTile / row * row));
  a.tiles = static_cast<int32_t>(ceil_div(a.count, a.tile));
  return a;
}

// Images are left to plain_copy, which transposes larger rows faster.
std::string refuse(Context&, const OpInstance& instance) {
  const TensorDesc &from = instance.inputs[0], &to = instance.outputs[0];
  if (!is_float(from.dtype)) return fmt::format("the operand is {}", name_of(from.dtype));
  if (from.shape.count() == 0) return "no elements";
  if (from.dtype != to.dtype || from.shape.rank() < 2) return "";
  return from.shape.count(1) > kMaxRepackedRow ? fmt::format("rows of {} elements", from.shape.count(1)) : "";
}

bool overlap(const void* a, int64_t a_bytes, const void* b, int64_t b_bytes) {
  const char *const first = static_cast<const char*>(a), *const second = static_cast<const char*>(b);
  return first < second + b_bytes && second < first + a_bytes;
}

// Whether a reorder reads the result of one before it, or overwrites its operand.
bool depends(const Repack& a, const Repack& before) {
  const auto from_bytes = [](const Repack& r) { return int64_t{r.count} * bytes_of(r.from_type); };
  const auto to_bytes = [](const Repack& r) { return int64_t{r.count} * bytes_of(r.to_type); };
  return overlap(a.from, from_bytes(a), before.to, to_bytes(before)) ||
         overlap(a.to, to_bytes(a), before.from, from_bytes(before));
}

class RepackKernel : public CudaKernel {
 public:
  RepackKernel(Context& context, std::span<const OpInstance> reorders) : CudaKernel(context, reorders.front()) {
    for (const OpInstance& reorder : reorders) tensors_.push_back(repack_of(reorder));
  }

  // The blocks of a launch run in any order. A reorder that depends on one before it begins another launch.
  void bind(std::span<void* const> inputs, std::span<void* const> outputs, void*) override {
    launches_.clear();
    size_t first = 0;
    for (size_t i = 0; i < tensors_.size(); ++i) {
      tensors_[i].from = inputs[i];
      tensors_[i].to = outputs[i];
      bool begins = i == 0;
      for (size_t before = first; before < i; ++before) begins = begins || depends(tensors_[i], tensors_[before]);
      if (begins) {
        launches_.emplace_back();
        first = i;
      }
      RepackArguments& launch = launches_.back();
      launch.tensors[launch.count++] = tensors_[i];
    }
  }
  void run(const RunContext&) override {
    for (const RepackArguments& launch : launches_)
      check(launch_repack(launch, context().stream()), "launching a reorder");
  }
  KernelCost cost() const override { return {static_cast<int64_t>(launches_.size()), 0}; }

 private:
  std::vector<Repack> tensors_;
  std::vector<RepackArguments> launches_;
};

std::unique_ptr<Kernel> create(Context& context, const OpInstance& instance) {
  return std::make_unique<RepackKernel>(context, std::span(&instance, 1));
}

}  // namespace

size_t joinable_reorders(Context& context, std::span<const OpInstance> ops) {
  const auto is_repack = [&context](const OpInstance& op) {
    return op.op->kind == OpKind::kReorder && refuse(context, op).empty();
  };
  const std::span<const OpInstance> most = ops.first(std::min<size_t>(ops.size(), kMaxRepacks));
  const auto count = std::find_if_not(most.begin(), most.end(), is_repack) - most.begin();
  return static_cast<size_t>(std::max<std::ptrdiff_t>(count, 1));
}

std::unique_ptr<Kernel> create_joined_reorders(Context& context, std::span<const OpInstance> reorders) {
  return std::make_unique<RepackKernel>(context, reorders);
}

const Implementation repack{"repack", refuse, create};

}  // namespace trainer::cuda
