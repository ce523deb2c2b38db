// The layers that Caffe builds: with a Split after each blob with several readers.
#include <algorithm>
#include <map>

#include "lowering/blob_table.h"
#include "lowering/lower_net.h"

namespace trainer {
namespace {

using TopIndex = std::pair<int, int>;  // layer, top

// The number of uses of each top: by later bottoms, and by an explicit loss weight.
std::map<TopIndex, int> count_uses(const LoweredNet& net) {
  std::map<TopIndex, int> uses;
  std::map<std::string, TopIndex> latest;
  for (size_t i = 0; i < net.layers.size(); ++i) {
    for (const std::string& bottom : net.layers[i].bottom_names) ++uses[latest[bottom]];
    for (size_t j = 0; j < net.layers[i].tops.size(); ++j) {
      const TopIndex index{static_cast<int>(i), static_cast<int>(j)};
      latest[net.layers[i].tops[j].name] = index;
      uses[index] = is_weighted(net.layers[i], j) ? 1 : 0;
    }
  }
  return uses;
}

CaffeLayer split_of(const LoweredLayer& layer, int top, int copies) {
  const LoweredTop& blob = layer.tops[static_cast<size_t>(top)];
  CaffeLayer split;
  split.name = split_layer_name(blob.name, layer.param->name(), top);
  split.type = "Split";
  split.bottoms = {blob.name};
  for (int copy = 0; copy < copies; ++copy) {
    split.tops.push_back(split_top_name(blob.name, layer.param->name(), top, copy));
    split.top_shapes.push_back(blob.value ? blob.value.shape() : Shape{});
  }
  return split;
}

}  // namespace

bool is_weighted(const LoweredLayer& layer, size_t top) {
  return layer.param->loss_weight_size() > 0 && layer.tops[top].loss_weight != 0;
}

std::vector<CaffeLayer> caffe_layers(const LoweredNet& net) {
  const std::map<TopIndex, int> uses = count_uses(net);
  std::vector<CaffeLayer> layers;
  std::map<std::string, TopIndex> latest;
  std::map<TopIndex, int> next_copy;
  for (size_t i = 0; i < net.layers.size(); ++i) {
    const LoweredLayer& source = net.layers[i];
    CaffeLayer layer;
    layer.name = source.param->name();
    layer.type = source.param->type();
    layer.source = static_cast<int>(i);
    for (const std::string& bottom : source.bottom_names) {
      const TopIndex index = latest[bottom];
      const bool split = uses.at(index) > 1;
      const std::string& owner = net.layers[static_cast<size_t>(index.first)].param->name();
      layer.bottoms.push_back(split ? split_top_name(bottom, owner, index.second, next_copy[index]++) : bottom);
    }
    for (const LoweredTop& top : source.tops) {
      layer.tops.push_back(top.name);
      layer.top_shapes.push_back(top.value ? top.value.shape() : Shape{});
    }
    layers.push_back(std::move(layer));
    for (size_t j = 0; j < source.tops.size(); ++j) {
      const TopIndex index{static_cast<int>(i), static_cast<int>(j)};
      latest[source.tops[j].name] = index;
      if (uses.at(index) <= 1) continue;
      layers.push_back(split_of(source, index.second, uses.at(index)));
      // The first copy belongs to the loss.
      next_copy[index] = is_weighted(source, j) ? 1 : 0;
    }
  }
  return layers;
}

const LoweredTop* find_blob(const LoweredNet& net, const std::string& name) {
  const LoweredTop* found = nullptr;
  for (const LoweredLayer& layer : net.layers) {
    for (const LoweredTop& top : layer.tops) {
      if (top.name == name) found = &top;
    }
  }
  if (found != nullptr) return found;
  int source = -1;
  for (const CaffeLayer& layer : caffe_layers(net)) {
    if (layer.source >= 0) {
      source = layer.source;
      continue;
    }
    if (std::find(layer.tops.begin(), layer.tops.end(), name) == layer.tops.end()) continue;
    for (const LoweredTop& top : net.layers[static_cast<size_t>(source)].tops) {
      if (top.name == layer.bottoms.front()) return &top;
    }
  }
  return nullptr;
}

}  // namespace trainer
