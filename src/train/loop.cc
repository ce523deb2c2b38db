// The training loop.
#include "train/loop.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "base/duration.h"
#include "base/error.h"
#include "base/text.h"
#include "report/log.h"
#include "session/evaluate.h"
#include "train/best.h"
#include "train/divergence.h"
#include "train/plateau.h"

namespace trainer {
namespace {

// Only the first process knows the snapshot that the run resumes from.
std::string known_snapshot(const TrainingOptions& options) {
  return options.group == nullptr ? options.snapshot : options.group->broadcast_text(options.snapshot, 0);
}

}  // namespace

TrainingLoop::TrainingLoop(TrainingState& state, const TrainingOptions& options, Clock::time_point start,
                           RunReport& report)
    : state_(state),
      solver_(state.solver),
      poll_(options.poll),
      test_interval_(state.test_interval()),
      display_interval_(state.display_interval()),
      report_(report),
      tests_(state, report),
      snapshots_(state, tests_, known_snapshot(options), report),
      retries_(state, snapshots_.last_state(), report),
      skipped_(*state.session().device, state.session().store) {
  const int64_t limit = options.max_seconds > 0 ? options.max_seconds : parse_duration(solver_.max_time());
  if (limit > 0) deadline_ = start + std::chrono::seconds(limit);
  if (group() == nullptr) return;
  iteration_start_.emplace(state);
  stragglers_.emplace(*group());
}

void TrainingLoop::run() {
  while (true) {
    try {
      return train();
    } catch (const Error& error) {
      if (error.code() != ExitCode::kDiverged) throw;
      retries_.go_back(error, snapshots_.last_state());
      snapshots_.go_back();
    }
  }
}

void TrainingLoop::train() {
  int& iteration = state_.loop.iteration;
  state_.enter(iteration);  // a retry may go back to another stage
  while (iteration < solver_.max_iter() && !stopped()) {
    const bool first = iteration == 0 && !solver_.test_initialization();
    if (test_interval_.due(iteration) && !first && !run_tests()) break;
    iterate();
    if (poll() == StopRequest::kSnapshot || snapshots_.due()) {
      snapshots_.try_write();
      if (agreement_.newcomers && !stopped()) end_ = TrainingEnd::kNewcomers;
    }
    retries_.note_snapshot(snapshots_.last_state());
  }
  skipped_.start();
  note_skipped_updates();
  snapshots_.write_last();
  if (stopped()) return;
  if (display_interval_.due(iteration)) {
    state_.train_net().run_next(ProgramKind::kForward);
    note_loss(state_.train_net().loss());
    report_.final_loss(iteration, smoothed_loss());
  }
  if (test_interval_.due(iteration)) run_tests();
}

StopRequest::Kind TrainingLoop::poll() {
  if (group() != nullptr) return note(std::exchange(agreement_.request, {}), agreement_.out_of_time);
  return note(poll_(), is_out_of_time());
}

StopRequest::Kind TrainingLoop::note(const StopRequest& request, bool out_of_time) {
  if (!stopped() && out_of_time) {
    report_.note("This run has reached its time limit (max_time)");
    end_ = TrainingEnd::kOutOfTime;
    return StopRequest::kStop;
  }
  if (request.kind == StopRequest::kStop) {
    end_ = TrainingEnd::kStopped;
    stop_signal_ = request.signal;
  }
  return request.kind;
}

// False if the training ends: a stop request interrupted the tests, or early_stop says so.
bool TrainingLoop::run_tests() {
  const LoopState before = state_.loop;
  StopRequest asked;
  const bool complete = tests_.run([&] {
    if (group() != nullptr) {
      // The processes agree at the end of the tests.
      if (const StopRequest request = poll_(); request.kind > asked.kind) asked = request;
      return asked.kind != StopRequest::kStop && !is_out_of_time();
    }
    if (poll() == StopRequest::kSnapshot) snapshots_.try_write();
    return !stopped();
  });
  if (group() != nullptr) {
    IterationRecord record;
    record.passes = 1;
    record.request = asked.kind;
    record.signal = asked.signal;
    record.out_of_time = is_out_of_time();
    const Agreement agreed = agree(exchange_records(*group(), record));
    if (note(agreed.request, agreed.out_of_time && !complete) == StopRequest::kSnapshot) snapshots_.try_write();
  }
  if (!complete || stopped()) return false;
  if (watches_test(solver_)) note_plateau(watched(plateau_metric(solver_)), solver_.plateau().metric());
  if (!solver_.has_best() || !note_best(watched(best_metric(solver_)))) return true;
  stop_early(before);
  return false;
}

double TrainingLoop::watched(const WatchedMetric& metric) const {
  std::string problem;
  const double value = watched_value(metric, tests_.results()[metric.net].outputs, &problem);
  TRAINER_ASSERT(problem.empty());  // set_up_training has checked it
  return value;
}

// Returns whether early_stop ends the training.
bool TrainingLoop::note_best(double value) {
  const int iteration = state_.loop.iteration;
  if (std::isnan(value))
    report_.warning(
        fmt::format("Iteration {}: {} is NaN: it ranks below all other values", iteration, solver_.best().metric()));
  if (is_new_best(solver_.best(), value, state_.loop.best)) keep_best(value);
  return note_test(solver_, value, &state_.loop.best) && iteration < solver_.max_iter();
}

// If the file cannot be written, the value does not count as the best: the next better one is written.
void TrainingLoop::keep_best(double value) {
  std::string path;
  try {
    const WeightsInUse used(state_.average.get(), weights_of_tests(solver_));
    path = run_on_first(group(), [&] { return write_best(solver_, state_.train_net(), state_.session()); });
  } catch (const Error& error) {
    if (error.code() != ExitCode::kData) throw;
    return report_.warning(
        fmt::format("{}\nThe training continues without this file of the best weights", error.what()));
  }
  state_.loop.best.set_value(value);
  state_.loop.best.set_iter(state_.loop.iteration);
  report_.best({state_.loop.iteration, solver_.best().metric(), value, path, state_.loop.retries});
}

// The snapshot is as before the test, as all others: a run that continues from it repeats the test.
void TrainingLoop::stop_early(const LoopState& before) {
  const caffe::BestState& best = state_.loop.best;
  std::string line = fmt::format("Iteration {}: {}", state_.loop.iteration, early_stop_text(solver_));
  if (best.has_value())
    line += fmt::format(". The best {} is {}, of iteration {}", solver_.best().metric(), log_number(best.value()),
                        best.iter());
  report_.note(line);
  state_.loop = before;
  end_ = TrainingEnd::kStoppedEarly;
}

void TrainingLoop::note_plateau(double value, const std::string& metric) {
  caffe::PlateauState& state = state_.loop.schedule.plateau;
  if (!note_check(solver_.plateau(), value, &state)) return;
  report_.note(
      fmt::format("Iteration {}: {} has stopped improving; its best value is {:.6g}. Reduction {} of the "
                  "learning rate",
                  state_.loop.iteration, metric, state.best(), state.reductions()));
}

void TrainingLoop::iterate() {
  int& iteration = state_.loop.iteration;
  const bool display = display_interval_.due(iteration);
  ScheduledValues values = state_.schedule.values(iteration, &state_.loop.schedule);
  values.rate *= retries_.rate_factor();
  set_debug_log(display);
  if (display) skipped_.start();
  for (const Rank& rank : state_.ranks) rank.update->prepare(values, iteration);
  if (iteration_start_) iteration_start_->remember();
  const float loss = run_passes(display, values.rate);
  note_loss(loss);
  for (const Rank& rank : state_.ranks) rank.update->run_after_loss();
  if (display) display_iteration(values.rate);
  ++iteration;
  if (iteration_start_) iteration_start_->forget();
  enter_stage();
  if (is_plateau(solver_) && !watches_test(solver_)) {
    double mean = 0;
    if (note_training_loss(solver_, loss, &state_.loop.schedule.plateau, &mean))
      note_plateau(mean, "the training loss");
  }
  report_.step({iteration, smoothed_loss(), values.rate, state_.train_net().data().waited_seconds()});
}

void TrainingLoop::enter_stage() {
  const int iteration = state_.loop.iteration;
  if (!state_.enter(iteration)) return;
  const LoweredNet& net = state_.train_net().lowered();
  const std::vector<const ParameterInfo*> before = state_.freezing.learning(net, iteration - 1);
  std::vector<const ParameterInfo*> learning = state_.freezing.learning(net, iteration);
  std::erase_if(learning, [&](const ParameterInfo* parameter) {
    return std::find(before.begin(), before.end(), parameter) != before.end();
  });
  std::vector<std::string> layers;
  for (const ParameterInfo* parameter : learning) {
    const std::string& name = net.layers[static_cast<size_t>(parameter->layer)].param->name();
    if (layers.empty() || layers.back() != name) layers.push_back(name);
  }
  report_.note(fmt::format("Iteration {}: {} more parameters are trained, those of {}", iteration,
                           format_count(count_of(learning)), list_of(layers)));
}

// Runs the iter_size passes of each rank, with the updates that can follow right after them, and returns their mean
// loss.
float TrainingLoop::run_passes(bool display, float rate) {
  float loss = 0;
  computing_since_ = Clock::now();
  const double waited = state_.train_net().seconds_in_sums();
  const Rank* bad = nullptr;
  for (int i = 0; i < solver_.iter_size(); ++i) {
    const ProgramKind kind = i == 0 ? ProgramKind::kTrain : ProgramKind::kAccumulate;
    const bool last = i + 1 == solver_.iter_size();
    if (state_.sums && last) state_.sums->begin();
    for (const Rank& rank : state_.ranks) {
      const bool outputs = last && display && &rank == &state_.ranks.front();
      rank.net->queue_next(kind, outputs, last ? rank.update->program_after_pass() : nullptr);
    }
    Clock::time_point end = Clock::now();
    if (state_.sums && last) {
      state_.sums->finish();
      end = state_.sums->computed().value_or(end);
    }
    const double computed =
        std::chrono::duration<double>(end - computing_since_).count() - (state_.train_net().seconds_in_sums() - waited);
    for (const Rank& rank : state_.ranks) rank.net->finish();
    for (const Rank& rank : state_.ranks) {
      loss += rank.net->loss();
      if (!std::isfinite(rank.net->loss()) && bad == nullptr) bad = &rank;
    }
    if (bad != nullptr && group() == nullptr) fail_diverged(*bad, state_.loop.iteration, rate);
    if (group() != nullptr && last) return agreed_loss(loss, bad, computed, rate);
  }
  return loss / static_cast<float>(solver_.iter_size() * static_cast<int>(state_.ranks.size()));
}

// Exchanges what the processes decide by. Returns the mean loss of all passes.
float TrainingLoop::agreed_loss(float sum, const Rank* bad, double computed, float rate) {
  const StopRequest request = poll_();
  IterationRecord record;
  record.loss = bad != nullptr ? std::numeric_limits<double>::quiet_NaN() : static_cast<double>(sum);
  record.seconds = computed;
  record.passes = solver_.iter_size() * static_cast<int>(state_.ranks.size());
  record.newcomers = group()->newcomers();
  record.request = request.kind;
  record.signal = request.signal;
  record.out_of_time = is_out_of_time();
  const std::vector<IterationRecord> records = exchange_records(*group(), record);
  agreement_ = agree(records);
  stragglers_->add(records);
  for (size_t i = 0; i < records.size(); ++i) {
    if (!std::isfinite(records[i].loss)) fail_together(bad, static_cast<int>(i), rate);
  }
  return static_cast<float>(agreement_.loss);
}

// The process with the bad loss says to all where it comes from.
void TrainingLoop::fail_together(const Rank* bad, int process, float rate) {
  std::string text;
  try {
    if (bad != nullptr) fail_diverged(*bad, state_.loop.iteration, rate);
  } catch (const Error& error) {
    text = error.what();
  }
  text = group()->broadcast_text(text, process);
  group()->share_error();
  throw Error(ExitCode::kDiverged,
              fmt::format("{}: {}", text_of(group()->members()[static_cast<size_t>(process)]), text));
}

std::string TrainingLoop::save_after(const Error& error) {
  if (state_.sums) state_.sums->abandon();
  return snapshots_.save_after(error);
}

void TrainingLoop::go_back() {
  if (state_.sums) state_.sums->abandon();
  iteration_start_->go_back();
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
  if (stragglers_) {
    const std::string slow = stragglers_->describe();
    if (!slow.empty()) report_.warning(slow);
  }
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
