// Scales the learning rate with the number of devices.
#include "train/rate_scaling.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text.h"

namespace trainer {
namespace {

// The iterations of the warm-up of a solver that has none.
int64_t added_warmup(const EpochLength& epoch, int64_t max_iter) {
  constexpr int64_t kEpochs = 5, kWithoutEpochs = 1000, kPart = 10;
  int64_t iterations = kWithoutEpochs;
  if (epoch.records > 0 && epoch.per_iteration > 0)
    iterations = static_cast<int64_t>(
        std::ceil(static_cast<double>(kEpochs * epoch.records) / static_cast<double>(epoch.per_iteration)));
  return std::min(iterations, max_iter / kPart);
}

float scaled(const char* flag, const char* field, float rate, double factor) {
  const auto product = static_cast<float>(rate * factor);
  if (!std::isfinite(product))
    throw config_error("{}: {} {} becomes {}; set a lower {}", flag, field, rate, product, field);
  return product;
}

}  // namespace

std::string scale_rate(RateScaling scaling, int devices, const EpochLength& epoch, caffe::SolverParameter* solver) {
  if (scaling == RateScaling::kNone || devices == 1) return "";
  const bool linear = scaling == RateScaling::kLinear;
  const char* const flag = linear ? "--scale_rate=linear" : "--scale_rate=sqrt";
  const double factor = linear ? devices : std::sqrt(static_cast<double>(devices));
  const float rate = solver->base_lr();
  solver->set_base_lr(scaled(flag, "base_lr", rate, factor));
  if (solver->has_final_lr()) solver->set_final_lr(scaled(flag, "final_lr", solver->final_lr(), factor));
  std::string line = fmt::format(fmt::runtime(linear ? "{}: base_lr {:.6g} x {} devices = {:.6g}"
                                                     : "{}: base_lr {:.6g} x sqrt({} devices) = {:.6g}"),
                                 flag, rate, format_count(devices), solver->base_lr());
  if (solver->has_warmup_iter() || solver->has_warmup_epochs() || solver->lr_policy() == "one_cycle") return line;
  const int64_t warmup = added_warmup(epoch, solver->max_iter());
  if (warmup == 0) return line;
  solver->set_warmup_iter(static_cast<uint32_t>(warmup));
  if (!solver->has_warmup_start()) solver->set_warmup_start(static_cast<float>(1 / factor));
  return line + fmt::format(", warm-up over {} iterations", format_count(warmup));
}

}  // namespace trainer
