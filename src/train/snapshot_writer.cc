// Writes the snapshots of a run.
#include "train/snapshot_writer.h"

namespace trainer {

SnapshotWriter::SnapshotWriter(TrainingState& state, const TestNets& tests, const std::string& resumed,
                               RunReport& report)
    : state_(state), tests_(tests), report_(report), last_state_(resumed), saved_iteration_(state.loop.iteration) {}

bool SnapshotWriter::is_periodic() const { return state_.snapshot_interval().due(state_.loop.iteration); }

bool SnapshotWriter::due() const {
  return is_periodic() || (failed_ && state_.display_interval().due(state_.loop.iteration));
}

void SnapshotWriter::write() {
  const caffe::SolverParameter& solver = state_.solver;
  failed_ = true;
  const SnapshotPaths paths = write_snapshot(solver, state_.loop, state_.train_nets(), tests_.positions_for_snapshot(),
                                             state_.session(), state_.average.get());
  failed_ = false;
  saved_iteration_ = state_.loop.iteration;
  last_state_ = paths.state;
  report_.snapshot({state_.loop.iteration, paths.weights, paths.state, is_hdf5(solver), paths.average});
  prune_snapshots(solver, state_.loop.iteration);
}

void SnapshotWriter::try_write() {
  try {
    write();
  } catch (const Error& error) {
    if (error.code() != ExitCode::kData) throw;
    report_.warning(fmt::format("{}\nThe training continues without this snapshot; the next attempt is {}",
                                error.what(),
                                state_.solver.display() > 0 ? "at the next display" : "when the next one is due"));
  }
}

void SnapshotWriter::write_last() {
  const int iteration = state_.loop.iteration;
  if (!failed_ && iteration == saved_iteration_ && last_state_ == snapshot_paths(state_.solver, iteration).state)
    return;
  if (failed_ || (state_.solver.snapshot_after_train() && !is_periodic())) write();
}

std::string SnapshotWriter::save_after(const Error& error) {
  const int iteration = state_.loop.iteration;
  const bool data = error.code() == ExitCode::kData;
  if (data && !failed_ && saved_iteration_ != iteration && writes_snapshots(state_.solver)) {
    try {
      write();
    } catch (const Error& problem) {
      return fmt::format("No snapshot of iteration {} can be written: {}", iteration, problem.what());
    }
  }
  const std::string resume = last_state_.empty() ? "" : "resume with --snapshot=" + last_state_;
  if (error.code() == ExitCode::kDevice)
    return fmt::format("No snapshot of iteration {} can be written; {}", iteration,
                       resume.empty() ? "there is none to resume from" : resume);
  return data && !resume.empty() ? fmt::format("Correct the data, then {}", resume) : "";
}

}  // namespace trainer
