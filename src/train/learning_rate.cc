// Caffe's learning-rate policies.
#include "train/learning_rate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text.h"

namespace trainer {

std::string check_learning_rate(const caffe::SolverParameter& solver, std::string* field) {
  const std::vector<std::string> known = {"fixed", "step", "exp", "inv", "multistep", "poly", "sigmoid"};
  const std::string& policy = solver.lr_policy();
  *field = "lr_policy";
  if (policy.empty()) return "lr_policy is missing; lr_policy: \"fixed\" keeps base_lr throughout";
  if (std::find(known.begin(), known.end(), policy) == known.end()) {
    const std::string near = nearest_name(policy, known);
    return fmt::format("unknown lr_policy \"{}\"; {}known are fixed, step, exp, inv, multistep, poly, sigmoid", policy,
                       near.empty() ? "" : fmt::format("did you mean \"{}\"? ", near));
  }
  const bool uses_gamma = policy != "fixed" && policy != "poly";
  if (uses_gamma && !solver.has_gamma()) return fmt::format("lr_policy \"{}\" needs gamma", policy);
  if ((policy == "step" || policy == "sigmoid") && !solver.has_stepsize())
    return fmt::format("lr_policy \"{}\" needs stepsize: {}", policy,
                       policy == "step" ? "iterations between two steps" : "the iteration of its middle");
  if (policy == "multistep" && solver.stepvalue_size() == 0)
    return "lr_policy \"multistep\" needs stepvalue: the iterations of its steps";
  if ((policy == "poly" || policy == "inv") && !solver.has_power())
    return fmt::format("lr_policy \"{}\" needs power", policy);
  *field = "gamma";
  if (uses_gamma && solver.gamma() < 0) return fmt::format("gamma is {}; it must not be negative", solver.gamma());
  *field = "stepsize";
  if (policy == "step" && solver.stepsize() <= 0)
    return fmt::format("stepsize is {}; it must be positive", solver.stepsize());
  *field = "stepvalue";
  for (int i = 1; policy == "multistep" && i < solver.stepvalue_size(); ++i) {
    if (solver.stepvalue(i) < solver.stepvalue(i - 1)) return "the values of stepvalue must ascend";
  }
  return "";
}

float learning_rate(const caffe::SolverParameter& solver, int iteration, int* current_step) {
  const std::string& policy = solver.lr_policy();
  const float base = solver.base_lr(), gamma = solver.gamma(), power = solver.power();
  if (policy == "step") return base * std::pow(gamma, static_cast<float>(iteration / solver.stepsize()));
  if (policy == "exp") return base * std::pow(gamma, static_cast<float>(iteration));
  if (policy == "inv") return base * std::pow(1.0f + gamma * static_cast<float>(iteration), -power);
  if (policy == "multistep") {
    if (*current_step < solver.stepvalue_size() && iteration >= solver.stepvalue(*current_step)) ++*current_step;
    return base * std::pow(gamma, static_cast<float>(*current_step));
  }
  if (policy == "poly")
    return base * std::pow(1.0f - static_cast<float>(iteration) / static_cast<float>(solver.max_iter()), power);
  if (policy == "sigmoid") return base / (1.0f + std::exp(-gamma * static_cast<float>(iteration - solver.stepsize())));
  return base;
}

}  // namespace trainer
