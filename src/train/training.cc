// Sets a training up and runs it.
#include "train/training.h"

#include "session/parameters.h"
#include "train/best.h"
#include "train/loop.h"
#include "train/saved_states.h"
#include "train/setup.h"
#include "train/start.h"

namespace trainer {

namespace {

std::string outcome_text(TrainingEnd end, const caffe::SolverParameter& solver) {
  switch (end) {
    case TrainingEnd::kDone: return "done";
    case TrainingEnd::kStoppedEarly: return early_stop_text(solver);
    case TrainingEnd::kStopped: return "stopped";
    case TrainingEnd::kOutOfTime: return "stopped by max_time";
    case TrainingEnd::kNewcomers: return "continues with more processes";
  }
  return "";
}

}  // namespace

Training::Training(TrainingFiles files, const TrainingOptions& options)
    : options_(options), state_(set_up_training(std::move(files), options)) {}
Training::~Training() = default;

int Training::iteration() const { return state_->loop.iteration; }
NetSession& Training::train_net() { return state_->train_net(); }
const Device& Training::device() const { return *state_->session().device; }
MemoryPlan Training::memory_plan() const { return plan_memory(*state_); }
void Training::save_weights(const std::string& path) const {
  const NetSession& net = state_->train_net();
  trainer::save_weights(path, net.lowered(), net.notes(), state_->session().store);
}

int Training::stop_signal() const { return loop_ == nullptr ? 0 : loop_->stop_signal(); }

std::optional<SavedStates> Training::take_states() const {
  if (loop_ == nullptr) return std::nullopt;
  return save_states(*state_, loop_->test_positions());
}

void Training::load(RunReport& report) { const TrainingStart start(*state_, options_, false, report); }

// The first process has the run folder; the others keep their logs there.
void Training::begin_report(const TrainingStart& start, RunReport& report) {
  RunInfo info = start.run_info();
  Group* const group = state_->group();
  if (group == nullptr || group->is_first()) report.begin(info);
  state_->loop.run_folder = group == nullptr ? report.folder() : group->broadcast_text(report.folder(), 0);
  if (group == nullptr || group->is_first()) return;
  info.folder.clear();
  info.continued.reset();
  const int number = group->members()[static_cast<size_t>(group->rank())].launched_rank;
  if (!state_->loop.run_folder.empty()) info.log_path = fmt::format("{}/rank-{}.log", state_->loop.run_folder, number);
  report.begin(info);
}

TrainingEnd Training::run(RunReport& report) {
  auto start = std::make_unique<TrainingStart>(*state_, options_, true, report);
  if (start->is_complete()) return TrainingEnd::kDone;
  begin_report(*start, report);
  loop_ = std::make_unique<TrainingLoop>(*state_, options_, start_, report);
  const LoopState& progress = state_->loop;
  try {
    loop_->run();
  } catch (const RankFailed&) {
    loop_->go_back();
    lock_holder_ = std::move(start);
    throw;
  } catch (const Error& error) {
    const std::string advice = loop_->save_after(error);
    report.finish({progress.iteration, error.code() == ExitCode::kDiverged ? "diverged" : "failed", false});
    if (advice.empty()) throw;
    throw Error(error.code(), fmt::format("{}\n{}", error.what(), advice));
  }
  report.finish({progress.iteration, outcome_text(loop_->end(), state_->solver), is_complete(loop_->end())});
  return loop_->end();
}

std::string Training::end_after_loss(bool writes, RunReport& report) {
  if (loop_ == nullptr) return "";
  const std::string advice = loop_->save_after_loss(writes);
  report.finish({state_->loop.iteration, "failed", false});
  return advice;
}

}  // namespace trainer
