// The learning-rate policies, one row of kPolicies each.
#include "train/learning_rate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numbers>
#include <vector>

#include "base/text.h"
#include "config/message_fields.h"
#include "train/plateau.h"
#include "train/watched_metric.h"

namespace trainer {
namespace {

// Keeps the first problem of a solver's fields.
class PolicyCheck {
 public:
  explicit PolicyCheck(const caffe::SolverParameter& checked) : solver(checked) {}

  // The policy uses the field; `meaning` completes the message.
  void needs(const char* name, const std::string& meaning = "") {
    require(
        given(name), "lr_policy",
        fmt::format("lr_policy \"{}\" needs {}{}{}", solver.lr_policy(), name, meaning.empty() ? "" : ": ", meaning));
  }
  void require(bool holds, const char* name, const std::string& text) {
    if (!holds && !problem) problem = {name, text};
  }

  const caffe::SolverParameter& solver;
  std::optional<FieldProblem> problem;

 private:
  // In iterations or in epochs.
  bool given(const std::string& name) const {
    const auto* const epochs = field_of(solver, name + "_epochs");
    return is_set(solver, field_of(solver, name)) || (epochs != nullptr && is_set(solver, epochs));
  }
};

struct RateInput {
  const caffe::SolverParameter& solver;
  int iteration;
  ScheduleState& state;

