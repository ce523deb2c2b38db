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

namespace trainer {
namespace {

// Keeps the first problem of a solver's fields.
class PolicyCheck {
 public:
  explicit PolicyCheck(const caffe::SolverParameter& checked) : solver(checked) {}

  // The policy uses the field; `meaning` completes the message.
  void needs(const char* name, const std::string& meaning = "") {
    require(
        is_set(solver, field_of(solver, name)), "lr_policy",
        fmt::format("lr_policy \"{}\" needs {}{}{}", solver.lr_policy(), name, meaning.empty() ? "" : ": ", meaning));
  }
  void require(bool holds, const char* name, const std::string& text) {
    if (holds || !problem.empty()) return;
    field = name;
    problem = text;
  }

  const caffe::SolverParameter& solver;
  std::string field, problem;
};

struct RateInput {
  const caffe::SolverParameter& solver;
  int iteration;
  LearningRateState& state;

  float base() const { return solver.base_lr(); }
  float decayed(float exponent) const { return base() * std::pow(solver.gamma(), exponent); }
};

void check_gamma(PolicyCheck& check) {
  check.needs("gamma");
  const float gamma = check.solver.gamma();
  check.require(gamma >= 0, "gamma", fmt::format("gamma is {}; it must not be negative", gamma));
}

void check_step(PolicyCheck& check) {
  check_gamma(check);
  check.needs("stepsize", "iterations between two steps");
  const int stepsize = check.solver.stepsize();
  check.require(stepsize > 0, "stepsize", fmt::format("stepsize is {}; it must be positive", stepsize));
}

void check_inv(PolicyCheck& check) {
  check_gamma(check);
  check.needs("power");
}

void check_multistep(PolicyCheck& check) {
  check_gamma(check);
  check.needs("stepvalue", "the iterations of its steps");
  const auto& values = check.solver.stepvalue();
  check.require(std::is_sorted(values.begin(), values.end()), "stepvalue", "the values of stepvalue must ascend");
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
  const float rate = check.solver.final_lr();
  check.require(!(rate < 0), "final_lr", fmt::format("final_lr is {}; it must not be negative", rate));
}

float step(const RateInput& in) {
  const int steps = in.iteration / in.solver.stepsize();
  return in.decayed(static_cast<float>(steps));
}

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
  return in.base() * std::pow(1.0f - done, in.solver.power());
}

float sigmoid(const RateInput& in) {
  return in.base() / (1.0f + std::exp(-in.solver.gamma() * static_cast<float>(in.iteration - in.solver.stepsize())));
}

// Loshchilov and Hutter 2017, "SGDR", without restarts. Starts after the warm-up.
float cosine(const RateInput& in) {
  const double warmup = in.solver.warmup_iter();
  const double length = std::max(in.solver.max_iter() - warmup, 1.0);
  const double done = std::max(in.iteration - warmup, 0.0) / length;
  const double last = in.solver.final_lr();
  return static_cast<float>(last + (in.base() - last) * (1 + std::cos(std::numbers::pi * done)) / 2);
}

struct Policy {
  const char* name;
  void (*check)(PolicyCheck&);  // of the fields that it uses
  float (*rate)(const RateInput&);
};
constexpr Policy kPolicies[] = {
    {"fixed", [](PolicyCheck&) {}, [](const RateInput& in) { return in.base(); }},
    {"step", check_step, step},
    {"exp", check_gamma, [](const RateInput& in) { return in.decayed(static_cast<float>(in.iteration)); }},
    {"inv", check_inv, inv},
    {"multistep", check_multistep, multistep},
    {"poly", check_poly, poly},
    {"sigmoid", check_sigmoid, sigmoid},
    {"cosine", check_cosine, cosine},
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

}  // namespace

std::string check_learning_rate(const caffe::SolverParameter& solver, std::string* field) {
  *field = "lr_policy";
  if (solver.lr_policy().empty()) return "lr_policy is missing; lr_policy: \"fixed\" keeps base_lr throughout";
  const Policy* const policy = find_policy(solver.lr_policy());
  if (policy == nullptr) return unknown_policy(solver.lr_policy());
  PolicyCheck check(solver);
  policy->check(check);
  *field = check.field;
  return check.problem;
}

std::string doubt_learning_rate(const caffe::SolverParameter& solver, std::string* field) {
  if (find_policy(solver.lr_policy()) == nullptr) return "";  // an error, which is reported
  *field = "final_lr";
  if (solver.has_final_lr() && solver.lr_policy() != "cosine")
    return fmt::format("final_lr has no effect with lr_policy \"{}\"; it belongs to \"cosine\"", solver.lr_policy());
  *field = "warmup_iter";
  if (solver.warmup_iter() > 0 && solver.max_iter() > 0 &&
      static_cast<int64_t>(solver.warmup_iter()) > solver.max_iter())
    return fmt::format(
        "warmup_iter is {}, but training ends after {} iterations: the rate never reaches its full value",
        solver.warmup_iter(), solver.max_iter());
  return "";
}

float learning_rate(const caffe::SolverParameter& solver, int iteration, LearningRateState* state) {
  const float rate = find_policy(solver.lr_policy())->rate({solver, iteration, *state});
  const int64_t warmup = solver.warmup_iter();
  return iteration < warmup ? rate * static_cast<float>(iteration + 1) / static_cast<float>(warmup) : rate;
}

}  // namespace trainer
