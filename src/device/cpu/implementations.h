// The CPU's implementations of the ops: one ordered list per kind, fastest first, reference last.
//
// TRAINER_IMPL=reference makes every op run its reference. oneDNN's are present where it was found.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/device.h"

namespace trainer::cpu {

struct Implementation {
  const char* name;
  // Why this op cannot be taken, or "".
  std::string (*refuse)(const OpInstance& instance);
  std::unique_ptr<Kernel> (*create)(const OpInstance& instance);
};

const std::vector<Implementation>& implementations_of(OpKind kind);

}  // namespace trainer::cpu
