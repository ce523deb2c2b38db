// Writes the snapshots of a run.
#include "train/snapshot_writer.h"

#include <zlib.h>

#include <algorithm>

#include "session/state_names.h"
#include "train/agreement.h"
#include "train/saved_states.h"

namespace trainer {

SnapshotWriter::SnapshotWriter(TrainingState& state, const TestNets& tests, const std::string& resumed,
                               RunReport& report)
    : state_(state),
      tests_(tests),
      report_(report),
      last_state_(resumed),
      saved_iteration_(resumed.empty() && state.loop.iteration > 0 ? kNone : state.loop.iteration) {}

bool SnapshotWriter::is_periodic() const { return state_.snapshot_interval().due(state_.loop.iteration); }

bool SnapshotWriter::due() const {
  return is_periodic() || (failed_ && state_.display_interval().due(state_.loop.iteration));
}

// Returns the path of the state.
std::string SnapshotWriter::write_files(const std::vector<caffe::SolverState>& others) {
  const caffe::SolverParameter& solver = state_.solver;
  const SnapshotPaths paths = write_snapshot(solver, state_.loop, state_.train_nets(), tests_.positions_for_snapshot(),
                                             state_.session(), state_.average.get(), others);
  report_.snapshot({state_.loop.iteration, paths.weights, paths.state, is_hdf5(solver), paths.average});
  prune_snapshots(solver, state_.loop.iteration);
  return paths.state;
}

// Processors of different kinds may round an update differently. Then all processes take the weights of the first one.
void SnapshotWriter::equalize(Group& group) {
  const StateStore& store = state_.session().store;
  if (!store.contains(kParameterGroup)) return;
  const std::vector<float> weights = store.read(kParameterGroup);
  const auto* bytes = reinterpret_cast<const Bytef*>(weights.data());
  const std::vector<std::string> sums = group.gather(std::to_string(crc32_z(0, bytes, weights.size() * sizeof(float))));
  const auto other = std::find_if(sums.begin(), sums.end(), [&](const std::string& sum) { return sum != sums[0]; });
  if (other == sums.end()) return;
  report_.warning(fmt::format(
      "Iteration {}: the weights of {} differ from those of {}: their processors compute differently. All take the "
      "weights of the first",
      state_.loop.iteration, text_of(group.members()[static_cast<size_t>(other - sums.begin())]),
      text_of(group.members()[0])));
  share_states(group, 0, &state_);
  copy_to_other_devices(state_);
}

// The first process writes the files, and all know whether it could.
std::string SnapshotWriter::write_together(Group& group) {
  equalize(group);
  std::vector<caffe::SolverState> others;
  const std::string carried = carried_states_of(state_.train_nets(), state_.session()).SerializeAsString();
  for (const std::string& text : group.gather(group.is_first() ? "" : carried))
    TRAINER_ASSERT(others.emplace_back().ParseFromString(text));
  return run_on_first(&group, [&] { return write_files(others); });
}

void SnapshotWriter::write() {
  failed_ = true;
  last_state_ = state_.group() == nullptr ? write_files({}) : write_together(*state_.group());
  failed_ = false;
  saved_iteration_ = state_.loop.iteration;
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

// Writes the files unless there is a snapshot of this iteration. Returns what is wrong, "" for nothing.
std::string SnapshotWriter::save_alone() {
  if (saved_iteration_ == state_.loop.iteration || !writes_snapshots(state_.solver)) return "";
  try {
    last_state_ = write_files({});
  } catch (const Error& problem) {
    return fmt::format("No snapshot of iteration {} can be written: {}", state_.loop.iteration, problem.what());
  }
  return "";
}

std::string SnapshotWriter::save_after(const Error& error) {
  const bool saves = error.code() == ExitCode::kData && !failed_ && state_.is_first_process();
  const std::string problem = saves ? save_alone() : "";
  if (!problem.empty()) return problem;
  const std::string resume = resume_text();
  switch (error.code()) {
    case ExitCode::kDevice:
      return fmt::format("No snapshot of iteration {} can be written; {}", state_.loop.iteration,
                         resume.empty() ? "there is none to resume from" : resume);
    case ExitCode::kData: return resume.empty() ? "" : fmt::format("Correct the data, then {}", resume);
    default: return "";
  }
}

// The loss may have broken off a snapshot that all were writing. Only the process that writes knows the newest one.
std::string SnapshotWriter::save_after_loss(bool writes) {
  const std::string problem = writes ? save_alone() : "";
  if (!problem.empty()) return problem;
  const std::string resume = writes ? resume_text() : "";
  return fmt::format("This process ends at iteration {}{}", state_.loop.iteration,
                     resume.empty() ? "" : fmt::format("; {}, with any number of processes", resume));
}

std::string SnapshotWriter::resume_text() const {
  return last_state_.empty() ? "" : "resume with --snapshot=" + last_state_;
}

}  // namespace trainer
