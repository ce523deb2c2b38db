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
  Round(const TrainingRequest& request, Group* group, int least, const SavedStates* saved, TrainingView& view)
      : request_(request), report_(view.make_report(group == nullptr || group->is_first())), view_(view) {
    request_.options.group = group;
    request_.options.least_processes = least;
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
  // After run() ended with kNewcomers or RankFailed; nothing if the training was not yet open.
  std::optional<SavedStates> states() const {
    if (open_.training == nullptr) return std::nullopt;
    return open_.training->take_states();
  }
  RunReport& report() { return *report_; }

 private:
  TrainingRequest request_;
  std::unique_ptr<RunReport> report_;
  TrainingView& view_;
  OpenTraining open_;
};

class TogetherRun {
 public:
  TogetherRun(const TrainingRequest& request, const RanksRequest& ranks, TrainingView& view)
      : request_(request), view_(view), least_(ranks.elastic.least), rendezvous_(rendezvous_of(request, ranks)) {
    request_.device.local_rank = ranks.launched.local_rank.value_or(0);
    request_.device.local_size = ranks.launched.local_size.value_or(1);
  }

  TrainingOutcome run() {
    while (true) {
      const std::unique_ptr<Group> group = rendezvous_.meet();
      Round round(request_, group.get(), least_, saved_ ? &*saved_ : nullptr, view_);
      try {
        const TrainingOutcome outcome = round.run();
        if (outcome.end != TrainingEnd::kNewcomers) return outcome;
      } catch (const RankFailed& error) {
        group->leave(error);
        if (!rendezvous_.is_elastic()) throw;
        round.report().warning(error.what());
        round.report().note("The remaining processes meet again");
      } catch (...) {
        group->leave(caught_error(true));
        throw;
      }
      if (std::optional<SavedStates> states = round.states()) saved_ = std::move(states);
    }
  }

 private:
  TrainingRequest request_;
  TrainingView& view_;
  const int least_;  // of processes that go on after a loss; 0: none do
  Rendezvous rendezvous_;
  std::optional<SavedStates> saved_;
};

}  // namespace

TrainingOutcome run_training(const TrainingRequest& request, const RanksRequest& ranks, TrainingView& view) {
  if (ranks.launched.world == 1) return Round(request, nullptr, 0, nullptr, view).run();
  try {
    return TogetherRun(request, ranks, view).run();
  } catch (const DiagnosticsError&) {
    throw;
  } catch (const Error& error) {
    throw Error(error.code(), named_process(ranks.launched, error.what()));
  }
}

}  // namespace trainer
