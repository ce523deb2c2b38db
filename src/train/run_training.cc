// Meets the other processes, trains, and meets again.
#include "train/run_training.h"

#include <optional>
#include <utility>

#include "base/caught_error.h"
#include "base/error.h"
#include "config/prototxt_text.h"
#include "ranks/rendezvous.h"
#include "train/saved_states.h"

namespace trainer {
namespace {

RendezvousRequest rendezvous_of(const TrainingRequest& request, const RanksRequest& ranks) {
  Diagnostics diagnostics;
  const TrainingFiles files = configure_training(request.solver, request.configure, &diagnostics);
  diagnostics.throw_if_errors();
  caffe::SolverParameter solver = *files.solver;
  if (files.seed_drawn) solver.clear_random_seed();
  RendezvousRequest meeting;
  meeting.launched = ranks.launched;
  meeting.elastic = ranks.elastic;
  meeting.wait = ranks.wait;
  meeting.file = solver.snapshot_prefix() + ".meeting";
  meeting.compared = {
      {"the version of trainer", TRAINER_VERSION},
      {"the command", fmt::format("train --precision={}", name_of(request.options.device_options.precision))}};
  meeting.compared.emplace_back("the solver", prototxt_text(solver));
  meeting.compared.emplace_back("the net", prototxt_text(*files.train.net));
  for (const FilteredNet& test : files.tests) meeting.compared.emplace_back("a test net", prototxt_text(*test.net));
  return meeting;
}

// Trains with one group of processes, or alone.
class Round {
 public:
  Round(const TrainingRequest& request, Group* group, const SavedStates* saved, TrainingView& view)
      : request_(request), report_(view.make_report(group == nullptr || group->is_first())), view_(view) {
    request_.options.group = group;
    request_.options.saved = saved;
    if (saved != nullptr) {
      request_.options.snapshot.clear();
      request_.options.continues_run = true;
    }
  }

  TrainingOutcome run() {
    open_ = open_training(request_, *report_);
    view_.opened(*open_.training, *report_);
    const TrainingEnd end = open_.training->run(*report_);
    return {end, open_.training->stop_signal()};
  }
  RunReport& report() { return *report_; }
  // -1: the training is not open.
  int iteration() const { return open_.training == nullptr ? -1 : open_.training->iteration(); }

  // After run() ended with kNewcomers or RankFailed; nullopt if the training had not begun.
  std::optional<SavedStates> take_states() const {
    return open_.training == nullptr ? std::nullopt : open_.training->take_states();
  }
  // After RankFailed, if the processes do not meet again: see Training::end_after_loss.
  std::string end_after_loss(bool writes) {
    return open_.training == nullptr ? "" : open_.training->end_after_loss(writes, *report_);
  }

 private:
  TrainingRequest request_;
  std::unique_ptr<RunReport> report_;
  TrainingView& view_;
  OpenTraining open_;
};

// A training in rounds, each with the processes that are there. A round ends when a process is lost or others come.
class TogetherRun {
 public:
  TogetherRun(const TrainingRequest& request, const RanksRequest& ranks, TrainingView& view)
      : request_(request), view_(view), rendezvous_(rendezvous_of(request, ranks)) {
    request_.device.local_rank = ranks.launched.local_rank.value_or(0);
    request_.device.local_size = ranks.launched.local_size.value_or(1);
  }

  TrainingOutcome run() {
    std::unique_ptr<Group> group = rendezvous_.meet();
    while (true) {
      auto round = std::make_unique<Round>(request_, group.get(), saved_ ? &*saved_ : nullptr, view_);
      std::optional<RankFailed> loss;
      try {
        const TrainingOutcome outcome = round->run();
        if (outcome.end != TrainingEnd::kNewcomers) return outcome;
        group->leave();
      } catch (const RankFailed& error) {
        group->leave(error);
        loss = error;
      } catch (...) {
        group->leave(caught_error(true));
        throw;
      }
      std::unique_ptr<Group> next = loss ? meet_after(*loss, *round) : rendezvous_.meet();
      if (std::optional<SavedStates> states = round->take_states()) {
        saved_ = std::move(states);
        if (loss) round->report().finish({round->iteration(), "continues without lost processes", false});
      }
      round.reset();  // it uses the group
      group = std::move(next);
    }
  }

 private:
  std::unique_ptr<Group> meet_after(const RankFailed& loss, Round& round) {
    try {
      if (!rendezvous_.is_elastic()) throw RankFailed(loss);
      count_failure(loss, round);
      round.report().warning(loss.what());
      round.report().note("The remaining processes meet again");
      return rendezvous_.meet();
    } catch (...) {
      const Error error = caught_error(true);
      const std::string advice = round.end_after_loss(rendezvous_.is_first_remaining());
      throw Error(error.code(), advice.empty() ? error.what() : fmt::format("{}\n{}", error.what(), advice));
    }
  }

  // Throws if exchanges fail again and again although no process is lost: the network may pass the meeting only.
  void count_failure(const RankFailed& failure, const Round& round) {
    const bool advanced = round.iteration() > failed_at_;
    failed_at_ = round.iteration();
    failures_ = rendezvous_.has_loss() ? 0 : advanced ? 1 : failures_ + 1;
    if (failures_ < kMostFailures) return;
    throw RankFailed(fmt::format("{}. This was attempt {} at the same iteration", failure.what(), failures_));
  }

  TrainingRequest request_;
  TrainingView& view_;
  Rendezvous rendezvous_;
  std::optional<SavedStates> saved_;
  static constexpr int kMostFailures = 3;
  int failed_at_ = -1;  // the iteration of the last failure
  int failures_ = 0;    // in that iteration, without a loss
};

}  // namespace

TrainingOutcome run_training(const TrainingRequest& request, const RanksRequest& ranks, TrainingView& view) {
  if (ranks.launched.world == 1) return Round(request, nullptr, nullptr, view).run();
  try {
    return TogetherRun(request, ranks, view).run();
  } catch (const DiagnosticsError&) {
    throw;
  } catch (const Error& error) {
    throw Error(error.code(), named_process(ranks.launched, error.what()));
  }
}

}  // namespace trainer
