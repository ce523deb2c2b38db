// Schedules of momentum and weight decay, and the checks of all fields of a schedule.
#include "train/schedule.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "config/message_fields.h"
#include "train/epochs.h"
#include "train/learning_rate.h"

namespace trainer {
namespace {

float weight_decay(const caffe::SolverParameter& solver, int iteration) {
  if (!schedules_weight_decay(solver)) return solver.weight_decay();
  const double done = iteration / std::max(static_cast<double>(solver.max_iter()), 1.0);
  const double last = solver.final_weight_decay();
  const double part = solver.weight_decay_policy() == "linear" ? 1 - done : (1 + std::cos(std::numbers::pi * done)) / 2;
  return static_cast<float>(last + (solver.weight_decay() - last) * part);
}

class Problems {
 public:
  explicit Problems(const caffe::SolverParameter& solver) : solver_(solver) {}

  bool given(const char* name) const { return is_set(solver_, field_of(solver_, name)); }
  void add(const std::string& field, const std::string& text) { list_.push_back({field, text}); }
  void without_effect(const char* field, bool has_effect, const std::string& why) {
    if (given(field) && !has_effect) add(field, fmt::format("{} has no effect {}", field, why));
  }
  std::vector<FieldProblem> take() { return std::move(list_); }

 private:
  const caffe::SolverParameter& solver_;
  std::vector<FieldProblem> list_;
};

void check_warmup(const caffe::SolverParameter& solver, Problems* problems) {
  const float start = solver.warmup_start();
  if (!(start >= 0 && start <= 1))
    problems->add("warmup_start", fmt::format("warmup_start is {}; it must be in [0, 1]", start));
  if (solver.warmup_type() == caffe::SolverParameter::EXPONENTIAL && start == 0)
    problems->add("warmup_type", "warmup_type EXPONENTIAL needs a warmup_start above 0: the factor at the start");
}

void check_momentum(const caffe::SolverParameter& solver, Problems* problems) {
  const float least = solver.min_momentum();
  if (!solver.has_min_momentum()) return;
  if (solver.type() == "AdaGrad" || solver.type() == "RMSProp" || solver.type() == "NAdam")
    problems->add("min_momentum", fmt::format("min_momentum cannot be used with {}", solver.type()));
  else if (!(least >= 0 && least <= solver.momentum()))
    problems->add("min_momentum", fmt::format("min_momentum is {}; it must be in [0, momentum], and momentum is {}",
                                              least, solver.momentum()));
}

void check_weight_decay(const caffe::SolverParameter& solver, Problems* problems) {
  const float last = solver.final_weight_decay();
  if (!(last >= 0 && std::isfinite(last)))
    problems->add("final_weight_decay",
                  fmt::format("final_weight_decay is {}; it must be a finite number that is not negative", last));
  if (solver.weight_decay_policy() != "cosine" && solver.weight_decay_policy() != "linear")
    problems->add("weight_decay_policy", fmt::format("unknown weight_decay_policy \"{}\"; known are cosine, linear",
                                                     solver.weight_decay_policy()));
}

void doubt_final_rate(const caffe::SolverParameter& solver, Problems* problems) {
  problems->without_effect("final_lr", solver.lr_policy() != "fixed", "with lr_policy \"fixed\"");
  if (solver.lr_policy() != "fixed" && solver.final_lr() > solver.base_lr())
    problems->add("final_lr", fmt::format("final_lr is {}, above base_lr {}: the rate does not fall", solver.final_lr(),
                                          solver.base_lr()));
}

void doubt_warmup(const caffe::SolverParameter& solver, Problems* problems) {
  const bool one_cycle = solver.lr_policy() == "one_cycle", warms = solver.warmup_iter() > 0;
  problems->without_effect("warmup_start", warms || one_cycle, "without warmup_iter");
  problems->without_effect("warmup_type", !one_cycle, "with lr_policy \"one_cycle\"");
  problems->without_effect("warmup_type", warms || one_cycle, "without warmup_iter");
  if (warms && solver.max_iter() > 0 && solver.warmup_iter() > static_cast<uint32_t>(solver.max_iter()))
    problems->add("warmup_iter", fmt::format("warmup_iter is {}, but training ends after {} iterations: the rate never "
                                             "reaches its full value",
                                             solver.warmup_iter(), solver.max_iter()));
}

// Steps that the training does not reach.
void doubt_steps(const caffe::SolverParameter& solver, Problems* problems) {
  if (solver.max_iter() == 0) return;
  const std::string end = fmt::format("training ends after {} iterations", solver.max_iter());
  if (solver.lr_policy() == "step" && solver.stepsize() >= solver.max_iter())
    problems->add("stepsize", fmt::format("stepsize is {}, but {}: the rate never changes", solver.stepsize(), end));
  if (solver.lr_policy() == "multistep" && solver.stepvalue_size() > 0 &&
      solver.stepvalue(solver.stepvalue_size() - 1) >= solver.max_iter())
    problems->add("stepvalue", fmt::format("the last stepvalue is {}, but {}: the rate never takes this step",
                                           solver.stepvalue(solver.stepvalue_size() - 1), end));
}

}  // namespace

bool schedules_momentum(const caffe::SolverParameter& solver) {
  return solver.has_min_momentum() && solver.lr_policy() == "one_cycle";
}
bool schedules_weight_decay(const caffe::SolverParameter& solver) { return solver.has_final_weight_decay(); }

ScheduledValues scheduled_values(const caffe::SolverParameter& solver, int iteration, ScheduleState* state) {
  ScheduledValues values;
  values.rate = learning_rate(solver, iteration, state);
  values.momentum = schedules_momentum(solver) ? one_cycle_momentum(solver, iteration) : solver.momentum();
  values.weight_decay = weight_decay(solver, iteration);
  return values;
}

Schedule::Schedule(const caffe::SolverParameter& solver, const EpochLength& epoch) : solver_(solver) {
  const std::string& policy = solver.lr_policy();
  // These count iterations from the first one.
  const bool by_iterations =
      policy == "exp" || policy == "inv" || policy == "sigmoid" || (policy == "step" && solver.stepsize_epochs() == 0);
  if (by_iterations || first_epoch_field(solver) == nullptr) return;
  const double as_many = static_cast<double>(epoch.before) / static_cast<double>(epoch.per_iteration);
  shift_ = static_cast<int>(std::llround(as_many) - epoch.since);
  resolve_epochs({epoch.records, epoch.per_iteration}, &solver_);
  if (solver.max_epochs() == 0) solver_.set_max_iter(solver.max_iter() + shift_);
  if (solver.warmup_epochs() == 0 && solver.warmup_iter() > 0)
    solver_.set_warmup_iter(static_cast<uint32_t>(std::max<int64_t>(int64_t{solver.warmup_iter()} + shift_, 1)));
  if (solver.stepvalue_epochs_size() > 0) return;
  for (int32_t& value : *solver_.mutable_stepvalue()) value += shift_;
}

std::vector<FieldProblem> check_schedule(const caffe::SolverParameter& solver) {
  Problems problems(solver);
  if (const auto wrong = check_learning_rate(solver)) problems.add(wrong->field, wrong->text);
  if (solver.final_lr() < 0)
    problems.add("final_lr", fmt::format("final_lr is {}; it must not be negative", solver.final_lr()));
  check_warmup(solver, &problems);
  check_momentum(solver, &problems);
  check_weight_decay(solver, &problems);
  return problems.take();
}

std::vector<FieldProblem> doubt_schedule(const caffe::SolverParameter& solver) {
  if (!is_lr_policy(solver.lr_policy())) return {};  // an error, which is reported
  Problems problems(solver);
  doubt_final_rate(solver, &problems);
  doubt_warmup(solver, &problems);
  doubt_steps(solver, &problems);
  const bool restarts = solver.lr_policy() == "cosine";
  problems.without_effect("cycles", restarts, "without lr_policy \"cosine\"");
  problems.without_effect("cycle_decay", restarts && solver.cycles() > 1, "without cycles of lr_policy \"cosine\"");
  problems.without_effect("plateau", solver.lr_policy() == "plateau", "without lr_policy \"plateau\"");
  problems.without_effect("min_momentum", solver.lr_policy() == "one_cycle", "without lr_policy \"one_cycle\"");
  problems.without_effect("weight_decay_policy", solver.has_final_weight_decay(), "without final_weight_decay");
  return problems.take();
}

}  // namespace trainer
