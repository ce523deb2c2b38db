// Snapshots: the model and the solver state, together all that an exact resume needs.
//
// PREFIX_iter_N.caffemodel[.h5] and PREFIX_iter_N.solverstate[.h5] have Caffe's formats. If the solver keeps an average
// of the weights, PREFIX_iter_N_ema.caffemodel[.h5] or _swa is a third file. Fields of SolverState from
// 5000 on hold what Caffe does not save: seed, data cursors, pass counts, carried states of each rank, loss window,
// loss scale, progress of lr_policy "plateau", of best and of divergence, run folder. A manifest with sizes and
// checksums may be missing.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "formats/solver_state.h"
#include "session/parameters.h"
#include "train/progress.h"
#include "train/snapshot_files.h"
#include "train/weight_average.h"
#include "trainer.pb.h"

namespace trainer {

// Writes weights, average, state and manifest, then renames them to their final names. `train` has the net of each
// rank of this process, `device_session` is that of the first one, and `tests` are the positions from which the test
// nets continue. `others` has the carried states of other processes. If a file cannot be written or a parameter is not
// finite, throws an Error and keeps the earlier snapshot.
SnapshotPaths write_snapshot(const caffe::SolverParameter& solver, const LoopState& loop,
                             const std::vector<NetSession*>& train, const std::vector<NetPosition>& tests,
                             const DeviceSession& device_session, WeightAverage* average,
                             const std::vector<caffe::SolverState>& others = {});

// Writes the weights in use, trained weights or average, as the file of `best`, and returns its path. Throws as
// write_snapshot does.
std::string write_best(const caffe::SolverParameter& solver, const NetSession& train,
                       const DeviceSession& device_session);

// A solver state and the weights that it names.
struct StoredSnapshot {
  SolverStateFile state;
  std::string weights_path;  // beside the state, else the recorded path
  WeightFile weights;
};
// Reads a solver state of either format and its weights. Throws a data_error if they are damaged, missing or differ
// from their manifest.
StoredSnapshot read_snapshot(const std::string& path);

// The weight file with the average that the state of `path` names, and its path.
std::pair<std::string, WeightFile> read_average(const std::string& path, const caffe::SolverState& state);

// Continues from the snapshot of a solver state. For ranks after the first, sets only their carried states, and only if
// the state has them. Notes what was resumed, changes of net, solver and data since then, and what Caffe's state lacks.
// An average that the state lacks starts from the weights. `carried` gets the carried states of all devices. Returns
// whether the solver is the same as in the snapshot.
bool restore_snapshot(const std::string& path, const caffe::SolverParameter& solver, LoopState* loop,
                      const std::vector<NetSession*>& train, const std::vector<std::unique_ptr<NetSession>>& tests,
                      DeviceSession& device_session, WeightAverage* average,
                      const std::function<void(const std::string&)>& note, caffe::SolverState* carried);

}  // namespace trainer
