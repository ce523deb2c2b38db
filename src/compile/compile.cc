// The order of the passes.
#include "compile/compile.h"

#include "compile/passes.h"
#include "compile/plan.h"

namespace trainer {

std::unique_ptr<Program> compile(Module module, Device& device, StateStore& store, Arena& arena, Fusion fusion) {
  module = simplify(module);
  if (fusion == Fusion::kOn) {
    module = recompute_cheap_maps(module);
    module = duplicate_cheap_maps(module);
    module = fuse_maps(module);
    module = fuse_epilogues(module);
  }
  module = assign_orders(module);
  return plan(module, device, store, arena);
}

}  // namespace trainer
