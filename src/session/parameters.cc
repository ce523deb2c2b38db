// The learned blobs of a net as states of the store.
#include "session/parameters.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "base/error.h"
#include "base/philox.h"
#include "base/text.h"
#include "data/picture_input.h"
#include "formats/weight_tensors.h"
#include "layers/shared/filler.h"
#include "lowering/multipliers.h"
#include "session/state_names.h"

namespace trainer {
namespace {

// The values in the net itself, or nullptr.
const caffe::BlobProto* given_values(const LoweredNet& net, const ParameterInfo& parameter) {
  const LoweredLayer& layer = net.layers[static_cast<size_t>(parameter.layer)];
  return layer.param->blobs_size() > parameter.blob ? &layer.param->blobs(parameter.blob) : nullptr;
}

void check_given_values(const LoweredNet& net, const ParameterInfo& parameter) {
  const caffe::BlobProto* given = given_values(net, parameter);
  if (given == nullptr) return;
  const int count = given->double_data_size() > 0 ? given->double_data_size() : given->data_size();
  if (count != parameter.shape.count())
    throw config_error("layer \"{}\": blobs[{}] written in the net has {} values; the layer's blob {} takes {}",
                       net.layers[static_cast<size_t>(parameter.layer)].param->name(), parameter.blob, count,
                       parameter.shape.caffe_text(), parameter.shape.count());
}

std::vector<float> initial_values(const LoweredNet& net, const ParameterInfo& parameter, uint64_t seed) {
  if (const caffe::BlobProto* given = given_values(net, parameter)) {
    if (given->double_data_size() > 0) return {given->double_data().begin(), given->double_data().end()};
    return {given->data().begin(), given->data().end()};
  }
  std::vector<float> values(static_cast<size_t>(parameter.shape.count()), 0.0f);
  if (parameter.statistic) return values;
  fill(parameter.filler, parameter.shape, philox_key(seed, net.name, parameter.state, "filler"),
       {values.data(), values.size()});
  return values;
}

// Compares legacy shapes right-aligned in four axes: 1,1,3,5 fits 3,5.
bool shapes_fit(const WeightBlob& blob, const Shape& target) {
  if (!blob.legacy_shape) return blob.shape == target;
  if (target.rank() > 4) return false;
  for (int i = 1; i <= 4; ++i) {
    const int64_t have = i <= blob.shape.rank() ? blob.shape[blob.shape.rank() - i] : 1;
    const int64_t want = i <= target.rank() ? target[target.rank() - i] : 1;
    if (have != want) return false;
  }
  return true;
}

// The first layer of this name that has blobs, else the first.
const LoweredLayer* find_layer(const LoweredNet& net, const std::string& name) {
  const LoweredLayer* found = nullptr;
  for (const LoweredLayer& layer : net.layers) {
    if (layer.param->name() != name) continue;
    if (!layer.parameters.empty()) return &layer;
    if (found == nullptr) found = &layer;
  }
  return found;
}

// Whether another layer of the file has this name and blobs.
bool has_twin_with_blobs(const WeightFile& file, const std::string& name) {
  return std::any_of(file.layers.begin(), file.layers.end(),
                     [&](const WeightLayer& layer) { return layer.name == name && !layer.blobs.empty(); });
}

using States = std::set<std::string>;

// Why the layer's blobs do not fit, or "". Those that start fresh always do.
std::string misfit(const WeightLayer& source, const LoweredLayer& target, const LoweredNet& net, bool omits_shared,
                   const States& fresh = {}) {
  size_t least = target.parameters.size();
  while (omits_shared && least > 0 && !net.parameters[static_cast<size_t>(target.parameters[least - 1])].owner) --least;
  if (source.blobs.size() < least || source.blobs.size() > target.parameters.size())
    return fmt::format("the file has {} blobs, the net's layer has {}", source.blobs.size(), target.parameters.size());
  for (size_t i = 0; i < source.blobs.size(); ++i) {
    const ParameterInfo& parameter = net.parameters[static_cast<size_t>(target.parameters[i])];
    if (fresh.count(parameter.state) != 0) continue;
    if (!source.blobs[i].present) {
      if (parameter.owner) return fmt::format("blob {} is missing from the file", i);
      continue;
    }
    if (!shapes_fit(source.blobs[i], parameter.shape))
      return fmt::format("blob {}: {} in the file, {} in the net", i, source.blobs[i].shape.caffe_text(),
                         parameter.shape.caffe_text());
  }
  return "";
}

size_t count_of(WeightMatch::Kind kind, const std::vector<WeightMatch>& matches) {
  return static_cast<size_t>(
      std::count_if(matches.begin(), matches.end(), [kind](const WeightMatch& match) { return match.kind == kind; }));
}

// The names of the layers with this kind of match.
std::vector<std::string> layers_of(WeightMatch::Kind kind, const std::vector<WeightMatch>& matches) {
  std::vector<std::string> names;
  for (const WeightMatch& match : matches) {
    if (match.kind == kind) names.push_back(match.layer);
  }
  return names;
}

// Shows a layer of the file that has almost the name of a layer of the net: the same end, or few other letters.
std::string naming_hint(const std::vector<WeightMatch>& matches) {
  const std::vector<std::string> unused = layers_of(WeightMatch::kUnused, matches);
  for (const std::string& fresh : layers_of(WeightMatch::kFresh, matches)) {
    const auto ends_alike = [&](const std::string& name) {
      return name.size() > fresh.size() && name.ends_with(fresh) &&
             std::strchr("./_", name[name.size() - fresh.size() - 1]);
    };
    const auto longer = std::find_if(unused.begin(), unused.end(), ends_alike);
    const std::string near = longer == unused.end() ? nearest_name(fresh, unused) : *longer;
    if (!near.empty())
      return fmt::format(
          "The file has \"{}\" and the net \"{}\": give a file of such pairs with --weights_map (trainer help "
          "fine-tuning)",
          printable(near), printable(fresh));
  }
  return "Is it the right file?";
}

void require_fit(const std::string& path, const std::vector<WeightMatch>& matches, const char* remedy) {
  if (count_of(WeightMatch::kMismatched, matches) > 0)
    throw data_error("{}\nLayers of the same name must have blobs of the same shape{}", match_table(path, matches),
                     remedy);
  if (count_of(WeightMatch::kLoaded, matches) == 0)
    throw data_error("{}\nNo layer of this file fits the net: layers are matched by name. {}",
                     match_table(path, matches), naming_hint(matches));
}

// Whether a blob of the layer starts from its filler, as neither the file nor the net has values for it.
bool is_fresh(const LoweredLayer& layer, const LoweredNet& net, const States& loaded) {
  return std::any_of(layer.parameters.begin(), layer.parameters.end(), [&](int index) {
    const ParameterInfo& parameter = net.parameters[static_cast<size_t>(index)];
    return parameter.owner && loaded.count(parameter.state) == 0 && given_values(net, parameter) == nullptr;
  });
}

bool starts_fresh(const LoweredLayer& layer, const LoweredNet& net, const States& fresh) {
  return !layer.parameters.empty() && std::all_of(layer.parameters.begin(), layer.parameters.end(), [&](int index) {
    return fresh.count(net.parameters[static_cast<size_t>(index)].state) != 0;
  });
}

// Names an unused layer of the file that may be the layer that the file lacks: one with blobs of equal shape that has a
// similar name or is the only one.
std::string twin_hint(const LoweredLayer& layer, const LoweredNet& net, const WeightFile& file) {
  std::vector<std::string> fitting;
  for (const WeightLayer& source : file.layers) {
    if (!source.blobs.empty() && find_layer(net, source.name) == nullptr &&
        misfit(source, layer, net, file.omits_shared).empty())
      fitting.push_back(source.name);
  }
  const std::string near = nearest_name(layer.param->name(), fitting);
  const std::string& twin = near.empty() && fitting.size() == 1 ? fitting.front() : near;
  return twin.empty() ? "" : fmt::format("; \"{}\" of the file, which the net lacks, has its shape", twin);
}

}  // namespace

std::vector<const ParameterInfo*> trained_parameters(const LoweredNet& net) {
  std::vector<const ParameterInfo*> trained;
  for (const ParameterInfo& parameter : net.parameters) {
    if (parameter.owner && !parameter.statistic && parameter.lr_mult != 0) trained.push_back(&parameter);
  }
  return trained;
}

std::vector<const ParameterInfo*> declare_parameters(const LoweredNet& net, bool trained, StateStore& store) {
  std::vector<const ParameterInfo*> added;
  const auto add = [&](const ParameterInfo& parameter) {
    check_given_values(net, parameter);
    added.push_back(&parameter);
  };
  if (trained && !store.contains(kParameterGroup)) {
    std::vector<StateInfo> parameters, gradients;
    for (const ParameterInfo* parameter : trained_parameters(net)) {
      add(*parameter);
      parameters.push_back({parameter->state, parameter->shape});
      gradients.push_back({gradient_state(parameter->state), parameter->shape});
    }
    store.add_group(kParameterGroup, parameters);
    store.add_group(kGradientGroup, gradients);
  }
  for (const ParameterInfo& parameter : net.parameters) {
    if (!parameter.owner) continue;
    if (!store.contains(parameter.state)) {
      add(parameter);
      store.add(parameter.state, parameter.shape);
    } else if (store.shape(parameter.state) != parameter.shape) {
      const LoweredLayer& layer = net.layers[static_cast<size_t>(parameter.layer)];
      const std::string bottom =
          layer.bottoms.empty()
              ? ""
              : fmt::format(" Its bottom \"{}\" is {} in this net: do both nets read data of one shape (channels)?",
                            layer.bottom_names.front(), layer.bottoms.front().shape().text());
      throw config_error(
          "layer \"{}\": blob {} is {} in the training net and {} in this one; nets that share a layer by "
          "name need equal shapes.{} Layers with separate weights need different names",
          layer.param->name(), parameter.blob, store.shape(parameter.state).caffe_text(), parameter.shape.caffe_text(),
          bottom);
    }
  }
  return added;
}

void add_parameters(const LoweredNet& net, uint64_t seed, bool trained, StateStore& store) {
  for (const ParameterInfo* parameter : declare_parameters(net, trained, store))
    store.write(parameter->state, initial_values(net, *parameter, seed).data());
}

namespace {

std::vector<WeightMatch> load_layers(const WeightFile& file, const LoweredNet& net,
                                     const std::vector<std::string>& fresh_patterns, StateStore& store) {
  const States fresh = matched_parameters(fresh_patterns, net, Statistics::kMatched);
  std::vector<WeightMatch> matches;
  std::vector<std::string> seen;
  States loaded;
  for (const WeightLayer& source : file.layers) {
    const LoweredLayer* target = find_layer(net, source.name);
    seen.push_back(source.name);
    if (target == nullptr) {
      if (!source.blobs.empty())
        matches.push_back({WeightMatch::kUnused, source.name, "no layer of this name in the net"});
      continue;
    }
    if (source.blobs.empty() && (target->parameters.empty() || has_twin_with_blobs(file, source.name))) continue;
    if (starts_fresh(*target, net, fresh)) {
      matches.push_back({WeightMatch::kFresh, source.name, "named by fresh: starts from its fillers"});
      continue;
    }
    const std::string why = misfit(source, *target, net, file.omits_shared, fresh);
    if (!why.empty()) {
      matches.push_back({WeightMatch::kMismatched, source.name, why});
      continue;
    }
    for (size_t i = 0; i < source.blobs.size(); ++i) {
      const ParameterInfo& parameter = net.parameters[static_cast<size_t>(target->parameters[i])];
      if (!source.blobs[i].present || fresh.count(parameter.state) != 0) continue;
      if (store.shape(parameter.state).count() != parameter.shape.count()) continue;
      const WeightBlob& blob = source.blobs[i];
      store.write(parameter.state, blob.read ? blob.read().data() : blob.data.data());
      loaded.insert(parameter.state);
    }
    matches.push_back({WeightMatch::kLoaded, source.name, ""});
  }
  for (const LoweredLayer& layer : net.layers) {
    if (layer.parameters.empty() || std::find(seen.begin(), seen.end(), layer.param->name()) != seen.end()) continue;
    if (!is_fresh(layer, net, loaded)) continue;
    matches.push_back({WeightMatch::kFresh, layer.param->name(),
                       "not in the file: starts from its fillers" + twin_hint(layer, net, file)});
  }
  return matches;
}

}  // namespace

std::vector<WeightMatch> load_weights(const WeightFile& file, const LoweredNet& net, StateStore& store,
                                      const WeightMatching& matching) {
  if (file.tensors == nullptr && matching.by_name()) return load_layers(file, net, matching.fresh, store);
  return load_layers(assign_tensors(tensors_of(file), matching, net), net, matching.fresh, store);
}

std::string match_table(const std::string& path, const std::vector<WeightMatch>& matches) {
  const char* words[] = {"loaded", "fresh", "mismatched", "unused"};
  std::map<int, std::vector<const WeightMatch*>> by_kind;
  for (const WeightMatch& match : matches) by_kind[match.kind].push_back(&match);
  std::string out = fmt::format("Weights from {}: {} layers loaded, {} fresh, {} mismatched, {} unused", path,
                                by_kind[WeightMatch::kLoaded].size(), by_kind[WeightMatch::kFresh].size(),
                                by_kind[WeightMatch::kMismatched].size(), by_kind[WeightMatch::kUnused].size());
  for (int kind : {WeightMatch::kMismatched, WeightMatch::kFresh, WeightMatch::kUnused}) {
    for (const WeightMatch* match : by_kind[kind])
      out += fmt::format("\n  {:<10} {:<24} {}", words[kind], printable(match->layer), printable(match->detail));
  }
  return out;
}

void require_match(const std::string& path, const std::vector<WeightMatch>& matches) {
  require_fit(path, matches, ". To learn such a layer from scratch, name it in fresh (train --fresh=LAYER)");
}

void require_trained(const std::string& path, const std::vector<WeightMatch>& matches, bool allow_fresh) {
  require_fit(path, matches, "");
  if (allow_fresh || count_of(WeightMatch::kFresh, matches) == 0) return;
  throw data_error(
      "{}\nFresh layers compute with the random numbers of their fillers. Give the weights of this net, or rename "
      "the layer as training did (--set 'layer[NAME].name=NEW'); --allow_fresh accepts fresh layers",
      match_table(path, matches));
}

std::string picture_difference(const WeightNotes& weights, const std::string& path, const WeightNotes& net) {
  if (weights.picture_input == nullptr || net.picture_input == nullptr) return "";
  const std::string difference = color_difference(*weights.picture_input, path, *net.picture_input, "the net");
  return difference.empty() ? "" : "Pictures are prepared differently: " + difference;
}

bool all_loaded(const std::vector<WeightMatch>& matches) {
  return count_of(WeightMatch::kLoaded, matches) == matches.size();
}

void save_weights(AtomicFile& file, bool hdf5, bool diff, const LoweredNet& net, const WeightNotes& notes,
                  const StateStore& store) {
  std::vector<caffe::LayerParameter> params;
  std::vector<const LoweredLayer*> lowered;
  size_t at = 0;
  for (const CaffeLayer& layer : caffe_layers(net)) {
    const bool own = at < net.layers.size() && layer.name == net.layers[at].param->name();
    caffe::LayerParameter param;
    if (own) {
      param = *net.layers[at].param;
      param.clear_blobs();
      lowered.push_back(&net.layers[at]);
      param.set_phase(net.layers[at].phase);
      if (param.loss_weight_size() == 0 && net.layers[at].type->loss) param.add_loss_weight(1);
      ++at;
    } else {
      param.set_name(layer.name);
      param.set_type(layer.type);
      param.set_phase(net.phase);
      lowered.push_back(nullptr);
    }
    param.clear_bottom();
    param.clear_top();
    for (const std::string& bottom : layer.bottoms) param.add_bottom(bottom);
    for (const std::string& top : layer.tops) param.add_top(top);
    params.push_back(std::move(param));
  }
  std::map<std::string, std::vector<float>> values, steps;
  std::vector<WeightLayerRef> layers;
  for (size_t i = 0; i < params.size(); ++i) {
    WeightLayerRef layer{params[i].name(), &params[i], {}};
    if (lowered[i] != nullptr) {
      for (int index : lowered[i]->parameters) {
        const ParameterInfo& parameter = net.parameters[static_cast<size_t>(index)];
        if (!values.count(parameter.state)) values[parameter.state] = store.read(parameter.state);
        if (diff && !steps.count(parameter.state)) {
          const std::string gradient = gradient_state(parameter.state);
          steps[parameter.state] = store.contains(gradient) ? store.read(gradient)
                                                            : std::vector<float>(values[parameter.state].size(), 0.0f);
        }
        layer.blobs.push_back({parameter.shape, values[parameter.state].data(),
                               diff ? steps[parameter.state].data() : nullptr, !parameter.owner});
      }
    }
    layers.push_back(std::move(layer));
  }
  if (hdf5) {
    write_weights_hdf5(file, notes, layers);
  } else {
    write_weights(file, net.name, notes, layers);
  }
}

void save_weights(const std::string& path, const LoweredNet& net, const WeightNotes& notes, const StateStore& store) {
  AtomicFile file(path);
  save_weights(file, path.ends_with(".h5"), false, net, notes, store);
  file.commit();
}

}  // namespace trainer
