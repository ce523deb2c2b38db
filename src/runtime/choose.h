// Chooses an implementation of an op.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "runtime/device.h"

namespace trainer {

// Chooses the first of `implementations` (each with a `name`) for which refuse(implementation) returns "", and makes
// its kernel with create(implementation). Throws a device_error with all reasons if there is none. `device`: "the CPU".
template <typename Implementation, typename Refuse, typename Create>
KernelChoice choose_first(const char* device, const OpInstance& instance,
                          const std::vector<Implementation>& implementations, const Refuse& refuse,
                          const Create& create) {
  KernelChoice choice;
  std::string reasons;
  for (const Implementation& implementation : implementations) {
    const std::string reason = refuse(implementation);
    if (reason.empty()) {
      choice.implementation = implementation.name;
      choice.kernel = create(implementation);
      return choice;
    }
    choice.refused.push_back({implementation.name, reason});
    reasons += fmt::format("{}{}: {}", reasons.empty() ? "" : "; ", implementation.name, reason);
  }
  throw device_error("{} has no kernel for this {} ({})", device, name_of(instance.op->kind), reasons);
}

}  // namespace trainer
