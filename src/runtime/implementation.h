// The implementations of the ops on a device, and the choice among them.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "runtime/device.h"

namespace trainer {

// One way to run an op. `Context` is what a device passes to both functions: a GPU its context, the CPU nothing.
template <typename... Context>
struct Implementation {
  const char* name;
  // Why this implementation cannot run the op, or "".
  std::string (*refuse)(Context&..., const OpInstance&);
  std::unique_ptr<Kernel> (*create)(Context&..., const OpInstance&);
};

// The lists of a device, one for each kind of op.
template <typename... Context>
class ImplementationTable {
 public:
  using List = std::vector<Implementation<Context...>>;

  explicit ImplementationTable(List (*list_of)(OpKind kind)) {
    for (int i = 0; i < kOpKinds; ++i) lists_[static_cast<size_t>(i)] = list_of(static_cast<OpKind>(i));
  }
  const List& operator[](OpKind kind) const { return lists_[static_cast<size_t>(kind)]; }

 private:
  std::array<List, kOpKinds> lists_;
};

// Creates the kernel of the first implementation that refuse(implementation) returns "" for, by create(implementation).
// Throws a device_error with all reasons if there is none. `device`: "the CPU".
template <typename Refuse, typename Create, typename... Context>
KernelChoice choose_first(const char* device, const OpInstance& instance,
                          const std::vector<Implementation<Context...>>& implementations, const Refuse& refuse,
                          const Create& create) {
  KernelChoice choice;
  std::string reasons;
  for (const Implementation<Context...>& implementation : implementations) {
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
