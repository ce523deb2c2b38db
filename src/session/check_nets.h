// Problems of nets that their text does not show: blobs, shapes, values and data sets.
#pragma once

#include <functional>
#include <vector>

#include "config/diagnostics.h"
#include "session/configure_net.h"
#include "session/net_session.h"

namespace trainer {

// Collects the problems of several nets for one listing. Keeps a problem once if nets share a text.
class NetProblems {
 public:
  // Calls `open` and keeps the listing that it throws.
  void collect(const std::function<void()>& open);
  // Throws all collected problems.
  void throw_if_any() const { list_.throw_if_errors(); }
  const Diagnostics& list() const { return list_; }

 private:
  Diagnostics list_;
};

// Adds to a listing with errors the problems found by opening each net. Skips layers with mistakes in their text.
void add_net_problems(const std::vector<FilteredNet>& nets, const GivenShapes& given, Diagnostics* diagnostics,
                      InputUse inputs = InputUse::kZeros);

}  // namespace trainer
