// The translation of single layers into nodes of ONNX.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "export/exported_net.h"
#include "export/onnx_model.h"

namespace trainer {

// The extents of a blob; kBatchExtent if the extent depends on the batch.
using OnnxDims = std::vector<int64_t>;

// A layer that is translated, and the model that gets its nodes. Values are names.
class LayerToOnnx {
 public:
  struct Blob {
    std::string value;  // its name in the model
    Shape shape;        // for the batch of the check
    OnnxDims dims;
  };

  LayerToOnnx(const ExportedLayer& layer, std::vector<Blob> bottoms, std::vector<Blob> tops, OnnxModel* model);

  const caffe::LayerParameter& param() const { return layer_.param; }
  const ExportedLayer& layer() const { return layer_; }
  int bottoms() const { return static_cast<int>(bottoms_.size()); }
  int tops() const { return static_cast<int>(tops_.size()); }
  const std::string& bottom(int i) const { return bottoms_[static_cast<size_t>(i)].value; }
  const OnnxDims& dims(int bottom) const { return bottoms_[static_cast<size_t>(bottom)].dims; }
  const OnnxDims& top_dims(int top) const { return tops_[static_cast<size_t>(top)].dims; }
  const Shape& shape(int bottom) const { return bottoms_[static_cast<size_t>(bottom)].shape; }
  const Shape& top_shape(int top) const { return tops_[static_cast<size_t>(top)].shape; }
  int rank(int bottom) const { return shape(bottom).rank(); }
  int canonical(int axis, int bottom = 0) const { return axis < 0 ? axis + rank(bottom) : axis; }
  // The extent of a bottom; fails if it depends on the batch.
  int64_t extent(int bottom, int axis) const;

  size_t blobs() const { return layer_.blobs.size(); }
  const WeightBlob& blob(size_t i) const { return layer_.blobs[i]; }
  // A learned blob as an initializer "layer/0", by default with its own shape.
  std::string weights(size_t blob);
  std::string weights(size_t blob, const Shape& shape);

  // Initializers.
  std::string floats(const Shape& shape, std::vector<float> values);
  std::string number(double value) { return floats(Shape{}, {static_cast<float>(value)}); }
  std::string ints(std::vector<int64_t> values);

  // Adds a node and returns its first output.
  std::string add(const std::string& type, const std::vector<std::string>& inputs,
                  std::vector<OnnxAttribute> attributes = {}, size_t outputs = 1);
  // An output of the node added last.
  const std::string& output(size_t i) const { return model_.nodes.back().outputs[i]; }
  // The value as a top.
  void set_top(int top, std::string value);

  // Reshapes `value`, with the extents of `from`, to those of `to`.
  std::string reshape(const std::string& value, const OnnxDims& from, const OnnxDims& to);
  std::string transpose(const std::string& value, const std::vector<int64_t>& order);
  // value * factor and value + term; `value` itself for 1 and 0.
  std::string scaled(const std::string& value, double factor);
  std::string shifted(const std::string& value, double term);

  // The layer has no counterpart for this reason: "pool: STOCHASTIC".
  [[noreturn]] void fail(const std::string& reason) const;

 private:
  std::string fresh_name();

  const ExportedLayer& layer_;
  const std::vector<Blob> bottoms_, tops_;
  OnnxModel& model_;
  const size_t first_node_;
  int values_ = 0, constants_ = 0;
};

using LayerTranslation = void (*)(LayerToOnnx&);
using LayerTranslations = std::map<std::string, LayerTranslation>;  // by type

// The groups of layer types (onnx_of_*.cc).
void add_convolutions(LayerTranslations* translations);
void add_poolings(LayerTranslations* translations);
void add_activations(LayerTranslations* translations);
void add_normalizations(LayerTranslations* translations);
void add_shape_layers(LayerTranslations* translations);
void add_products(LayerTranslations* translations);

// The translation of a layer type, or nullptr.
LayerTranslation find_translation(const std::string& type);

}  // namespace trainer
