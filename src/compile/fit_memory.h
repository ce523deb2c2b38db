// Making a program's values fit into less memory by computing forward values again in the backward pass.
#pragma once

#include <cstdint>
#include <functional>

#include "compile/module.h"

namespace trainer {

struct FittedModule {
  Module module;
  double operations = 0;  // computed again
  int64_t bytes = 0;      // that the module needs, as measured
};

// `module` with the cheapest repetition found that needs no more than `limit` bytes by `measure`; where none is found,
// the one that needs least. Each repeated op is a copy of one of the module, so that its results are the same bits; ops
// with effects are not repeated.
FittedModule fit_memory(const Module& module, int64_t limit, const std::function<int64_t(const Module&)>& measure);

}  // namespace trainer
