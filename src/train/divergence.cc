// Finds the first NaN or infinity of a training that diverged.
#include "train/divergence.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"

namespace trainer {
namespace {

std::string first_bad_value(const Rank& rank) {
  const std::string data = rank.net->data().find_bad_value();
  if (!data.empty()) return "the first bad value is in the data: " + data;
  const LoweredNet& net = rank.net->lowered();
  for (const ParameterInfo& parameter : net.parameters) {
    const std::vector<float> values = rank.session().store.read(parameter.state);
    if (std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); })) continue;
    return fmt::format("the first bad value is in parameter {} of layer \"{}\", after the previous update",
                       parameter.blob, net.layers[static_cast<size_t>(parameter.layer)].param->name());
  }
  const std::optional<LayerShare> share = rank.net->find_bad_layer();
  if (!share || share->layer < 0) return "no single layer produces it";
  return fmt::format("the first bad value is a result of {}, {} pass",
                     subject_of(*net.layers[static_cast<size_t>(share->layer)].param),
                     share->pass == Pass::kForward ? "forward" : "backward");
}

}  // namespace

void fail_diverged(const Rank& rank, int iteration, float rate) {
  throw Error(
      ExitCode::kDiverged,
      fmt::format("the loss is {} at iteration {} (learning rate {}); {}. No snapshot is written, the last one is "
                  "kept. Try a smaller base_lr, clip_gradients, or look at the data",
                  rank.net->loss(), iteration, rate, first_bad_value(rank)));
}

}  // namespace trainer
