// trainer::Net.
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "api/call_scope.h"
#include "base/error.h"
#include "base/text.h"
#include "hub/weight_names.h"
#include "session/choose_device.h"
#include "session/open_net.h"
#include "session/parameters.h"
#include "trainer/trainer.h"

namespace trainer {
namespace {

PrototxtSource source_of(const NetOptions& options) {
  if (options.model.empty() == options.model_text.empty())
    throw config_error("give one of model, the prototxt file of a net, and model_text, its text");
  return options.model.empty() ? PrototxtSource("model_text", options.model_text) : PrototxtSource(options.model);
}

OpenNetOptions open_options(const NetOptions& options) {
  OpenNetOptions open;
  open.device_options = device_options(options.precision, options.deterministic);
  open.weights = options.weights;
  open.allow_fresh = options.allow_fresh;
  open.keep = options.keep;
  open.keep_outputs = true;
  for (const auto& [top, dims] : options.inputs) open.shapes.emplace(top, Shape(dims));
  open.inputs = InputUse::kArrays;
  return open;
}

void require_count(const std::string& subject, const Shape& shape, size_t count) {
  if (static_cast<int64_t>(count) != shape.count())
    throw config_error("{} has {} elements in the shape {}, and the array has {}", subject, shape.count(), shape.text(),
                       count);
}

}  // namespace

class Net::Impl {
 public:
  explicit Impl(const NetOptions& options) : threads(threads_of(options.threads)), log(options.log) {
    const CallScope scope(threads, log);
    OpenNetOptions open = open_options(options);
    const caffe::Phase phase = options.phase == RunPhase::kTrain ? caffe::TRAIN : caffe::TEST;
    ConfiguredNet configured =
        configure_or_throw(source_of(options), requested_state(phase, options.level, options.stages),
                           {options.set, options.fill}, UnfilledInput::kArrays, open.shapes);
    fetch_named(options.weights);
    const ChosenDevice device = choose_device(DeviceRequest::of(options.device));
    log_info(device.use);
    open.device = device;
    net.emplace(std::move(configured), open);
  }

  const LoweredNet& lowered() const { return net->session().lowered(); }

  size_t kept_index(const std::string& blob) const {
    const std::vector<std::string>& kept = net->kept();
    const auto found = std::find(kept.begin(), kept.end(), blob);
    if (found == kept.end())
      throw config_error("blob \"{}\" is not kept: add it to keep. Blobs that can be read: {}", blob,
                         fmt::join(kept, ", "));
    return static_cast<size_t>(found - kept.begin());
  }

  std::vector<std::string> learned_layers() const {
    std::vector<std::string> names;
    for (const LoweredLayer& layer : lowered().layers) {
      if (!layer.parameters.empty()) names.push_back(layer.param->name());
    }
    return names;
  }

  const LoweredLayer& learned_layer(const std::string& name) const {
    for (const LoweredLayer& layer : lowered().layers) {
      if (!layer.parameters.empty() && layer.param->name() == name) return layer;
    }
    const std::vector<std::string> layers = learned_layers();
    throw config_error("no layer \"{}\" has learned blobs{}; these have: {}", name,
                       suggest(name, layers, ", did you mean \"{}\"?"), fmt::join(layers, ", "));
  }

  const ParameterInfo& parameter(const std::string& name, int blob) const {
    const LoweredLayer& layer = learned_layer(name);
    if (blob < 0 || static_cast<size_t>(blob) >= layer.parameters.size())
      throw config_error("layer \"{}\" has no learned blob {}: it has {}", name, blob, layer.parameters.size());
    return lowered().parameters[static_cast<size_t>(layer.parameters[static_cast<size_t>(blob)])];
  }

  const int threads;
  CallerLog log;
  std::optional<OpenNet> net;
  bool has_run = false;
};

Net::Net(const NetOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Net::~Net() = default;
Net::Net(Net&&) noexcept = default;
Net& Net::operator=(Net&&) noexcept = default;

std::vector<std::string> Net::inputs() const { return impl_->net->session().inputs().names(); }

std::vector<std::string> Net::outputs() const {
  std::vector<std::string> names;
  for (const NetOutput& output : impl_->lowered().outputs) names.push_back(output.name);
  return names;
}

Dims Net::shape(const std::string& blob) const {
  const NetSession& session = impl_->net->session();
  const std::vector<std::string> names = inputs();
  if (std::find(names.begin(), names.end(), blob) != names.end()) return session.inputs().shape(blob).dims();
  const size_t index = impl_->kept_index(blob);
  return (impl_->has_run ? session.kept_shape(index) : find_blob(impl_->lowered(), blob)->value.shape()).dims();
}

void Net::set_input(const std::string& input, std::span<const float> values) {
  impl_->net->session().set_input(input, values, std::nullopt);
}

void Net::set_input(const std::string& input, std::span<const float> values, const Dims& dims) {
  impl_->net->session().set_input(input, values, Shape(dims));
}

void Net::forward() {
  const CallScope scope(impl_->threads, impl_->log);
  impl_->net->session().run_next(ProgramKind::kForward);
  impl_->has_run = true;
}

float Net::loss() const { return impl_->net->session().loss(); }

std::vector<float> Net::read(const std::string& blob) const {
  std::vector<float> values(static_cast<size_t>(Shape(shape(blob)).count()));
  read(blob, values);
  return values;
}

void Net::read(const std::string& blob, std::span<float> values) const {
  const size_t index = impl_->kept_index(blob);
  if (!impl_->has_run) throw config_error("blob \"{}\" has no values before the first pass: call forward first", blob);
  const NetSession& session = impl_->net->session();
  require_count(fmt::format("blob \"{}\"", blob), session.kept_shape(index), values.size());
  const CallScope scope(impl_->threads, impl_->log);
  session.read_kept(index, values.data());
}

std::vector<std::string> Net::learned_layers() const { return impl_->learned_layers(); }

int Net::learned_blobs(const std::string& layer) const {
  return static_cast<int>(impl_->learned_layer(layer).parameters.size());
}

Dims Net::learned_shape(const std::string& layer, int blob) const { return impl_->parameter(layer, blob).shape.dims(); }

std::vector<float> Net::read_learned(const std::string& layer, int blob) const {
  return impl_->net->store().read(impl_->parameter(layer, blob).state);
}

void Net::write_learned(const std::string& layer, int blob, std::span<const float> values) {
  const ParameterInfo& parameter = impl_->parameter(layer, blob);
  require_count(fmt::format("learned blob {} of layer \"{}\"", blob, layer), parameter.shape, values.size());
  impl_->net->store().write(parameter.state, values.data());
}

void Net::save_weights(const std::string& path) const {
  trainer::save_weights(path, impl_->lowered(), impl_->net->session().notes(), impl_->net->store());
}

}  // namespace trainer
