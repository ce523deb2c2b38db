// The files of snapshots: names, formats, replacement and removal.
#pragma once

#include <string>
#include <vector>

#include "train/epochs.h"
#include "trainer.pb.h"

namespace trainer {

bool is_hdf5(const caffe::SolverParameter& solver);

struct SnapshotPaths {
  std::string weights, state, manifest;
  std::string average;  // "" if the solver keeps none

  std::vector<std::string> all() const;
};
SnapshotPaths snapshot_paths(const caffe::SolverParameter& solver, int iteration);

// Throws a data_error if a snapshot file of a run from iteration `first` to `last` exists and cannot be replaced.
// Returns a line that names the snapshots of an earlier run that this run replaces; "" for none.
std::string check_replaced_snapshots(const caffe::SolverParameter& solver, const Interval& interval, int first,
                                     int last);

// Removes the oldest snapshots of the prefix so that keep_snapshots remain (0 keeps all).
void prune_snapshots(const caffe::SolverParameter& solver, int iteration);

}  // namespace trainer
