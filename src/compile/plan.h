// The planner: from a graph with physical orders to a program with kernels and memory.
#pragma once

#include <memory>

#include "compile/module.h"
#include "runtime/program.h"

namespace trainer {

// Values that live at the same time lie apart, all others share the arena; a map writes over an operand that dies
// with it; what is written to a state is computed in the state's own memory where no one reads the old version
// afterwards. States that the store lacks are added. Where `limit` bytes (0: any) do not hold the values, forward
// values are computed again in the backward pass; a device_error where that is not enough.
std::unique_ptr<Program> plan(const Module& module, Device& device, StateStore& store, Arena& arena, int64_t limit = 0);

}  // namespace trainer
