// Applies the patterns of freeze.
#include "train/freezing.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "lowering/multipliers.h"
#include "session/parameters.h"
#include "session/state_names.h"
#include "train/training_state.h"

namespace trainer {
namespace {

bool ends(const caffe::FreezeParameter& freeze) { return freeze.has_until_iter() || freeze.has_until_epochs(); }

// A stage before may have left gradients, which norms would count.
void clear_frozen_gradients(const LoweredNet& net, const std::vector<const ParameterInfo*>& learning,
                            StateStore& store) {
  for (const ParameterInfo* parameter : trained_parameters(net)) {
    if (std::find(learning.begin(), learning.end(), parameter) != learning.end()) continue;
    const std::vector<float> zeros(static_cast<size_t>(parameter->shape.count()), 0.0f);
    store.write(gradient_state(parameter->state), zeros.data());
  }
}

}  // namespace

int64_t count_of(const std::vector<const ParameterInfo*>& parameters) {
  int64_t count = 0;
  for (const ParameterInfo* parameter : parameters) count += parameter->shape.count();
  return count;
}

ParameterMultipliers multipliers_of(const caffe::SolverParameter& solver) {
  ParameterMultipliers multipliers{solver.param_rule(), solver.layer_decay(), {}, {}};
  multipliers.fresh = {solver.fresh().begin(), solver.fresh().end()};
  for (const caffe::FreezeParameter& freeze : solver.freeze()) {
    if (!ends(freeze)) multipliers.frozen.push_back(freeze.pattern());
  }
  return multipliers;
}

Freezing::Freezing(const caffe::SolverParameter& solver) : fresh_(solver.fresh().begin(), solver.fresh().end()) {
  std::set<int> begins = {0};
  for (const caffe::FreezeParameter& freeze : solver.freeze()) {
    patterns_.push_back({freeze.pattern(), ends(freeze) ? freeze.until_iter() : std::numeric_limits<int>::max()});
    if (ends(freeze)) begins.insert(freeze.until_iter());
  }
  stages_.assign(begins.begin(), begins.end());
  entered_ = stages_.size() - 1;
}

size_t Freezing::stage_of(int iteration) const {
  return static_cast<size_t>(std::upper_bound(stages_.begin(), stages_.end(), iteration) - stages_.begin()) - 1;
}

std::vector<std::string> Freezing::patterns(int iteration) const {
  std::vector<std::string> patterns;
  for (const Pattern& pattern : patterns_) {
    if (iteration < pattern.until) patterns.push_back(pattern.text);
  }
  return patterns;
}

std::set<std::string> Freezing::frozen(const LoweredNet& net, int iteration) const {
  ParameterMultipliers multipliers;
  multipliers.frozen = patterns(iteration);
  multipliers.fresh = fresh_;
  return frozen_parameters(multipliers, net);
}

std::vector<const ParameterInfo*> Freezing::learning(const LoweredNet& net, int iteration) const {
  const std::set<std::string> states = frozen(net, iteration);
  std::vector<const ParameterInfo*> parameters = trained_parameters(net);
  std::erase_if(parameters, [&](const ParameterInfo* parameter) { return states.count(parameter->state) != 0; });
  return parameters;
}

// A parameter that learns in a stage learns in all later ones.
std::vector<UpdatedParameter> Freezing::updated(const LoweredNet& net, size_t stage) const {
  std::map<const ParameterInfo*, int> since;
  for (size_t i = 0; i <= stage; ++i) {
    for (const ParameterInfo* parameter : learning(net, stages_[i])) since.emplace(parameter, stages_[i]);
  }
  std::vector<UpdatedParameter> parameters;
  for (const ParameterInfo* parameter : learning(net, stages_[stage]))
    parameters.push_back({parameter, since[parameter]});
  return parameters;
}

bool Freezing::enter(int iteration, const std::vector<Rank>& ranks,
                     const std::vector<std::unique_ptr<NetSession>>& tests, GradientSums* sums) {
  const size_t stage = stage_of(iteration);
  if (stage == entered_) return false;
  entered_ = stage;
  const std::vector<std::string> frozen = patterns(iteration);
  for (const auto& test : tests) test->freeze(frozen);
  for (const Rank& rank : ranks) {
    rank.session().device->synchronize();  // it may run a program that is replaced
    const LoweredNet& net = rank.net->lowered();
    clear_frozen_gradients(net, learning(net, iteration), rank.session().store);
    rank.net->freeze(frozen);
    rank.update->update_only(updated(net, stage));
  }
  if (sums == nullptr) return true;
  std::vector<std::string> gradients;
  for (const ParameterInfo* parameter : learning(ranks.front().net->lowered(), iteration))
    gradients.push_back(gradient_state(parameter->state));
  sums->divide(gradients);
  return true;
}

}  // namespace trainer
