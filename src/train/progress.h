// The progress of a training apart from its weights and history: what snapshots store and processes share.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "session/net_session.h"
#include "train/schedule.h"
#include "trainer.pb.h"

namespace trainer {

// The progress of the training loop, besides the states of the store.
struct LoopState {
  int iteration = 0;  // updates done
  ScheduleState schedule;
  uint64_t seed = 0;
  std::vector<float> losses;  // the window of the smoothed loss, oldest first
  caffe::BestState best;
  uint32_t retries = 0;    // of divergence
  std::string run_folder;  // of the report; "" for none
};

// The fields of a solver state that hold the progress. `train` has the nets of this process, `first` is the session of
// its first device, and `tests` are the positions from which the test nets continue.
caffe::SolverState progress_of(const LoopState& loop, const std::vector<NetSession*>& train,
                               const std::vector<NetPosition>& tests, const DeviceSession& first);
// The carried states of these nets only, for the process that writes the progress of all.
caffe::SolverState carried_states_of(const std::vector<NetSession*>& train, const DeviceSession& first);

// Continues from such fields. Nets whose carried states it lacks keep theirs. Throws a data_error that names `path` for
// carried states that are damaged.
void continue_from(const std::string& path, const caffe::SolverState& state, LoopState* loop,
                   const std::vector<NetSession*>& train, const std::vector<std::unique_ptr<NetSession>>& tests,
                   const DeviceSession& first);

// The position of each data layer of a net in such fields: of the training net, or of a test net.
std::map<std::string, Cursor> train_cursors(const caffe::SolverState& state);
std::map<std::string, Cursor> test_cursors(const caffe::SolverState& state, size_t index);
// Whether they have carried states of this device.
bool has_carried(const caffe::SolverState& state, int device);

}  // namespace trainer
