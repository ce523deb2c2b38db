// The table of the update rules, and their formulas.
#include "train/solver_rules.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "ops/math.h"

namespace trainer {
namespace {

RuleResult sgd(const RuleInput& in) {
  const Value h = in.h * in.momentum + in.rate * in.g;
  return {h, h, Value()};
}

// Nesterov's accelerated gradient, in the form of Bengio et al. 2012, "Advances in Optimizing Recurrent Networks".
RuleResult nesterov(const RuleInput& in) {
  const Value h = in.h * in.momentum + in.rate * in.g;
  return {h * (1.0f + in.momentum) - in.h * in.momentum, h, Value()};
}

// Duchi et al. 2011, "Adaptive Subgradient Methods".
RuleResult adagrad(const RuleInput& in) {
  const Value h = in.h + in.g * in.g;
  return {in.rate * in.g / (sqrt(h) + in.solver.delta()), h, Value()};
}

// Tieleman and Hinton 2012, lecture 6.5.
RuleResult rmsprop(const RuleInput& in) {
  const float decay = in.solver.rms_decay();
  const Value h = in.h * decay + in.g * in.g * (1 - decay);
  return {in.rate * in.g / (sqrt(h) + in.solver.delta()), h, Value()};
}

// Zeiler 2012, "ADADELTA".
RuleResult adadelta(const RuleInput& in) {
  const float delta = in.solver.delta();
  const Value decay = in.momentum, rest = 1.0f - decay;
  const Value h = in.h * decay + in.g * in.g * rest;
  const Value step = in.g * sqrt((in.h2 + delta) / (h + delta));
  return {in.rate * step, h, in.h2 * decay + step * step * rest};
}

// The means of g and of its square.
struct Moments {
  Value m, v;
};
Moments moments(const RuleInput& in) {
  const Value beta1 = in.momentum;
  const float beta2 = in.solver.momentum2();
  return {in.h * beta1 + in.g * (1.0f - beta1), in.h2 * beta2 + in.g * in.g * (1 - beta2)};
}

Value with_decay(const RuleInput& in, Value update) { return in.decay ? update + in.decay * in.w : update; }

// Kingma and Ba 2015, "Adam"; delta is not bias-corrected, as in Caffe.
RuleResult adam(const RuleInput& in) {
  const auto [m, v] = moments(in);
  return {in.rate * in.scalars[0] * m / (sqrt(v) + in.solver.delta()), m, v};
}
RuleScalars adam_scalars(const caffe::SolverParameter& solver, int iteration) {
  const float t = static_cast<float>(iteration + 1);
  return {std::sqrt(1.0f - std::pow(solver.momentum2(), t)) / (1.0f - std::pow(solver.momentum(), t))};
}

// The divisors of the moments' means: they start from 0.
double bias1(const caffe::SolverParameter& solver, int iteration) {
  return 1 - std::pow(static_cast<double>(solver.momentum()), iteration + 1);
}
double bias2(const caffe::SolverParameter& solver, int iteration) {
  return 1 - std::pow(static_cast<double>(solver.momentum2()), iteration + 1);
}

// (m / bias1) / (sqrt(v / bias2) + delta), with both divided by 1 / bias1. The scalars are bias1 / sqrt(bias2) and
// bias1 * delta.
Value corrected_adam(const RuleInput& in, const Moments& mean) {
  return mean.m / (sqrt(mean.v) * in.scalars[0] + in.scalars[1]);
}
RuleScalars bias_scalars(const caffe::SolverParameter& solver, int iteration) {
  const double first = bias1(solver, iteration);
  return {static_cast<float>(first / std::sqrt(bias2(solver, iteration))),
          static_cast<float>(first * static_cast<double>(solver.delta()))};
}

// Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization".
RuleResult adamw(const RuleInput& in) {
  const Moments mean = moments(in);
  return {in.rate * with_decay(in, corrected_adam(in, mean)), mean.m, mean.v};
}

// The same paper. As in AdamW, the decay is multiplied by the learning rate.
RuleResult sgdw(const RuleInput& in) {
  const Value h = in.h * in.momentum + in.rate * in.g;
  return {in.decay ? h + in.rate * (in.decay * in.w) : h, h, Value()};
}

// Dozat 2016, "Incorporating Nesterov Momentum into Adam", with the paper's schedule of the momentum.
RuleResult nadam(const RuleInput& in) {
  const auto [m, v] = moments(in);
  const Value update = (in.scalars[0] * in.g + in.scalars[1] * m) / (sqrt(v) * in.scalars[2] + in.solver.delta());
  return {in.rate * update, m, v};
}
RuleScalars nadam_scalars(const caffe::SolverParameter& solver, int iteration) {
  const auto momentum_at = [&](int t) { return solver.momentum() * (1 - 0.5 * std::pow(0.96, 0.004 * t)); };
  constexpr double kNegligible = 1e-20;
  double product = 1;  // of the momenta so far
  for (int t = 1; t <= iteration + 1 && product > kNegligible; ++t) product *= momentum_at(t);
  const double now = momentum_at(iteration + 1), next = momentum_at(iteration + 2);
  return {static_cast<float>((1 - now) / (1 - product)), static_cast<float>(next / (1 - product * next)),
          static_cast<float>(1 / std::sqrt(bias2(solver, iteration)))};
}

// Liu et al. 2020, "On the Variance of the Adaptive Learning Rate and Beyond". One of the two scalars is 0: the first
// while the variance of the adaptive rate is unknown.
RuleResult radam(const RuleInput& in) {
  const auto [m, v] = moments(in);
  const Value update = m * (in.scalars[0] / (sqrt(v) + in.solver.delta()) + in.scalars[1]);
  return {in.rate * update, m, v};
}
RuleScalars radam_scalars(const caffe::SolverParameter& solver, int iteration) {
  const double beta2 = solver.momentum2(), t = iteration + 1, known = bias2(solver, iteration);
  const double most = 2 / (1 - beta2) - 1, length = most - 2 * t * (1 - known) / known;
  const double plain = 1 / bias1(solver, iteration);
  if (length <= 5) return {0, static_cast<float>(plain)};
  const double rectified =
      std::sqrt((length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length)) * std::sqrt(known);
  return {static_cast<float>(plain * rectified), 0};
}

// Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms".
RuleResult lion(const RuleInput& in) {
  const Value beta1 = in.momentum;
  const float beta2 = in.solver.momentum2();
  const Value update = sign(in.h * beta1 + in.g * (1.0f - beta1));
  return {in.rate * with_decay(in, update), in.h * beta2 + in.g * (1 - beta2), Value()};
}

Value norm_of_all(Value x) { return norm(x, all_axes(x.shape())); }

// `ratio` if both norms are above 0, else 1.
Value ratio_or_one(Value a, Value b, Value ratio) {
  const Value one = constant(*a.graph(), Shape{}, 1);
  return select(greater(a, 0.0f), select(greater(b, 0.0f), ratio, one), one);
}

// You et al. 2020, "Large Batch Optimization for Deep Learning".
RuleResult lamb(const RuleInput& in) {
  const Moments mean = moments(in);
  Value update = with_decay(in, corrected_adam(in, mean));
  if (in.adapts) {
    const Value weights = norm_of_all(in.w), updates = norm_of_all(update);
    update = update * ratio_or_one(weights, updates, weights / updates);
  }
  return {in.rate * update, mean.m, mean.v};
}

// You et al. 2017, "Large Batch Training of Convolutional Networks".
RuleResult lars(const RuleInput& in) {
  Value update = with_decay(in, in.g);
  if (in.adapts) {
    const Value weights = norm_of_all(in.w), gradients = norm_of_all(in.g);
    const Value sum = in.decay ? gradients + in.decay * weights : gradients;
    update = update * ratio_or_one(weights, gradients, in.solver.trust_coefficient() * weights / sum);
  }
  const Value h = in.h * in.momentum + in.rate * update;
  return {h, h, Value()};
}

constexpr bool kOwnDecay = true, kNorms = true;
constexpr Rule kRules[] = {{"SGD", 1, false, false, sgd, nullptr},
                           {"Nesterov", 1, false, false, nesterov, nullptr},
                           {"AdaGrad", 1, false, false, adagrad, nullptr},
                           {"RMSProp", 1, false, false, rmsprop, nullptr},
                           {"AdaDelta", 2, false, false, adadelta, nullptr},
                           {"Adam", 2, false, false, adam, adam_scalars},
                           {"AdamW", 2, kOwnDecay, false, adamw, bias_scalars},
                           {"NAdam", 2, false, false, nadam, nadam_scalars},
                           {"RAdam", 2, false, false, radam, radam_scalars},
                           {"Lion", 1, kOwnDecay, false, lion, nullptr},
                           {"LAMB", 2, kOwnDecay, kNorms, lamb, bias_scalars},
                           {"LARS", 1, kOwnDecay, kNorms, lars, nullptr},
                           {"SGDW", 1, kOwnDecay, false, sgdw, nullptr}};

}  // namespace

const Rule* find_rule(const std::string& type) {
  const Rule* rule = std::find_if(std::begin(kRules), std::end(kRules), [&](const Rule& r) { return type == r.type; });
  return rule == std::end(kRules) ? nullptr : rule;
}

const std::vector<std::string>& solver_types() {
  static const std::vector<std::string> types = [] {
    std::vector<std::string> names;
    for (const Rule& rule : kRules) names.emplace_back(rule.type);
    return names;
  }();
  return types;
}

int history_blobs(const std::string& solver_type) {
  const Rule* rule = find_rule(solver_type);
  return rule == nullptr ? 0 : rule->history;
}

Value norm(Value x, const std::vector<int>& axes) { return sqrt(sum(x * x, axes)); }

}  // namespace trainer
