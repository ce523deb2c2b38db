// Goes back to a snapshot or to the start of a training.
#include "train/retry.h"

#include <cmath>
#include <utility>

#include "report/log.h"
#include "train/latest_snapshot.h"

namespace trainer {

Retries::Retries(TrainingState& state, const std::string& resumed, RunReport& report) : state_(state), report_(report) {
  if (!state.solver.has_divergence() || !resumed.empty()) return;
  start_ = save_states(state, state.test_positions());
}

float Retries::rate_factor() const {
  if (state_.loop.retries == 0) return 1;
  return static_cast<float>(std::pow(static_cast<double>(state_.solver.divergence().rate_factor()),
                                     static_cast<double>(state_.loop.retries)));
}

void Retries::note_snapshot(const std::string& last) {
  if (last == last_snapshot_) return;
  last_snapshot_ = last;
  if (++snapshots_ == 2) start_.reset();
}

std::string Retries::choose(const std::string& newest) {
  std::string chosen = newest;
  if (!newest.empty() && newest == newest_) {
    chosen = tried_.empty() ? "" : snapshot_before(state_.solver, tried_);
    if (chosen.empty() && !start_) chosen = tried_;
  }
  newest_ = newest;
  tried_ = chosen;
  return chosen;
}

void Retries::go_back(const Error& error, const std::string& state_file) {
  const caffe::DivergenceParameter& limits = state_.solver.divergence();
  const LoopState before = state_.loop;
  if (!state_.solver.has_divergence()) throw Error(error);
  if (before.retries >= limits.retries())
    throw Error(error.code(),
                fmt::format("{}\nThe retries of divergence are used up: there were {}", error.what(), before.retries));
  Group* const group = state_.session().group;
  const bool first = group == nullptr || group->is_first();
  const std::string chosen = first ? choose(state_file) : "";
  caffe::SolverState carried;
  if (first) {
    if (chosen.empty()) {
      restore_states(*start_, &state_);
    } else {
      restore_snapshot(
          chosen, state_.solver, &state_.loop, state_.train_nets(), state_.tests, state_.session(),
          state_.average.get(), [](const std::string&) {}, &carried);
    }
  }
  if (group != nullptr) share_states(*group, 0, &state_, &carried);
  copy_to_other_devices(state_);
  LoopState& loop = state_.loop;
  loop.retries = before.retries + 1;
  loop.run_folder = before.run_folder;
  // The file of the best weights stays as it is.
  if (before.best.has_value()) {
    loop.best.set_value(before.best.value());
    loop.best.set_iter(before.best.iter());
  }
  report_.warning(error.what());
  report_.retry(
      {before.iteration, loop.iteration, chosen, loop.retries, limits.retries(), static_cast<double>(rate_factor())});
}

}  // namespace trainer
