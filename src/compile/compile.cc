// The order of the passes.
#include "compile/compile.h"

#include <limits>

#include "compile/passes.h"
#include "compile/plan.h"

namespace trainer {
namespace {

constexpr int64_t kGroupBytes = int64_t{8} << 20;  // of gradients: enough for the full bandwidth of a launch

}  // namespace

std::unique_ptr<Program> compile(Module module, Device& device, StateStore& store, Arena& arena,
                                 const CompileOptions& options) {
  module = simplify(module);
  if (options.fusion == Fusion::kOn) {
    module = simplify(factor_sums(module));
    if (!has_backward(*module.graph)) module = simplify(fold_scales(module));
    module = fuse_epilogues(module);
    module = recompute_cheap_maps(module);
    module = duplicate_cheap_maps(module);
    module = fuse_maps(module);
    module = recompute_in_readers(module);
  }
  const bool packs = device.reads_packed_weights();
  if (options.activations != DType::kF32) module = lower_precision(module, options.activations, packs);
  if (options.fusion == Fusion::kOn && device.channel_multiple() > 1)
    module = pad_channels(module, device.channel_multiple());
  module = assign_orders(module, packs);
  if (packs) module = gather_packs(module, options.sums_gradients ? kGroupBytes : std::numeric_limits<int64_t>::max());
  if (packs && options.fusion == Fusion::kOn) module = gather_maps(module);
  return plan(module, device, store, arena, options.arena_limit);
}

}  // namespace trainer
