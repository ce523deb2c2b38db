// The compiler's face: a module in, a program out.
#pragma once

#include <memory>

#include "compile/module.h"
#include "runtime/memory.h"
#include "runtime/program.h"

namespace trainer {

// kOff leaves each op of the graph a step of its own: slower and larger, to find the op that makes a bad value and to
// test the passes against.
enum class Fusion { kOn, kOff };

struct CompileOptions {
  Fusion fusion = Fusion::kOn;
  // What activations are stored as and convolutions and large matrix products multiply: kF32, kBF16 or kF16.
  DType activations = DType::kF32;
  // Bytes of the arena; 0: as many as it takes.
  int64_t arena_limit = 0;
};

// Runs all passes and plans the result. The module's results are readable after each run of the program; its states
// are those of the store, by name.
std::unique_ptr<Program> compile(Module module, Device& device, StateStore& store, Arena& arena,
                                 const CompileOptions& options = {});

}  // namespace trainer
