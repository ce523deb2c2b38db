// Reduces the memory of a program: recomputes forward values in the backward pass.
#pragma once

#include <cstdint>
#include <functional>

#include "compile/module.h"

namespace trainer {

struct FittedModule {
  Module module;
  double operations = 0;  // floating-point operations that run a second time
  int64_t bytes = 0;      // memory that the module needs, by `measure`
};

// Returns `module` with the cheapest recomputation found that needs at most `limit` bytes by `measure`. If none fits,
// returns the one that needs least memory. Each recomputed op is a copy of an op of the module, so its results are
// bitwise equal. Ops with effects are not recomputed.
FittedModule fit_memory(const Module& module, int64_t limit, const std::function<int64_t(const Module&)>& measure);

}  // namespace trainer
