// Compares a weight file with the net of a project.
#include "cli/project_weights.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "formats/weights.h"
#include "lowering/lower_net.h"
#include "session/assign_tensors.h"

namespace trainer {
namespace {

// Whether the file has all parameters of the layer, with as many values each.
bool fits(const LoweredNet& net, const LoweredLayer& layer, const WeightFile& file) {
  return std::ranges::any_of(file.layers, [&](const WeightLayer& stored) {
    if (stored.name != layer.param->name() || stored.blobs.size() != layer.parameters.size()) return false;
    for (size_t i = 0; i < stored.blobs.size(); ++i) {
      const ParameterInfo& parameter = net.parameters[static_cast<size_t>(layer.parameters[i])];
      if (stored.blobs[i].present && stored.blobs[i].shape.count() != parameter.shape.count()) return false;
    }
    return true;
  });
}

}  // namespace

void check_weights_fit(const Project& project) {
  const WeightFile file = read_weights(project.weights);
  const caffe::NetParameter net = project_core(project);
  LowerOptions options;
  options.phase = caffe::TEST;
  options.source_shapes = [](const caffe::LayerParameter&) { return std::vector<Shape>(); };
  Diagnostics problems;
  const std::unique_ptr<LoweredNet> lowered = lower_net(net, Positions(), options, &problems);
  problems.throw_if_errors();
  const WeightFile assigned = file.tensors == nullptr ? file : assign_tensors(*file.tensors, {}, *lowered);
  const bool any = std::ranges::any_of(lowered->layers, [&](const LoweredLayer& layer) {
    return !layer.parameters.empty() && fits(*lowered, layer, assigned);
  });
  if (any) return;
  throw data_error(
      "--weights={}: no layer of {} has its parameters in the file, by name and shape: give weights of this net, "
      "another --net, or leave out --weights",
      printable(project.weights), project.kind->name);
}

}  // namespace trainer
