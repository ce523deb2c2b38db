// Samples the schedule of a solver.
#include "train/schedule_curves.h"

#include <algorithm>

#include "train/schedule.h"

namespace trainer {

std::vector<Series> schedule_curves(const caffe::SolverParameter& solver) {
  constexpr int kSamples = 1000;
  Series rate, momentum, weight_decay;
  rate.name = "learning rate";
  momentum.name = "momentum";
  weight_decay.name = "weight decay";
  const int last = std::max(solver.max_iter() - 1, 0), stretch = 1 + last / kSamples;
  ScheduleState state;
  const auto sample = [&](int iteration) {
    const ScheduledValues values = scheduled_values(solver, iteration, &state);
    rate.points.push_back({iteration, values.rate});
    momentum.points.push_back({iteration, values.momentum});
    weight_decay.points.push_back({iteration, values.weight_decay});
  };
  for (int64_t iteration = 0; iteration < last; iteration += stretch) sample(static_cast<int>(iteration));
  sample(last);
  std::vector<Series> curves = {std::move(rate)};
  if (schedules_momentum(solver)) curves.push_back(std::move(momentum));
  if (schedules_weight_decay(solver)) curves.push_back(std::move(weight_decay));
  return curves;
}

}  // namespace trainer
