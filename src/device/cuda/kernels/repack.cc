// Conversions of weights: an implementation of kReorder, kPad and kSlice, also for several in a row.
#include "device/cuda/kernels/repack.h"

#include <algorithm>

#include "device/cuda/fixed_kernel.h"

namespace trainer::cuda {
namespace {

bool is_float(DType dtype) { return dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16; }

bool reorders_to(MemoryFormat format, const TensorDesc& from, const TensorDesc& to) {
  const MemoryFormat other = format == MemoryFormat::kRowMajor ? MemoryFormat::kChannelsLast : MemoryFormat::kRowMajor;
  return has_format(from, other) && has_format(to, format);
}

// The tensor of an op without its addresses.
Repack repack_of(const OpInstance& instance) {
  const TensorDesc &from = instance.inputs[0], &to = instance.outputs[0];
  const Shape& shape = to.shape;
  Repack a;
  a.count = static_cast<int32_t>(shape.count());
  a.from_type = type_of(from);
  a.to_type = type_of(to);
  if (from.shape != shape || (!orders_coincide(shape) && from.order != to.order)) {
    a.channels = static_cast<int32_t>(shape[1]);
    a.from_channels = static_cast<int32_t>(from.shape[1]);
    a.taps = static_cast<int32_t>(shape.count(2));
    a.to_channels_last = reorders_to(MemoryFormat::kChannelsLast, from, to);
  }
  const int64_t row = a.taps == 1 ? 1 : int64_t{a.channels} * a.taps;
  a.tile = static_cast<int32_t>(std::max(row, kRepackTile / row * row));
  a.tiles = static_cast<int32_t>(ceil_div(a.count, a.tile));
  return a;
}

// Why a kPad or kSlice of filters cannot share the launch that changes their order, or "".
std::string refuse_range(const OpInstance& instance) {
  const TensorDesc &from = instance.inputs[0], &to = instance.outputs[0];
  const auto& range = instance.op->as<SliceAttributes>();
  if (range.axis != 1 || range.begin != 0 || instance.outputs.size() > 1 || to.shape.rank() < 3)
    return "it is not the first channels";
  const bool reorders =
      reorders_to(MemoryFormat::kChannelsLast, from, to) || reorders_to(MemoryFormat::kRowMajor, from, to);
  return reorders ? "" : "the order stays";
}

// Images are left to plain_copy, which transposes larger rows faster.
std::string refuse(Context&, const OpInstance& instance) {
  const TensorDesc &from = instance.inputs[0], &to = instance.outputs[0];
  if (!is_float(from.dtype)) return fmt::format("the operand is {}", name_of(from.dtype));
  if (to.shape.count() == 0) return "no elements";
  const bool reorders = instance.op->kind == OpKind::kReorder;
  if (!reorders) {
    if (std::string reason = refuse_range(instance); !reason.empty()) return reason;
  } else if (from.dtype != to.dtype || from.shape.rank() < 2) {
    return "";
  }
  const int64_t row = std::max(from.shape.count(1), to.shape.count(1));
  return row > kMaxRepackedRow ? fmt::format("rows of {} elements", row) : "";
}

MemoryRange operand_of(const Repack& r) {
  return {r.from, int64_t{r.count} / r.channels * r.from_channels * bytes_of(r.from_type)};
}
MemoryRange result_of(const Repack& r) { return {r.to, int64_t{r.count} * bytes_of(r.to_type)}; }

// Whether an op reads the result of one before it, or overwrites its operand.
bool depends(const Repack& a, const Repack& before) {
  return overlap(operand_of(a), result_of(before)) || overlap(result_of(a), operand_of(before));
}

class RepackKernel : public CudaKernel {
 public:
  RepackKernel(Context& context, std::span<const OpInstance> ops) : CudaKernel(context, ops.front()) {
    for (const OpInstance& op : ops) tensors_.push_back(repack_of(op));
  }

  // The blocks of a launch run in any order. An op that depends on one before it begins another launch.
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
      check(launch_repack(launch, context().stream()), "launching a conversion of weights");
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

size_t joinable_repacks(Context& context, std::span<const OpInstance> ops) {
  const auto is_repack = [&context](const OpInstance& op) {
    const OpKind kind = op.op->kind;
    return (kind == OpKind::kReorder || kind == OpKind::kPad || kind == OpKind::kSlice) && refuse(context, op).empty();
  };
  const std::span<const OpInstance> most = ops.first(std::min<size_t>(ops.size(), kMaxRepacks));
  const auto count = std::find_if_not(most.begin(), most.end(), is_repack) - most.begin();
  return static_cast<size_t>(std::max<std::ptrdiff_t>(count, 1));
}

std::unique_ptr<Kernel> create_joined_repacks(Context& context, std::span<const OpInstance> ops) {
  return std::make_unique<RepackKernel>(context, ops);
}

const Implementation repack{"repack", refuse, create};

}  // namespace trainer::cuda
