// Adds parameters and resolves sharing by the name of a param spec.
#include "lowering/parameter_table.h"

namespace trainer {

// Numbers layers of one name that own blobs: "conv", "conv#2".
std::string ParameterTable::state_name(int layer, int blob) {
  const std::string& name = net_.layers[static_cast<size_t>(layer)].param->name();
  std::string holder = name;
  for (int ordinal = 2;; ++ordinal) {
    const auto [entry, inserted] = holder_.emplace(holder, layer);
    if (entry->second == layer) break;
    holder = fmt::format("{}#{}", name, ordinal);
  }
  return fmt::format("{}/{}", holder, blob);
}

void ParameterTable::agree(LayerContext& context, const std::string& what, const ParameterInfo& parameter, float given,
                           std::optional<float>& known, float& owners) {
  if (known && *known != given)
    context.fail(fmt::format("param[{}]", parameter.blob),
                 fmt::format("shared param \"{}\" has mismatched {}: {} here, {} before", parameter.param_name, what,
                             given, *known),
                 "layers that share a blob must give it the same value, or only one of them gives it");
  known = given;
  owners = given;
}

void ParameterTable::share(LayerContext& context, const caffe::ParamSpec& spec, ParameterInfo& parameter) {
  Shared& shared = shared_[spec.name()];
  if (shared.owner < 0) {
    shared.owner = static_cast<int>(net_.parameters.size());
    if (spec.has_lr_mult()) shared.lr_mult = spec.lr_mult();
    if (spec.has_decay_mult()) shared.decay_mult = spec.decay_mult();
    return;
  }
  ParameterInfo& owner = net_.parameters[static_cast<size_t>(shared.owner)];
  const std::string& owner_name = net_.layers[static_cast<size_t>(owner.layer)].param->name();
  const bool permissive = spec.share_mode() == caffe::ParamSpec::PERMISSIVE;
  if (permissive ? owner.shape.count() != parameter.shape.count() : owner.shape != parameter.shape)
    context.fail(fmt::format("param[{}]", parameter.blob),
                 fmt::format("cannot share param \"{}\" owned by layer \"{}\" with layer \"{}\"; {} mismatch: the "
                             "owner's is {}, this layer expects {}",
                             spec.name(), owner_name, context.param().name(), permissive ? "count" : "shape",
                             owner.shape.caffe_text(), parameter.shape.caffe_text()),
                 permissive ? "shared blobs must hold the same number of elements"
                            : "shared blobs must have one shape, or the same number of elements with share_mode: "
                              "PERMISSIVE");
  if (owner.statistic != parameter.statistic)
    context.fail(fmt::format("param[{}]", parameter.blob),
                 fmt::format("param \"{}\" is learned in one layer and a statistic in another", spec.name()));
  if (spec.has_lr_mult()) agree(context, "lr_mult", parameter, spec.lr_mult(), shared.lr_mult, owner.lr_mult);
  if (spec.has_decay_mult())
    agree(context, "decay_mult", parameter, spec.decay_mult(), shared.decay_mult, owner.decay_mult);
  parameter.owner = false;
  parameter.state = owner.state;
}

Value ParameterTable::add(LayerContext& context, int layer, const Shape& shape, const caffe::FillerParameter& filler,
                          bool statistic) {
  LoweredLayer& lowered = net_.layers[static_cast<size_t>(layer)];
  ParameterInfo parameter;
  parameter.layer = layer;
  parameter.blob = static_cast<int>(lowered.parameters.size());
  parameter.shape = shape;
  parameter.statistic = statistic;
  parameter.filler = filler;
  if (statistic) parameter.lr_mult = 0;
  if (parameter.blob < context.param().param_size()) {
    const caffe::ParamSpec& spec = context.param().param(parameter.blob);
    if (!statistic) parameter.lr_mult = spec.lr_mult();
    parameter.decay_mult = spec.decay_mult();
    parameter.param_name = spec.name();
    if (!spec.name().empty()) share(context, spec, parameter);
  }
  if (parameter.owner) parameter.state = state_name(layer, parameter.blob);
  const Shape stored =
      parameter.owner ? shape : net_.parameters[static_cast<size_t>(shared_[parameter.param_name].owner)].shape;
  parameter.value = reshape(context.graph().read_state({parameter.state, stored, StateOwner::kModel}), shape);
  if (separate_readers_) parameter.value = copy_of(parameter.value);
  lowered.parameters.push_back(static_cast<int>(net_.parameters.size()));
  net_.parameters.push_back(parameter);
  return parameter.value;
}

}  // namespace trainer
