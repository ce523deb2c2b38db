// Builds the graph of an update and sets its numbers.
#include "train/update_rule.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>

#include "base/align.h"
#include "base/error.h"
#include "compile/compile.h"
#include "ops/math.h"
#include "session/loss_scale.h"
#include "session/state_names.h"
#include "train/weight_average.h"

namespace trainer {
namespace {

constexpr size_t kScalarsApart = 16;  // floats from one scalar to the next: one cache line each
constexpr float kLeastUnitNorm = 1e-3f, kLeastGradientNorm = 1e-6f;

// One value for each parameter over a part of the flat states; 0 in the padding.
SegmentTable per_parameter(const StateStore& store, const std::string& part,
                           const std::vector<const ParameterInfo*>& parameters, float (*value)(const ParameterInfo&)) {
  SegmentTable table;
  const float* base = static_cast<const float*>(store.data(part));
  for (const ParameterInfo* parameter : parameters) {
    const int64_t begin = static_cast<const float*>(store.data(parameter->state)) - base;
    if (!table.ends.empty() && table.ends.back() < begin) {
      table.ends.push_back(begin);
      table.values.push_back(0);
    }
    table.ends.push_back(begin + parameter->shape.count());
    table.values.push_back(value(*parameter));
  }
  const int64_t total = store.shape(part).count();
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

// Yang et al. 2021, "High-Performance Large-Scale Image Recognition Without Normalization": each row of g at most
// `most` times the norm of the row of w.
Value clip_rows(Value g, Value w, float most) {
  const Value gradients = norm(g, {1}), limit = maximum(norm(w, {1}), kLeastUnitNorm) * most;
  return g * select(greater(gradients, limit), limit / maximum(gradients, kLeastGradientNorm),
                    constant(*g.graph(), Shape{}, 1));
}

// The states that one map updates: those of parameters that lie side by side as flat states, or those of one parameter
// as matrices.
struct Part {
  std::string parameter, gradient, average;
  std::array<std::string, 2> history;
  Shape shape;
};

Part all_parameters(const StateStore& store) {
  return {kParameterGroup,
          kGradientGroup,
          kAverageGroup,
          {history_group(0), history_group(1)},
          store.shape(kParameterGroup)};
}

// The states from element `begin` of the groups up to `end`.
Part neighbors(int64_t begin, int64_t end, StateStore* store) {
  const Part all = all_parameters(*store);
  if (begin == 0 && end == all.shape.count()) return all;
  const auto part_of = [&](const std::string& group) {
    if (!store->contains(group)) return group;
    const std::string name = fmt::format("{}[{}, {})", group, begin, end);
    store->add_part(name, group, begin, end - begin);
    return name;
  };
  return {part_of(all.parameter),
          part_of(all.gradient),
          part_of(all.average),
          {part_of(all.history[0]), part_of(all.history[1])},
          Shape{end - begin}};
}

Part one_parameter(const ParameterInfo& info) {
  const int64_t count = info.shape.count(), rows = info.shape.rank() > 1 && count > 0 ? info.shape[0] : 1;
  return {info.state,
          gradient_state(info.state),
          average_state(info.state),
          {history_state(0, info.state), history_state(1, info.state)},
          Shape{rows, count / rows}};
}

class UpdateGraph {
 public:
  UpdateGraph(const caffe::SolverParameter& solver, const Rule& rule, DeviceSession& device_session, bool follows_pass,
              bool keeps_average, const std::vector<int>& since)
      : solver_(solver), rule_(rule), device_session_(device_session), keeps_average_(keeps_average) {
    graph_.set_context(-1, Pass::kUpdate);
    rate_ = graph_.add_source("rate", Shape{});
    coefficient_ = graph_.add_source("average_coefficient", Shape{});
    const Value momentum = graph_.add_source("momentum", Shape{});
    const Value weight_decay = graph_.add_source("weight_decay", Shape{});
    momentum_ = schedules_momentum(solver) ? momentum : constant(graph_, Shape{}, solver.momentum());
    weight_decay_ = schedules_weight_decay(solver) ? weight_decay : constant(graph_, Shape{}, solver.weight_decay());
    for (int first : since) {
      for (Value& scalar : scalars_[first]) scalar = graph_.add_source("rule_scalar", Shape{});
    }
    if (follows_pass) loss_ = graph_.read_state({kPassLoss, Shape{}, StateOwner::kSolver});
    const Shape flat = device_session.store.shape(kParameterGroup);
    const Value g = graph_.read_state({kGradientGroup, flat, StateOwner::kSolver});
    if (device_session.scales_loss()) finite_ = reshape(update_loss_scale(graph_, g, loss_), Shape{});
    if (solver.clip_gradients() >= 0) {
      const float most = solver.clip_gradients();
      const Value all = norm(mean_over_devices(g), {0});
      clip_ = reshape(select(greater(all, most), most / all, constant(graph_, Shape{1}, 1)), Shape{});
    }
  }

  Module build(const std::vector<UpdatedParameter>& parameters) {
    if (rule_.has_norms || solver_.has_clip_adaptive()) {
      for (const UpdatedParameter& parameter : parameters)
        add(one_parameter(*parameter.info), {parameter.info}, parameter.since);
    } else if (parameters.empty()) {
      add(all_parameters(device_session_.store), {}, 0);
    } else {
      add_neighbors(parameters);
    }
    return std::move(module_);
  }

 private:
  // As in Caffe, the average over devices comes before clipping and the average over iter_size passes after it.
  Value mean_over_devices(Value g) {
    if (device_session_.scales_loss()) g = g / read_loss_scale(graph_);
    if (device_session_.world > 1) g = g * (1.0f / static_cast<float>(device_session_.world));
    return g;
  }

  Value clipped_mean(Value g, Value w) {
    g = mean_over_devices(g);
    if (clip_) g = g * clip_;
    if (solver_.iter_size() > 1) g = g * (1.0f / static_cast<float>(solver_.iter_size()));
    if (solver_.has_clip_adaptive()) g = clip_rows(g, w, solver_.clip_adaptive());
    if (solver_.has_clip_value()) g = minimum(maximum(g, -solver_.clip_value()), solver_.clip_value());
    return g;
  }

  // The multiplier as a scalar if all parameters have the same one, else as a segment table.
  Value multiplier(const Part& part, const std::vector<const ParameterInfo*>& parameters,
                   float (*value)(const ParameterInfo&)) {
    if (!parameters.empty() && all_equal(parameters, value))
      return constant(graph_, Shape{}, value(*parameters.front()));
    return segments(graph_, per_parameter(device_session_.store, part.parameter, parameters, value));
  }

  // A map for all parameters, or several: for parts with frozen parameters between them or with another first update.
  void add_neighbors(const std::vector<UpdatedParameter>& parameters) {
    StateStore& store = device_session_.store;
    const float* base = static_cast<const float*>(store.data(kParameterGroup));
    std::vector<const ParameterInfo*> together;
    int64_t begin = 0, end = 0;
    int since = 0;
    for (const UpdatedParameter& parameter : parameters) {
      const int64_t at = static_cast<const float*>(store.data(parameter.info->state)) - base;
      const bool joins = at == end && parameter.since == since;
      if (!together.empty() && !joins) add(neighbors(begin, end, &store), std::exchange(together, {}), since);
      if (together.empty()) begin = at;
      end = at + align_up(parameter.info->shape.count(), StateStore::kAlignment);
      since = parameter.since;
      together.push_back(parameter.info);
    }
    add(neighbors(begin, end, &store), together, since);
  }

  // Updates the states of a part, which has these parameters.
  void add(const Part& part, const std::vector<const ParameterInfo*>& parameters, int since) {
    const auto read = [&](const std::string& state) {
      return graph_.read_state({state, part.shape, StateOwner::kSolver});
    };
    const Value w = graph_.read_state({part.parameter, part.shape});
    // 1 where the pass and the gradients are usable, else 0; part of the map over the states.
    const Value passed = loss_ ? is_finite(broadcast_to(loss_, part.shape)) : Value();
    const Value usable = passed && finite_ ? passed * finite_ : finite_ ? finite_ : passed;
    const auto write = [&](const std::string& state, Value next, Value otherwise, Value condition) {
      const Value written = condition ? select(condition, next, otherwise) : next;
      graph_.write_state(state, written);
      return written;
    };

    const auto decay_mult = [](const ParameterInfo& p) { return p.decay_mult; };
    const bool decays = std::any_of(parameters.begin(), parameters.end(), [](auto* p) { return p->decay_mult != 0; });
    const auto lr_mult = [](const ParameterInfo& p) { return p.lr_mult; };
    Value g = clipped_mean(read(part.gradient), w), decay;
    if (decays && (solver_.weight_decay() != 0 || schedules_weight_decay(solver_)))
      decay = multiplier(part, parameters, decay_mult) * weight_decay_;
    if (decay && !rule_.owns_decay) g = g + decay * (solver_.regularization_type() == "L1" ? sign(w) : w);
    const Value h = read(part.history[0]), h2 = rule_.history > 1 ? read(part.history[1]) : Value();
    const RuleResult result = rule_.make({solver_, w, g, h, h2, rate_ * multiplier(part, parameters, lr_mult), decay,
                                          decays, momentum_, scalars_.at(since)});

    const Value next = write(part.parameter, w - result.step, w, usable);
    // As in Caffe, snapshots save the last step in place of the gradient.
    if (solver_.snapshot_diff()) write(part.gradient, result.step, constant(graph_, Shape{}, 0), usable);
    write(part.history[0], result.h, h, usable);
    if (rule_.history > 1) write(part.history[1], result.h2, h2, usable);
    if (!keeps_average_) return;
    const Value average = read(part.average);
    write(part.average, average + (next - average) * coefficient_, average, passed);
  }

  const caffe::SolverParameter& solver_;
  const Rule& rule_;
  DeviceSession& device_session_;
  const bool keeps_average_;
  Module module_;
  Graph& graph_ = *module_.graph;
  Value rate_, coefficient_, momentum_, weight_decay_;
  std::map<int, std::array<Value, std::tuple_size_v<RuleScalars>>> scalars_;  // by the first update
  Value loss_, finite_, clip_;                                                // empty if the update does not need them
};

const Rule& known_rule(const std::string& type) {
  const Rule* rule = find_rule(type);
  TRAINER_ASSERT(rule != nullptr);
  return *rule;
}

void add_groups(const Rule& rule, bool average, const std::vector<const ParameterInfo*>& parameters,
                StateStore* store) {
  const auto add = [&](const std::string& group, const auto& name) {
    std::vector<StateInfo> members;
    for (const ParameterInfo* parameter : parameters) members.push_back({name(parameter->state), parameter->shape});
    store->add_group(group, members);
  };
  for (int i = 0; i < rule.history; ++i)
    add(history_group(i), [&](const std::string& parameter) { return history_state(i, parameter); });
  if (average) add(kAverageGroup, average_state);
}

}  // namespace

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
      rule_(known_rule(solver.type())),
      device_session_(device_session),
      follows_pass_(device_session.world == 1 && !device_session.device->is_host()),
      keeps_average_(!average_name(solver).empty() && device_session.local == 0) {
  if (follows_pass_) device_session.store.add(kPassLoss, Shape{});
  add_groups(rule_, keeps_average_, parameters, &device_session.store);
  std::vector<UpdatedParameter> all;
  for (const ParameterInfo* parameter : parameters) all.push_back({parameter});
  update_only(all);
}

void UpdateRule::update_only(const std::vector<UpdatedParameter>& parameters) {
  std::set<int> since;
  for (const UpdatedParameter& parameter : parameters) since.insert(parameter.since);
  if (since.empty()) since.insert(0);
  since_.assign(since.begin(), since.end());
  program_ =
      compile(UpdateGraph(solver_, rule_, device_session_, follows_pass_, keeps_average_, since_).build(parameters),
              *device_session_.device, device_session_.store, device_session_.arena);
  const size_t count = kRuleScalars + since_.size() * std::tuple_size_v<RuleScalars>;
  TRAINER_ASSERT(program_->sources.size() == count);
  next_scalars_.assign(count, 0);
  spread_.assign(count * kScalarsApart, 0);
  scalars_on_device_.clear();
  scalars_ = std::make_unique<DeviceBlock>(*device_session_.device,
                                           static_cast<int64_t>(count * kScalarsApart * sizeof(float)));
  for (size_t i = 0; i < count; ++i)
    program_->set_source(static_cast<int>(i), static_cast<float*>(scalars_->data()) + kScalarsApart * i);
}

void UpdateRule::prepare(const ScheduledValues& values, int iteration) {
  if (schedules_momentum(solver_)) solver_.set_momentum(values.momentum);  // for the scalars of the rule
  std::vector<float>& next = next_scalars_;
  next[kRate] = values.rate;
  next[kMomentum] = values.momentum;
  next[kWeightDecay] = values.weight_decay;
  if (keeps_average_) next[kCoefficient] = average_coefficient(solver_, iteration);
  auto of_rule = next.begin() + kRuleScalars;
  for (int first : since_) {
    if (rule_.scalars_at == nullptr) break;
    const RuleScalars scalars = rule_.scalars_at(solver_, iteration - first);
    of_rule = std::copy(scalars.begin(), scalars.end(), of_rule);
  }
  if (next == scalars_on_device_) return;
  for (size_t i = 0; i < next.size(); ++i) spread_[kScalarsApart * i] = next[i];
  device_session_.device->copy_from_host(scalars_->data(), spread_.data(),
                                         static_cast<int64_t>(spread_.size() * sizeof(float)));
  scalars_on_device_ = next;
}

void UpdateRule::run_timed(const ScheduledValues& values, int iteration, std::vector<double>* seconds) {
  prepare(values, iteration);
  seconds->resize(program_->steps.size(), 0.0);
  program_->run_timed({}, seconds);
}

}  // namespace trainer
