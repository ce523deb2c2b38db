// Reads and filters net files.
#include "session/configure_net.h"

#include "config/net_inputs.h"
#include "config/net_state.h"
#include "config/override.h"
#include "layers/layer.h"

namespace trainer {
namespace {

// Keeps the layers that the state includes. The messages keep their addresses, so that their positions stay valid.
void filter(NetFile* file, const caffe::NetState& state, Diagnostics* diagnostics) {
  auto* layers = file->net->mutable_layer();
  int kept = 0;
  for (int i = 0; i < layers->size(); ++i) {
    const caffe::LayerParameter& layer = layers->Get(i);
    if (layer.include_size() > 0 && layer.exclude_size() > 0) {
      diagnostics->error(file->positions.of(layer, "exclude"), subject_of(layer), "both include and exclude rules",
                         "give one kind or the other");
    }
    if (layer_is_included(layer, state, nullptr)) layers->SwapElements(kept++, i);
  }
  while (layers->size() > kept) layers->RemoveLast();
}

}  // namespace

std::vector<FilteredNet> filter_nets(std::vector<LoadedNet> loaded, const Edits& edits,
                                     std::vector<std::unique_ptr<NetFile>>* files, Diagnostics* diagnostics) {
  std::vector<OverriddenNet> overridden;
  bool complete = true;  // otherwise a missing layer may be one that could not be read
  for (const LoadedNet& net : loaded) {
    complete = complete && net.file != nullptr && !net.file->positions.faulty(*net.file->net);
    if (net.file != nullptr) overridden.push_back({net.file->net.get(), &net.file->positions, net.state});
  }
  if (complete) {
    for (const std::string& assignment : edits.overrides) apply_layer_override(assignment, overridden, diagnostics);
  }
  for (LoadedNet& net : loaded) {
    if (net.file != nullptr) filter(net.file.get(), net.state, diagnostics);
  }
  if (complete) fill_inputs(edits.fills, overridden, diagnostics);
  std::vector<FilteredNet> nets;
  for (LoadedNet& net : loaded) {
    nets.emplace_back();
    if (net.file == nullptr) continue;
    nets.back() = {net.file->net.get(), &net.file->positions, std::move(net.state)};
    files->push_back(std::move(net.file));
  }
  return nets;
}

caffe::NetState requested_state(caffe::Phase phase, std::optional<int> level, const std::vector<std::string>& stages) {
  caffe::NetState state;
  state.set_phase(phase);
  if (level) state.set_level(*level);
  for (const std::string& stage : stages) state.add_stage(stage);
  return state;
}

caffe::NetState starting_state(caffe::Phase phase, const caffe::NetParameter& net) {
  caffe::NetState state;
  state.set_phase(phase);
  if (net.has_state()) state.MergeFrom(net.state());
  return state;
}

FilteredNet configure_net(const PrototxtSource& source, const caffe::NetState& state, const Edits& edits,
                          std::unique_ptr<NetFile>* file, Diagnostics* diagnostics) {
  std::unique_ptr<NetFile> net = load_net(source, diagnostics);
  if (net == nullptr) return {};
  for (const std::string& assignment : edits.overrides)
    apply_net_override(assignment, net->net.get(), &net->positions, diagnostics);
  caffe::NetState merged = starting_state(state.phase(), *net->net);
  merged.MergeFrom(state);
  std::vector<LoadedNet> loaded;
  loaded.push_back({std::move(net), std::move(merged)});
  std::vector<std::unique_ptr<NetFile>> files;
  const std::vector<FilteredNet> nets = filter_nets(std::move(loaded), edits, &files, diagnostics);
  *file = std::move(files.front());
  return nets.front();
}

}  // namespace trainer
