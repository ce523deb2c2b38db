// The training loop.
#include "train/loop.h"

#include <cmath>
#include <numeric>

#include "session/evaluate.h"
#include "train/divergence.h"
#include "train/learning_rate.h"

namespace trainer {
namespace {

// Whether `iteration` is a multiple of an interval; no iteration is for interval 0.
bool is_due(int iteration, int interval) { return interval > 0 && iteration % interval == 0; }

}  // namespace

TrainingLoop::TrainingLoop(TrainingState& state, const TrainingOptions& options, RunReport& report)
    : state_(state),
      solver_(state.solver),
      poll_(options.poll),
      report_(report),
      tests_(state, report),
      snapshots_(state, tests_, options.snapshot, report),
      skipped_(*state.session().device, state.session().store) {}

void TrainingLoop::run() {
  int& iteration = state_.loop.iteration;
  while (iteration < solver_.max_iter() && !stopped_) {
    const bool first = iteration == 0 && !solver_.test_initialization();
    if (is_due(iteration, solver_.test_interval()) && !first && !run_tests()) break;
    iterate(is_due(iteration, solver_.display()));
    const StopRequest request = poll_();
    stopped_ = request == StopRequest::kStop;
    if (request == StopRequest::kSnapshot || snapshots_.due()) snapshots_.try_write();
  }
  skipped_.start();
  note_skipped_updates();
  snapshots_.write_last();
  if (stopped_) return;
  if (is_due(iteration, solver_.display())) {
    state_.train_net().run_next(ProgramKind::kForward);
    note_loss(state_.train_net().loss());
    report_.final_loss(iteration, smoothed_loss());
  }
  if (is_due(iteration, solver_.test_interval())) run_tests();
}

// False if a stop request interrupted the tests.
bool TrainingLoop::run_tests() {
  return tests_.run([this] {
    const StopRequest request = poll_();
    if (request == StopRequest::kSnapshot) snapshots_.try_write();
    stopped_ = stopped_ || request == StopRequest::kStop;
    return !stopped_;
  });
}

void TrainingLoop::iterate(bool display) {
  int& iteration = state_.loop.iteration;
  const float rate = learning_rate(solver_, iteration, &state_.loop.rate);
  set_debug_log(display);
  if (display) skipped_.start();
  for (const Rank& rank : state_.ranks) rank.update->prepare(rate, iteration);
  note_loss(run_passes(display, rate));
  for (const Rank& rank : state_.ranks) rank.update->run_after_loss();
  if (display) display_iteration(rate);
  ++iteration;
  report_.step({iteration, smoothed_loss(), rate, state_.train_net().data().waited_seconds()});
}

// Runs the iter_size passes of each rank, with the updates that can follow right after them, and returns their mean
// loss.
float TrainingLoop::run_passes(bool display, float rate) {
  float loss = 0;
  for (int i = 0; i < solver_.iter_size(); ++i) {
    const ProgramKind kind = i == 0 ? ProgramKind::kTrain : ProgramKind::kAccumulate;
    const bool last = i + 1 == solver_.iter_size();
    for (const Rank& rank : state_.ranks) {
      const bool outputs = last && display && &rank == &state_.ranks.front();
      rank.net->queue_next(kind, outputs, last ? rank.update->program_after_pass() : nullptr);
    }
    if (state_.sums && last) state_.sums->start();
    for (const Rank& rank : state_.ranks) {
      rank.net->finish();
      if (!std::isfinite(rank.net->loss())) fail_diverged(rank, state_.loop.iteration, rate);
      loss += rank.net->loss();
    }
  }
  return loss / static_cast<float>(solver_.iter_size() * static_cast<int>(state_.ranks.size()));
}

void TrainingLoop::set_debug_log(bool display) {
  if (!solver_.debug_info()) return;
  if (display) {
    state_.train_net().set_debug_log([this](const std::string& line) { report_.note(line); });
  } else {
    state_.train_net().set_debug_log(nullptr);
  }
}

void TrainingLoop::display_iteration(float rate) {
  NetSession& net = state_.train_net();
  TrainDisplay shown;
  shown.iteration = state_.loop.iteration;
  shown.loss = smoothed_loss();
  shown.learning_rate = rate;
  shown.data_wait_seconds = net.data().waited_seconds();
  shown.outputs = output_values(net.lowered(), net.read_outputs());
  report_.train_display(shown);
  note_skipped_updates();
}

void TrainingLoop::note_skipped_updates() {
  const std::string line = skipped_.describe();
  if (!line.empty()) report_.note(line);
}

// Caffe's window: the mean of the last average_loss losses.
void TrainingLoop::note_loss(float loss) {
  std::vector<float>& losses = state_.loop.losses;
  const size_t window = static_cast<size_t>(solver_.average_loss());
  if (losses.capacity() < window + 1) losses.reserve(window + 1);
  losses.push_back(loss);
  if (losses.size() > window) losses.erase(losses.begin());
}

float TrainingLoop::smoothed_loss() const {
  const std::vector<float>& losses = state_.loop.losses;
  if (losses.empty()) return 0;
  return std::accumulate(losses.begin(), losses.end(), 0.0f) / static_cast<float>(losses.size());
}

}  // namespace trainer