  float base() const { return solver.base_lr(); }
  float decayed(float exponent) const { return base() * std::pow(solver.gamma(), exponent); }
};

void check_gamma(PolicyCheck& check) {
  check.needs("gamma");
  const float gamma = check.solver.gamma();
  check.require(gamma >= 0, "gamma", fmt::format("gamma is {}; it must not be negative", gamma));
}

void check_stepsize(PolicyCheck& check, const char* meaning) {
  check.needs("stepsize", meaning);
  const int stepsize = check.solver.stepsize();
  check.require(stepsize > 0 || check.solver.stepsize_epochs() > 0, "stepsize",
                fmt::format("stepsize is {}; it must be positive", stepsize));
}

void check_step(PolicyCheck& check) {
  check_gamma(check);
  check_stepsize(check, "iterations between two steps");
}

void check_inv(PolicyCheck& check) {
  check_gamma(check);
  check.needs("power");
}

void check_multistep(PolicyCheck& check) {
  check_gamma(check);
  check.needs("stepvalue", "the iterations of its steps");
  const auto ascends = [](const auto& values) { return std::is_sorted(values.begin(), values.end()); };
  check.require(ascends(check.solver.stepvalue()), "stepvalue", "the values of stepvalue must ascend");
  check.require(ascends(check.solver.stepvalue_epochs()), "stepvalue_epochs",
                "the values of stepvalue_epochs must ascend");
}

// For policies that depend on the last iteration; that neither max_iter nor max_epochs is given is an error of all.
void check_length(PolicyCheck& check) {
  const caffe::SolverParameter& solver = check.solver;
  check.require(solver.max_iter() != 0 || !solver.has_max_iter() || solver.max_epochs() > 0, "max_iter",
                fmt::format("lr_policy \"{}\" needs a positive max_iter", solver.lr_policy()));
}

void check_poly(PolicyCheck& check) {
  check.needs("power");
  check_length(check);
}

void check_sigmoid(PolicyCheck& check) {
  check_gamma(check);
  check.needs("stepsize", "the iteration of its middle");
}

void check_cosine(PolicyCheck& check) {
  check_length(check);
  check.require(check.solver.cycles() > 0, "cycles", "cycles is 0; it must be at least 1");
  const float decay = check.solver.cycle_decay();
  check.require(decay > 0 && decay <= 1, "cycle_decay",
                fmt::format("cycle_decay is {}; it must be above 0 and at most 1", decay));
}

void check_plateau(PolicyCheck& check) {
  check_gamma(check);
  const caffe::SolverParameter& solver = check.solver;
  const caffe::PlateauParameter& plateau = solver.plateau();
  check.require(solver.gamma() < 1, "gamma",
                fmt::format("gamma is {}; lr_policy \"plateau\" needs a value below 1", solver.gamma()));
  check.require(plateau.min_delta() >= 0 && std::isfinite(plateau.min_delta()), "plateau.min_delta",
                fmt::format("min_delta is {}; it must be a finite number that is not negative", plateau.min_delta()));
  if (!watches_test(solver)) {
    check_stepsize(check, "the iterations over which it averages the training loss");
    return;
  }
  const std::string problem = check_metric(solver, plateau_metric(solver));
  check.require(problem.empty(), "plateau.metric", problem);
}

float fixed(const RateInput& in) { return in.base(); }

float step(const RateInput& in) {
  const int steps = in.iteration / in.solver.stepsize();
  return in.decayed(static_cast<float>(steps));
}

float exponential(const RateInput& in) { return in.decayed(static_cast<float>(in.iteration)); }

float inv(const RateInput& in) {
  return in.base() * std::pow(1.0f + in.solver.gamma() * static_cast<float>(in.iteration), -in.solver.power());
}

// As in Caffe, at most one step for each iteration.
float multistep(const RateInput& in) {
  int& reached = in.state.current_step;
  if (reached < in.solver.stepvalue_size() && in.iteration >= in.solver.stepvalue(reached)) ++reached;
  return in.decayed(static_cast<float>(reached));
}

float poly(const RateInput& in) {
  const float done = static_cast<float>(in.iteration) / static_cast<float>(in.solver.max_iter());
  const float last = in.solver.final_lr();
  return last + (in.base() - last) * std::pow(1.0f - done, in.solver.power());
}

float sigmoid(const RateInput& in) {
  return in.base() / (1.0f + std::exp(-in.solver.gamma() * static_cast<float>(in.iteration - in.solver.stepsize())));
}

// Of policies that start after the warm-up: the iterations since then and in all.
struct AfterWarmup {
  explicit AfterWarmup(const RateInput& in)
      : iteration(std::max(in.iteration - static_cast<double>(in.solver.warmup_iter()), 0.0)),
        length(std::max(in.solver.max_iter() - static_cast<double>(in.solver.warmup_iter()), 1.0)) {}
  double iteration, length;
};

// From `first` to `last` along half a cosine wave.
double along_cosine(double first, double last, double done) {
  return last + (first - last) * (1 + std::cos(std::numbers::pi * done)) / 2;
}

// Loshchilov and Hutter 2017, "SGDR", with cycles of equal length.
float cosine(const RateInput& in) {
  const AfterWarmup after(in);
  const double cycles = in.solver.cycles();
  const double position = after.iteration * cycles / after.length;
  const double cycle = std::min(std::floor(position), cycles - 1);
  const double highest = in.base() * std::pow(static_cast<double>(in.solver.cycle_decay()), cycle);
  return static_cast<float>(along_cosine(highest, in.solver.final_lr(), position - cycle));
}

float linear(const RateInput& in) {
  const AfterWarmup after(in);
  const double last = in.solver.final_lr();
  return static_cast<float>(last + (in.base() - last) * (1 - after.iteration / after.length));
}

// Smith and Topin 2018, "Super-Convergence", in the form of PyTorch's OneCycleLR: a value that is `first` in iteration
// 0, `middle` when the rate is highest and `last` in the last iteration.
double one_cycle_value(const caffe::SolverParameter& solver, int iteration, double first, double middle, double last) {
  constexpr double kRisingPart = 0.3;
  const double length = solver.max_iter(), warmup = solver.warmup_iter();
  const double highest = std::max((warmup > 0 ? warmup : kRisingPart * length) - 1, 0.0), end = length - 1;
  if (iteration < highest) return along_cosine(first, middle, iteration / highest);
  return along_cosine(middle, last, end > highest ? std::min((iteration - highest) / (end - highest), 1.0) : 0);
}

float one_cycle(const RateInput& in) {
  constexpr double kStart = 0.04;
  const double start = in.solver.has_warmup_start() ? in.solver.warmup_start() : kStart;
  return static_cast<float>(
      one_cycle_value(in.solver, in.iteration, in.base() * start, in.base(), in.solver.final_lr()));
}

float plateau(const RateInput& in) { return in.decayed(static_cast<float>(in.state.plateau.reductions())); }

// What final_lr is for a policy.
enum class FinalRate { kNone, kLowest, kEnd };

struct Policy {
  const char* name;
  void (*check)(PolicyCheck&);  // of the fields that it uses
  float (*rate)(const RateInput&);
  FinalRate final_rate;
};
constexpr Policy kPolicies[] = {
    {"fixed", [](PolicyCheck&) {}, fixed, FinalRate::kNone},
    {"step", check_step, step, FinalRate::kLowest},
    {"exp", check_gamma, exponential, FinalRate::kLowest},
    {"inv", check_inv, inv, FinalRate::kLowest},
    {"multistep", check_multistep, multistep, FinalRate::kLowest},
    {"poly", check_poly, poly, FinalRate::kEnd},
    {"sigmoid", check_sigmoid, sigmoid, FinalRate::kLowest},
    {"cosine", check_cosine, cosine, FinalRate::kEnd},
    {"linear", check_length, linear, FinalRate::kEnd},
    {"one_cycle", check_length, one_cycle, FinalRate::kEnd},
    {"plateau", check_plateau, plateau, FinalRate::kLowest},
};

const Policy* find_policy(const std::string& name) {
  const auto* const found = std::find_if(std::begin(kPolicies), std::end(kPolicies),
                                         [&](const Policy& policy) { return name == policy.name; });
  return found == std::end(kPolicies) ? nullptr : found;
}

std::string unknown_policy(const std::string& name) {
  std::vector<std::string> known;
  for (const Policy& policy : kPolicies) known.emplace_back(policy.name);
  return fmt::format("unknown lr_policy \"{}\"; {}known are {}", name, suggest(name, known, "did you mean \"{}\"? "),
                     fmt::join(known, ", "));
}

float warmed_up(const caffe::SolverParameter& solver, int iteration, float rate) {
  const auto warmup = static_cast<float>(solver.warmup_iter());
  if (!solver.has_warmup_start()) return rate * static_cast<float>(iteration + 1) / warmup;
  const float start = solver.warmup_start(), done = static_cast<float>(iteration) / warmup;
  const bool exponential_rise = solver.warmup_type() == caffe::SolverParameter::EXPONENTIAL;
  return rate * (exponential_rise ? std::pow(start, 1 - done) : start + (1 - start) * done);
}

}  // namespace

bool is_lr_policy(const std::string& name) { return find_policy(name) != nullptr; }

std::optional<FieldProblem> check_learning_rate(const caffe::SolverParameter& solver) {
  if (solver.lr_policy().empty())
    return FieldProblem{"lr_policy", "lr_policy is missing; lr_policy: \"fixed\" keeps base_lr throughout"};
  const Policy* const policy = find_policy(solver.lr_policy());
  if (policy == nullptr) return FieldProblem{"lr_policy", unknown_policy(solver.lr_policy())};
  PolicyCheck check(solver);
  policy->check(check);
  return check.problem;
}

float learning_rate(const caffe::SolverParameter& solver, int iteration, ScheduleState* state) {
  const Policy& policy = *find_policy(solver.lr_policy());
  float rate = policy.rate({solver, iteration, *state});
  if (policy.final_rate == FinalRate::kLowest && solver.has_final_lr()) rate = std::max(rate, solver.final_lr());
  const bool warms_up = iteration < static_cast<int64_t>(solver.warmup_iter()) && policy.rate != one_cycle;
  return warms_up ? warmed_up(solver, iteration, rate) : rate;
}

float one_cycle_momentum(const caffe::SolverParameter& solver, int iteration) {
  return static_cast<float>(
      one_cycle_value(solver, iteration, solver.momentum(), solver.min_momentum(), solver.momentum()));
}

}  // namespace trainer
