// Snapshots: the model and the solver's state, together all that an exact resume needs.
//
// PREFIX_iter_N.caffemodel[.h5] and PREFIX_iter_N.solverstate[.h5] are Caffe's, readable by Caffe; what it lacks
// (seed, data cursors, pass counts, carried states of each rank, loss window, loss scale) lies in fields of SolverState
// from 5000 on. A manifest with sizes and checksums may be missing.
#pragma once

#include <string>
#include <vector>

#include "session/net_session.h"
#include "session/parameters.h"
#include "trainer.pb.h"

namespace trainer {

// What the loop knows beyond the states of the store.
struct LoopState {
  int iteration = 0;     // updates done
  int current_step = 0;  // lr_policy multistep
  uint64_t seed = 0;
  std::vector<float> losses;  // the smoothed loss's window, oldest first
};

struct SnapshotPaths {
  std::string weights, state, manifest;
};
SnapshotPaths snapshot_paths(const caffe::SolverParameter& solver, int iteration);

// Writes weights, state and manifest, then puts them in their places. `train` is the net on each rank, `device_session`
// is the first rank's, and `tests` says where each test net shall go on. Throws a data_error, the earlier snapshot
// untouched, where one cannot be written or a parameter is not finite.
SnapshotPaths write_snapshot(const caffe::SolverParameter& solver, const LoopState& loop,
                             const std::vector<NetSession*>& train, const std::vector<NetPosition>& tests,
                             const DeviceSession& device_session);

// Reads a solver state of either format, and the model it names: beside the state, else at the recorded path. Of the
// ranks after the first only what their layers carry is set; it stays as it is where the state is of fewer ranks.
// Returns lines to show: what was resumed, what has changed in net or solver since, what Caffe's state does not tell.
std::vector<std::string> restore_snapshot(const std::string& path, const caffe::SolverParameter& solver,
                                          LoopState* loop, const std::vector<NetSession*>& train,
                                          const std::vector<std::unique_ptr<NetSession>>& tests,
                                          DeviceSession& device_session);

// The seed that a solver state was run with, before anything is built; 0 where the state does not tell.
uint64_t seed_of_snapshot(const std::string& path);

// Throws a data_error where a file that a run from iteration `first` to `last` is due to write cannot be replaced.
// Returns a line that says which snapshots of an earlier run it replaces; "" where there are none.
std::string check_replaced_snapshots(const caffe::SolverParameter& solver, int first, int last);

// Removes older snapshots of this prefix so that `keep` remain (keep_snapshots; 0 keeps all).
void prune_snapshots(const caffe::SolverParameter& solver, int iteration);

}  // namespace trainer
