// The update rules. w: parameters, g: gradients, h and h2: history, rate: learning rate times lr_mult.
#include "train/update_rule.h"

#include <cmath>

#include "base/error.h"
#include "compile/compile.h"
#include "ops/math.h"
#include "session/loss_scale.h"
#include "session/state_names.h"

namespace trainer {
namespace {

constexpr size_t kScalarsApart = 16;  // floats from the learning rate to the correction: one cache line each

struct RuleInput {
  Value g, h, h2, rate, correction;
  const caffe::SolverParameter& solver;
};
struct RuleResult {
  Value step;  // w becomes w - step
  Value h, h2;
};

RuleResult sgd(const RuleInput& in) {
  const Value h = in.h * in.solver.momentum() + in.rate * in.g;
  return {h, h, Value()};
}

// Nesterov's accelerated gradient, in the form of Bengio et al. 2012, "Advances in Optimizing Recurrent Networks".
RuleResult nesterov(const RuleInput& in) {
  const float momentum = in.solver.momentum();
  const Value h = in.h * momentum + in.rate * in.g;
  return {h * (1 + momentum) - in.h * momentum, h, Value()};
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
  const float decay = in.solver.momentum(), delta = in.solver.delta();
  const Value h = in.h * decay + in.g * in.g * (1 - decay);
  const Value step = in.g * sqrt((in.h2 + delta) / (h + delta));
  return {in.rate * step, h, in.h2 * decay + step * step * (1 - decay)};
}

// Kingma and Ba 2015, "Adam"; delta is not bias-corrected, as in Caffe.
RuleResult adam(const RuleInput& in) {
  const float beta1 = in.solver.momentum(), beta2 = in.solver.momentum2();
  const Value m = in.h * beta1 + in.g * (1 - beta1);
  const Value v = in.h2 * beta2 + in.g * in.g * (1 - beta2);
  return {in.rate * in.correction * m / (sqrt(v) + in.solver.delta()), m, v};
}

struct Rule {
  const char* type;
  int history;
  RuleResult (*make)(const RuleInput&);
};
constexpr Rule kRules[] = {{"SGD", 1, sgd},         {"Nesterov", 1, nesterov}, {"AdaGrad", 1, adagrad},
                           {"RMSProp", 1, rmsprop}, {"AdaDelta", 2, adadelta}, {"Adam", 2, adam}};

const Rule* find_rule(const std::string& type) {
  for (const Rule& rule : kRules) {
    if (type == rule.type) return &rule;
  }
  return nullptr;
}

// One value for each parameter over the flat states; 0 in the padding.
SegmentTable per_parameter(const StateStore& store, const std::vector<const ParameterInfo*>& parameters,
                           float (*value)(const ParameterInfo&)) {
  SegmentTable table;
  const float* base = static_cast<const float*>(store.data(kParameterGroup));
  for (const ParameterInfo* parameter : parameters) {
    const int64_t begin = static_cast<const float*>(store.data(parameter->state)) - base;
    if (!table.ends.empty() && table.ends.back() < begin) {
      table.ends.push_back(begin);
      table.values.push_back(0);
    }
    table.ends.push_back(begin + parameter->shape.count());
    table.values.push_back(value(*parameter));
  }
  const int64_t total = store.shape(kParameterGroup).count();
  if (table.ends.empty() || table.ends.back() < total) {
    table.ends.push_back(total);
    table.values.push_back(0);
  }
  return table;
}

bool all_equal(const std::vector<const ParameterInfo*>& parameters, float (*value)(const ParameterInfo&)) {
  for (const ParameterInfo* parameter : parameters) {
    if (value(*parameter) != value(*parameters.front())) return false;
  }
  return true;
}

// The multiplier as a scalar if all parameters have the same one, else as a segment table.
Value multiplier(Graph& graph, const StateStore& store, const std::vector<const ParameterInfo*>& parameters,
                 float (*value)(const ParameterInfo&)) {
  if (!parameters.empty() && all_equal(parameters, value)) return constant(graph, Shape{1}, value(*parameters.front()));
  return segments(graph, per_parameter(store, parameters, value));
}

}  // namespace

int history_blobs(const std::string& solver_type) {
  const Rule* rule = find_rule(solver_type);
  return rule == nullptr ? 0 : rule->history;
}

const std::vector<std::string>& solver_types() {
  static const std::vector<std::string> types = [] {
    std::vector<std::string> names;
    for (const Rule& rule : kRules) names.emplace_back(rule.type);
    return names;
  }();
  return types;
}

caffe::SolverParameter default_solver() {
  caffe::SolverParameter solver;
  solver.set_base_lr(0.001f);
  solver.set_lr_policy("fixed");
  solver.set_momentum(0.9f);
  solver.set_weight_decay(0.0005f);
  return solver;
}

UpdateRule::UpdateRule(const caffe::SolverParameter& solver, const std::vector<const ParameterInfo*>& parameters,
                       DeviceSession& device_session)
    : solver_(solver),
      device_session_(device_session),
      follows_pass_(device_session.world == 1 && !device_session.device->is_host()) {
  if (follows_pass_) device_session.store.add(kPassLoss, Shape{});
  const Rule* rule = find_rule(solver.type());
  TRAINER_ASSERT(rule != nullptr);
  for (int i = 0; i < rule->history; ++i) {
    std::vector<StateInfo> members;
    for (const ParameterInfo* parameter : parameters)
      members.push_back({history_state(i, parameter->state), parameter->shape});
    device_session.store.add_group(history_group(i), members);
  }

  Module module;
  Graph& graph = *module.graph;
  graph.set_context(-1, Pass::kUpdate);
  const Shape flat = device_session.store.shape(kParameterGroup);
  const Value rate = graph.add_source("rate", Shape{1});
  const Value correction = graph.add_source("correction", Shape{1});
  const Value w = graph.read_state({kParameterGroup, flat});
  Value g = graph.read_state({kGradientGroup, flat, StateOwner::kSolver});

  Value loss, usable;
  if (follows_pass_) {
    loss = graph.read_state({kPassLoss, Shape{}, StateOwner::kSolver});
    usable = is_finite(broadcast_to(loss, flat));  // part of the map over the flat states
  }
  if (device_session.scales_loss()) {
    const Value finite = update_loss_scale(graph, g, loss);
    usable = usable ? usable * finite : finite;
    g = g / read_loss_scale(graph);
  }
  const auto if_usable = [&](Value next, Value otherwise) { return usable ? select(usable, next, otherwise) : next; };
  // As in Caffe, the average over devices comes before clipping and the average over iter_size passes after it.
  if (device_session.world > 1) g = g * (1.0f / static_cast<float>(device_session.world));
  if (solver.clip_gradients() >= 0) {
    const float cap = solver.clip_gradients();
    const Value norm = sqrt(sum(g * g, {0}));
    g = g * select(greater(norm, cap), cap / norm, constant(graph, Shape{1}, 1));
  }
  if (solver.iter_size() > 1) g = g * (1.0f / static_cast<float>(solver.iter_size()));
  const float weight_decay = solver.weight_decay();
  const auto decay_mult = [](const ParameterInfo& p) { return p.decay_mult; };
  const auto lr_mult = [](const ParameterInfo& p) { return p.lr_mult; };
  if (weight_decay != 0) {
    const Value decay = multiplier(graph, device_session.store, parameters, decay_mult) * weight_decay;
    g = g + decay * (solver.regularization_type() == "L1" ? sign(w) : w);
  }
  RuleInput in{g,          Value(), Value(), rate * multiplier(graph, device_session.store, parameters, lr_mult),
               correction, solver_};
  in.h = graph.read_state({history_group(0), flat, StateOwner::kSolver});
  if (rule->history > 1) in.h2 = graph.read_state({history_group(1), flat, StateOwner::kSolver});
  const RuleResult result = rule->make(in);
  graph.write_state(kParameterGroup, if_usable(w - result.step, w));
  // As in Caffe, snapshots save the last step in place of the gradient.
  if (solver.snapshot_diff()) graph.write_state(kGradientGroup, if_usable(result.step, constant(graph, Shape{1}, 0)));
  graph.write_state(history_group(0), if_usable(result.h, in.h));
  if (rule->history > 1) graph.write_state(history_group(1), if_usable(result.h2, in.h2));

  program_ = compile(std::move(module), *device_session.device, device_session.store, device_session.arena);
  scalars_ = std::make_unique<DeviceBlock>(*device_session.device, 2 * kScalarsApart * size_of(DType::kF32));
  for (size_t i = 0; i < program_->sources.size(); ++i)
    program_->set_source(static_cast<int>(i), static_cast<float*>(scalars_->data()) + kScalarsApart * i);
}

void UpdateRule::prepare(float rate, int iteration) {
  float correction = 1;
  if (solver_.type() == "Adam") {
    const float t = static_cast<float>(iteration + 1);
    correction = std::sqrt(1.0f - std::pow(solver_.momentum2(), t)) / (1.0f - std::pow(solver_.momentum(), t));
  }
  if (std::pair(rate, correction) == scalars_on_device_) return;
  float scalars[2 * kScalarsApart] = {rate};
  scalars[kScalarsApart] = correction;
  device_session_.device->copy_from_host(scalars_->data(), scalars, sizeof scalars);
  scalars_on_device_ = {rate, correction};
}

void UpdateRule::run_timed(float rate, int iteration, std::vector<double>* seconds) {
  prepare(rate, iteration);
  seconds->resize(program_->steps.size(), 0.0);
  program_->run_timed({}, seconds);
}

}  // namespace trainer
