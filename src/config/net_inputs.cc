// Replaces Input layers, whose blobs no command fills, or reports them.
#include "config/net_inputs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>

#include "base/text.h"
#include "config/field_hints.h"

namespace trainer {
namespace {

constexpr const char* kInput = "Input";
constexpr const char* kGaussian = "gaussian";

// Parses --fill arguments into a map by top; reports malformed arguments.
std::map<std::string, caffe::FillerParameter> parse_fills(const std::vector<std::string>& fills,
                                                          Diagnostics* diagnostics) {
  std::map<std::string, caffe::FillerParameter> parsed;
  for (const std::string& text : fills) {
    const size_t equals = text.rfind('=');
    const std::string value = equals == std::string::npos ? "" : text.substr(equals + 1);
    char* end = nullptr;
    const float number = std::strtof(value.c_str(), &end);
    const bool is_number = !value.empty() && *end == '\0' && std::isfinite(number);
    if (equals == 0 || (!is_number && value != kGaussian)) {
      diagnostics->error({}, "", fmt::format("--fill={}: not of the form TOP=VALUE", text),
                         "VALUE is a number or gaussian: --fill=data=0.5, --fill=data=gaussian");
      continue;
    }
    caffe::FillerParameter& filler = parsed[text.substr(0, equals)];
    if (is_number)
      filler.set_value(number);
    else
      filler.set_type(kGaussian);
  }
  return parsed;
}

void fill_layer(const std::map<std::string, caffe::FillerParameter>& fillers, const Positions& positions,
                caffe::LayerParameter* layer, Diagnostics* diagnostics) {
  caffe::DummyDataParameter data;
  *data.mutable_shape() = layer->input_param().shape();
  for (const std::string& top : layer->top()) {
    const auto found = fillers.find(top);
    if (found == fillers.end()) {
      diagnostics->error(positions.of(*layer, "top"), layer_subject(*layer),
                         fmt::format("--fill names another top of this layer, but not \"{}\"", top),
                         fmt::format("add --fill={}=0", top));
      return;
    }
    *data.add_data_filler() = found->second;
  }
  layer->set_type("DummyData");
  *layer->mutable_dummy_data_param() = data;
  layer->clear_input_param();
}

}  // namespace

void fill_inputs(const std::vector<std::string>& fills, const std::vector<OverriddenNet>& nets,
                 Diagnostics* diagnostics) {
  const std::map<std::string, caffe::FillerParameter> fillers = parse_fills(fills, diagnostics);
  std::vector<std::string> tops;
  for (const OverriddenNet& net : nets) {
    for (caffe::LayerParameter& layer : *net.net->mutable_layer()) {
      if (layer.type() != kInput) continue;
      tops.insert(tops.end(), layer.top().begin(), layer.top().end());
      if (std::any_of(layer.top().begin(), layer.top().end(),
                      [&](const std::string& top) { return fillers.count(top) > 0; }))
        fill_layer(fillers, *net.positions, &layer, diagnostics);
    }
  }
  for (const auto& [name, filler] : fillers) {
    if (std::find(tops.begin(), tops.end(), name) != tops.end()) continue;
    const std::string near = suggest(name, tops, "did you mean \"{}\"?");
    diagnostics->error({}, "", fmt::format("--fill={}=...: no Input layer has a top \"{}\"", name, name),
                       tops.empty()   ? "the net has no Input layer"
                       : near.empty() ? fmt::format("tops of Input layers: {}", fmt::join(tops, ", "))
                                      : near);
  }
}

void require_no_inputs(const caffe::NetParameter& net, const Positions& positions, Diagnostics* diagnostics) {
  const auto is_read = [&net](const std::string& top) {
    return std::any_of(net.layer().begin(), net.layer().end(), [&](const caffe::LayerParameter& layer) {
      return std::find(layer.bottom().begin(), layer.bottom().end(), top) != layer.bottom().end();
    });
  };
  for (const caffe::LayerParameter& layer : net.layer()) {
    if (layer.type() != kInput) continue;
    for (int i = 0; i < layer.top_size(); ++i) {
      const std::string& top = layer.top(i);
      if (!is_read(top)) continue;
      diagnostics->error(
          positions.of(layer, "top", i), layer_subject(layer), fmt::format("nothing fills its top \"{}\"", top),
          fmt::format("read data: --set 'layer[{0}].type=HDF5Data' --set 'layer[{0}].hdf5_data_param={{ source: "
                      "\"list.txt\" batch_size: 8 }}'; or try the net: --fill={1}=0, --fill={1}=gaussian",
                      layer.name(), top));
    }
  }
}

}  // namespace trainer
