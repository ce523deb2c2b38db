// Freezes parameters in the stages of a training. The first stage begins with iteration 0, and each freeze.until_iter
// begins another one.
//
// A frozen parameter has no part in backward pass, sums and update. One that learns in another stage has its memory for
// gradient and history from the start.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "lowering/lower_net.h"
#include "session/gradient_sums.h"
#include "session/net_session.h"
#include "train/update_rule.h"

namespace trainer {

struct Rank;

// The elements of parameters.
int64_t count_of(const std::vector<const ParameterInfo*>& parameters);

// The multipliers of a net in the last stage.
ParameterMultipliers multipliers_of(const caffe::SolverParameter& solver);

class Freezing {
 public:
  // The solver has its fields in epochs resolved.
  explicit Freezing(const caffe::SolverParameter& solver);

  // The first iteration of each stage, ascending.
  const std::vector<int>& stages() const { return stages_; }
  // The states of the parameters and statistics of a net that are frozen in an iteration.
  std::set<std::string> frozen(const LoweredNet& net, int iteration) const;
  // The parameters of a training net that learn in an iteration, in order.
  std::vector<const ParameterInfo*> learning(const LoweredNet& net, int iteration) const;

  // Prepares nets, updates and sums for the stage of an iteration. Returns false if they are ready for it, as new ones
  // are for the last stage.
  bool enter(int iteration, const std::vector<Rank>& ranks, const std::vector<std::unique_ptr<NetSession>>& tests,
             GradientSums* sums);

 private:
  struct Pattern {
    std::string text;
    int until;
  };
  size_t stage_of(int iteration) const;
  std::vector<UpdatedParameter> updated(const LoweredNet& net, size_t stage) const;
  std::vector<std::string> patterns(int iteration) const;

  std::vector<Pattern> patterns_;
  std::vector<std::string> fresh_;
  std::vector<int> stages_;
  size_t entered_;
};

}  // namespace trainer
