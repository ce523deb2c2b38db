// The compiler's interface: compiles a module to a program.
#pragma once

#include <memory>

#include "compile/module.h"
#include "runtime/memory.h"
#include "runtime/program.h"

namespace trainer {

// kOff makes each op of the graph one step. It is slower and needs more memory; it serves to find the op that produces
// a bad value, and as the reference in tests of the passes.
enum class Fusion { kOn, kOff };

struct CompileOptions {
  Fusion fusion = Fusion::kOn;
  // The type in which activations are stored, and which convolutions and large matrix products multiply: kF32, kBF16
  // or kF16.
  DType activations = DType::kF32;
  // Upper limit of the arena in bytes; 0: no limit.
  int64_t arena_limit = 0;
  // Whether devices sum the gradients of the pass while it continues: they are then complete as early as possible.
  bool sums_gradients = false;
};

// Runs all passes and plans the result. The caller can read the module's results after each run of the program. The
// program's states are those of the store with the same names.
std::unique_ptr<Program> compile(Module module, Device& device, StateStore& store, Arena& arena,
                                 const CompileOptions& options = {});

}  // namespace trainer
