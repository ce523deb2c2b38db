// The files of snapshots: names, formats, replacement and removal.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "train/epochs.h"
#include "trainer.pb.h"

namespace trainer {

bool is_hdf5(const caffe::SolverParameter& solver);
bool writes_snapshots(const caffe::SolverParameter& solver);

struct SnapshotPaths {
  std::string weights, state, manifest;
  std::string average;  // "" if the solver keeps none

  std::vector<std::string> all() const;
};
SnapshotPaths snapshot_paths(const caffe::SolverParameter& solver, int iteration);
// The weight file of `best`.
std::string best_path(const caffe::SolverParameter& solver);

// The files of each snapshot of the prefix by iteration, of either format. They may be incomplete.
std::map<int, std::vector<std::string>> find_snapshots(const std::string& snapshot_prefix);

// Throws a data_error if a snapshot file of a run from iteration `first` to `last` exists and cannot be replaced.
// Returns a line that names the snapshots of an earlier run that this run replaces; "" for none.
std::string check_replaced_snapshots(const caffe::SolverParameter& solver, const Interval& interval, int first,
                                     int last);

// Removes the oldest snapshots of the prefix so that keep_snapshots remain (0 keeps all). The file of `best` is none of
// them.
void prune_snapshots(const caffe::SolverParameter& solver, int iteration);

}  // namespace trainer
