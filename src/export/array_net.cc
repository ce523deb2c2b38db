// Runs a net on arrays.
#include "export/array_net.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "base/error.h"
#include "base/philox.h"
#include "export/sequence_marks.h"
#include "session/choose_device.h"
#include "session/parameters.h"

namespace trainer {
namespace {

// The outputs, and the scores that become probabilities: these can be equal where scores are not.
std::vector<std::string> blobs_to_compare(const ExportedNet& net, const LoweredNet& lowered) {
  std::vector<std::string> blobs;
  for (const NetOutput& output : lowered.outputs) {
    if (find_blob(lowered, output.name) != nullptr) blobs.push_back(output.name);
  }
  std::set<std::string> inputs;
  for (const ExportedLayer& layer : net.layers) {
    const caffe::LayerParameter& param = layer.param;
    if (param.type() == "Input") inputs.insert(param.top().begin(), param.top().end());
    if (param.type() != "Softmax" && param.type() != "Sigmoid") continue;
    if (std::find(blobs.begin(), blobs.end(), param.top(0)) == blobs.end()) continue;
    if (param.bottom(0) != param.top(0) && inputs.count(param.bottom(0)) == 0) blobs.push_back(param.bottom(0));
  }
  return blobs;
}

}  // namespace

ArrayNet::ArrayNet(const ExportedNet& net, const GivenShapes& shapes)
    : message_(net.message()),
      device_session_(cpu_device().spec),
      session_(message_, positions_, caffe::TEST, 0, device_session_, shapes, InputUse::kArrays),
      compared_(blobs_to_compare(net, session_.lowered())),
      marks_(input_marks(net)) {
  session_.keep_blobs(compared_);
  add_parameters(lowered(), 0, false, device_session_.store);
  for (size_t i = 0; i < net.layers.size(); ++i) {
    if (net.layers[i].blobs.empty()) continue;
    const LoweredLayer& layer = lowered().layers[i];
    TRAINER_ASSERT(layer.parameters.size() == net.layers[i].blobs.size());
    for (size_t blob = 0; blob < layer.parameters.size(); ++blob) {
      const ParameterInfo& parameter = lowered().parameters[static_cast<size_t>(layer.parameters[blob])];
      TRAINER_ASSERT(parameter.shape.count() == net.layers[i].blobs[blob].shape.count());
      device_session_.store.write(parameter.state, net.layers[i].blobs[blob].data.data());
    }
  }
}

void ArrayNet::load(const std::string& path) {
  if (lowered().parameters.empty()) return;
  require_trained(path, load_weights(read_weights(path), lowered(), device_session_.store, {}), false);
}

NamedArrays ArrayNet::random_inputs() const {
  NamedArrays inputs;
  for (const LoweredLayer& layer : lowered().layers) {
    if (layer.param->type() != "Input") continue;
    for (const LoweredTop& top : layer.tops) {
      NamedArray& input = inputs[top.name];
      input.shape = session_.inputs().shape(top.name);
      input.values.resize(static_cast<size_t>(input.shape.count()));
      const uint64_t key = philox_key(0, message_.name(), top.name, "export");
      for (size_t i = 0; i < input.values.size(); ++i)
        input.values[i] = 2 * uniform_from_bits(philox_element(key, 0, i)) - 1;
      for (const LabelRequirement& label : lowered().labels) {
        if (!(label.value == top.value)) continue;
        for (float& value : input.values)
          value = std::floor((value + 1) * 0.499f * static_cast<float>(label.range.classes));
      }
      if (std::find(marks_.begin(), marks_.end(), top.name) == marks_.end()) continue;
      const auto step = static_cast<size_t>(input.shape.count(1));
      for (size_t i = 0; i < input.values.size(); ++i) input.values[i] = i < step ? 0 : 1;
    }
  }
  return inputs;
}

NamedArrays ArrayNet::run(const NamedArrays& inputs) {
  for (const auto& [name, input] : inputs) session_.set_input(name, input.values, input.shape);
  session_.run_next(ProgramKind::kForward);
  NamedArrays results;
  for (size_t i = 0; i < compared_.size(); ++i) {
    NamedArray& output = results[compared_[i]];
    output.shape = session_.kept_shape(i);
    output.values.resize(static_cast<size_t>(output.shape.count()));
    session_.read_kept(i, output.values.data());
  }
  return results;
}

std::unique_ptr<LoweredNet> try_to_lower(const caffe::NetParameter& net, const GivenShapes& shapes) {
  LowerOptions options;
  options.phase = caffe::TEST;
  options.source_shapes = [&](const caffe::LayerParameter& layer) {
    std::vector<Shape> tops;
    for (const std::string& top : layer.top()) tops.push_back(shapes.at(top));
    return tops;
  };
  const Positions positions;
  Diagnostics problems;
  std::unique_ptr<LoweredNet> lowered = lower_net(net, positions, options, &problems);
  return problems.has_errors() ? nullptr : std::move(lowered);
}

GivenShapes input_shapes(const caffe::NetParameter& net, int64_t batch) {
  GivenShapes shapes;
  for (const caffe::LayerParameter& layer : net.layer()) {
    if (layer.type() != "Input") continue;
    for (int i = 0; i < layer.top_size(); ++i) {
      const caffe::BlobShape& dims = layer.input_param().shape(layer.input_param().shape_size() == 1 ? 0 : i);
      Shape shape(std::vector<int64_t>(dims.dim().begin(), dims.dim().end()));
      if (batch > 0 && shape.rank() > 0) shape[0] = batch;
      shapes[layer.top(i)] = shape;
    }
  }
  return shapes;
}

double largest_difference(const NamedArrays& expected, const NamedArrays& actual) {
  constexpr double kNone = std::numeric_limits<double>::infinity();
  double largest = 0;
  for (const auto& [name, array] : expected) {
    const auto found = actual.find(name);
    if (found == actual.end() || found->second.shape != array.shape) return kNone;
    double scale = 0, difference = 0;
    for (size_t i = 0; i < array.values.size(); ++i) {
      const double a = array.values[i], b = found->second.values[i];
      if (a == b || (std::isnan(a) && std::isnan(b))) {
        if (std::isfinite(a)) scale = std::max(scale, std::abs(a));
        continue;
      }
      if (!std::isfinite(a) || !std::isfinite(b)) return kNone;
      scale = std::max(scale, std::abs(a));
      difference = std::max(difference, std::abs(a - b));
    }
    largest = std::max(largest, scale > 0 ? difference / scale : difference);
  }
  return largest;
}

}  // namespace trainer
