// The planner: turns a graph with physical orders into a program with kernels and memory.
#pragma once

#include <memory>

#include "compile/module.h"
#include "runtime/program.h"

namespace trainer {

// Values share the arena; those that are live at the same time do not overlap. A map overwrites an operand whose last
// reader it is. The value of a state write is computed in the state's own memory if nothing reads the old version
// afterwards. Adds states that the store lacks. If the values need more than `limit` bytes (0: no limit), forward
// values are recomputed in the backward pass; throws a device_error if that is not enough.
std::unique_ptr<Program> plan(const Module& module, Device& device, StateStore& store, Arena& arena, int64_t limit = 0);

}  // namespace trainer
