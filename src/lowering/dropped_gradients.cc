// Finds Flatten layers that follow a layer whose top shares gradient memory.
#include "lowering/dropped_gradients.h"

#include <fmt/format.h>

#include <map>

#include "lowering/layer_lowering.h"

namespace trainer {
namespace {

// The memory of a blob: the layer that makes it (none if that layer failed), not counting in-place layers, and its
// readers.
struct Blob {
  const LoweredLayer* maker = nullptr;
  Value value;
  int readers = 0;
  const LoweredLayer* flatten = nullptr;
};

bool shares_gradient(const LoweredLayer& layer) {
  const std::string& type = layer.param->type();
  return type == "Reshape" || type == "Parameter" || (type == "Concat" && layer.bottoms.size() == 1) ||
         (type == "Slice" && layer.tops.size() == 1);
}

void stop(const Blob& blob, LoweredNet& net, const Positions& positions, Diagnostics& diagnostics) {
  const LoweredLayer& maker = *blob.maker;
  // A reshape that changes nothing has the value of its bottom, which other layers may read.
  if (!maker.bottoms.empty() && maker.bottoms.front() == blob.value) return;
  net.graph->values[static_cast<size_t>(blob.value.id())].stop_gradient = true;
  if (net.phase != caffe::TRAIN) return;
  diagnostics.warning(
      positions.of(*blob.flatten->param), subject_of(*blob.flatten->param),
      fmt::format("no gradient passes from here to {}, as in Caffe: the layers below do not learn from it",
                  subject_of(*maker.param)),
      "let one Reshape layer give the final shape, in place of both");
}

}  // namespace

void drop_gradients_caffe_drops(LoweredNet& net, const Positions& positions, Diagnostics& diagnostics) {
  std::map<std::string, Blob> blobs;
  const auto finish = [&](const Blob& blob) {
    if (blob.maker != nullptr && blob.readers == 1 && blob.flatten != nullptr && shares_gradient(*blob.maker))
      stop(blob, net, positions, diagnostics);
  };
  for (const LoweredLayer& layer : net.layers) {
    for (const std::string& bottom : layer.bottom_names) {
      Blob& blob = blobs[bottom];
      ++blob.readers;
      if (layer.param->type() == "Flatten") blob.flatten = &layer;
    }
    for (const LoweredTop& top : layer.tops) {
      Blob& blob = blobs[top.name];
      if (top.in_place && blob.readers == 1) {
        blob.readers = 0;
        continue;
      }
      if (!top.value) continue;
      finish(blob);
      blob = {&layer, top.value, 0, nullptr};
    }
  }
  for (const auto& [name, blob] : blobs) finish(blob);
}

}  // namespace trainer
