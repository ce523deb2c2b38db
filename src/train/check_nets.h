// What is wrong with nets beyond what their text shows: blobs, shapes, values and data sets.
#pragma once

#include <functional>
#include <vector>

#include "config/diagnostics.h"
#include "train/data_layers.h"
#include "train/training.h"

namespace trainer {

// Problems of several nets for one listing. A net that shares its text with another repeats the other's problems: they are
// kept once.
class NetProblems {
 public:
  // Runs what opens a net, and keeps the listing that it throws.
  void collect(const std::function<void()>& open);
  // Throws all that was collected; a data_error where no problem is of another kind.
  void throw_if_any() const;
  const Diagnostics& list() const { return list_; }

 private:
  Diagnostics list_;
  bool data_only_ = true;
};

// To a listing with errors, adds what opening each of the nets finds. Layers with mistakes in their text are passed over.
void add_net_problems(const std::vector<TrainingFiles::Net>& nets, const GivenShapes& given, Diagnostics* diagnostics);

}  // namespace trainer
