// The start of a run: the states that it loads, and the notes and warnings that the report shows first.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "formats/prefix_lock.h"
#include "train/training.h"
#include "train/training_state.h"

namespace trainer {

class TrainingStart {
 public:
  // Loads weights or resumes from a snapshot. With `writes`, first locks the snapshot prefix for as long as this object
  // exists, and removes unfinished files.
  TrainingStart(TrainingState& state, const TrainingOptions& options, bool writes, RunReport& report);

  // Whether the run that continues was complete already.
  bool is_complete() const { return complete_; }
  RunInfo run_info() const;

 private:
  void lock_snapshots();
  void load_weight_files();
  void resume();
  void find_run_folder();
  void find_recorded_folder(const std::string& recorded);
  void find_unsaved_folder();
  void warn() const;
  void note_processes() const;
  void note_tests() const;
  void note_trained() const;
  void note_plan() const;
  std::set<std::string> untrained_layers() const;
  std::vector<std::string> untrained_frozen_layers() const;

  TrainingState& state_;
  const TrainingOptions& options_;
  RunReport& report_;
  std::optional<PrefixLock> lock_;
  std::set<std::string> layers_loaded_, test_layers_loaded_;
  caffe::SolverState carried_;  // of the snapshot, of all devices
  bool same_solver_ = false;    // as in the snapshot
  bool complete_ = false;
  std::string folder_;    // of the run that continues; "" for a report that starts over
  bool unsaved_ = false;  // the folder has no snapshot: its report starts over
};

}  // namespace trainer
