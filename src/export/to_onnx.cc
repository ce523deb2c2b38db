// Translates a net layer by layer.
#include "export/to_onnx.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "export/layer_to_onnx.h"
#include "export/sequence_marks.h"

namespace trainer {
namespace {

// Names for all versions of the blobs: the version that the caller sees, an input or the last one, has the name of the
// blob.
class BlobNames {
 public:
  explicit BlobNames(const ExportedNet& net) {
    for (size_t i = 0; i < net.layers.size(); ++i) {
      const caffe::LayerParameter& layer = net.layers[i].param;
      for (const std::string& top : layer.top()) {
        if (layer.type() == "Input") inputs_.insert(top);
        last_[top] = i;
      }
    }
  }
  std::string of(const std::string& blob, size_t layer, const caffe::LayerParameter& param) const {
    const bool plain = inputs_.count(blob) > 0 ? param.type() == "Input" : last_.at(blob) == layer;
    return plain ? blob : fmt::format("{}@{}", blob, param.name());
  }

 private:
  std::set<std::string> inputs_;
  std::map<std::string, size_t> last_;  // layer
};

OnnxDims dims_of(const Shape& shape, const Shape* other) {
  OnnxDims dims = shape.dims();
  if (other == nullptr) return dims;
  TRAINER_ASSERT(other->rank() == shape.rank());
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] != (*other)[axis]) dims[static_cast<size_t>(axis)] = kBatchExtent;
  }
  return dims;
}

class NetToOnnx {
 public:
  NetToOnnx(const ExportedNet& net, const LoweredNet& lowered, const LoweredNet* other,
            const std::vector<std::string>& computed_marks)
      : net_(net), lowered_(lowered), other_(other), names_(net), marks_(input_marks(net)) {
    marks_.insert(marks_.end(), computed_marks.begin(), computed_marks.end());
    std::vector<std::string> outputs;
    for (const NetOutput& output : lowered.outputs) outputs.push_back(output.name);
    needed_ = layers_without_marks(net, outputs, marks_);
    for (size_t i = 0; i < net.layers.size(); ++i) {
      const caffe::LayerParameter& layer = net.layers[i].param;
      if (needed_[i] && layer.type() != "Input" && find_translation(layer.type()) == nullptr)
        throw config_error("layer \"{}\" ({}) has no counterpart in ONNX", layer.name(), layer.type());
    }
  }

  OnnxModel run(int64_t opset, const std::optional<Preprocessing>& preprocessing) {
    model_.name = net_.name;
    model_.opset = opset;
    model_.doc = fmt::format("The net \"{}\" in phase TEST, without labels and losses.", net_.name);
    if (!marks_.empty()) model_.doc += " Recurrent layers start each run with states of zero.";
    if (!net_.notes.class_names.empty())
      model_.metadata.emplace_back("class_names", fmt::format("{}", fmt::join(net_.notes.class_names, "\n")));
    for (size_t i = 0; i < net_.layers.size(); ++i) {
      const std::vector<LayerToOnnx::Blob> bottoms = bottoms_of(i), tops = tops_of(i);
      if (net_.layers[i].param.type() == "Input") {
        for (const LayerToOnnx::Blob& top : tops) add_input(top, preprocessing);
      } else if (needed_[i]) {
        check_marks(net_.layers[i].param);
        LayerToOnnx layer(net_.layers[i], bottoms, tops, &model_);
        find_translation(net_.layers[i].param.type())(layer);
      }
      for (size_t t = 0; t < tops.size(); ++t) {
        const std::string& name = lowered_.layers[i].tops[t].name;
        if (values_.count(name) == 0 || net_.layers[i].param.type() != "Input") values_[name] = tops[t];
      }
    }
    for (const NetOutput& output : lowered_.outputs) {
      const auto found = values_.find(output.name);
      if (found != values_.end()) model_.outputs.push_back({found->second.value, found->second.dims, ""});
    }
    return std::move(model_);
  }

 private:
  LayerToOnnx::Blob blob(std::string value, const Value& lowered, const Value* other) const {
    return {std::move(value), lowered.shape(), dims_of(lowered.shape(), other == nullptr ? nullptr : &other->shape())};
  }

  std::vector<LayerToOnnx::Blob> bottoms_of(size_t i) const {
    std::vector<LayerToOnnx::Blob> blobs;
    const LoweredLayer& layer = lowered_.layers[i];
    for (size_t b = 0; b < layer.bottoms.size(); ++b)
      blobs.push_back(blob(values_.at(layer.bottom_names[b]).value, layer.bottoms[b],
                           other_ == nullptr ? nullptr : &other_->layers[i].bottoms[b]));
    return blobs;
  }

  std::vector<LayerToOnnx::Blob> tops_of(size_t i) const {
    std::vector<LayerToOnnx::Blob> blobs;
    const LoweredLayer& layer = lowered_.layers[i];
    for (size_t t = 0; t < layer.tops.size(); ++t)
      blobs.push_back(blob(names_.of(layer.tops[t].name, i, net_.layers[i].param), layer.tops[t].value,
                           other_ == nullptr ? nullptr : &other_->layers[i].tops[t].value));
    return blobs;
  }

  void add_input(LayerToOnnx::Blob top, const std::optional<Preprocessing>& preprocessing) {
    const std::string name = top.value;
    if (std::find(marks_.begin(), marks_.end(), name) == marks_.end()) model_.inputs.push_back({name, top.dims, ""});
    if (!preprocessing || preprocessing->blob != name) return;
    model_.inputs.back().doc = preprocessing->pixels;
    const auto add = [&](const char* type, const char* what, const Shape& shape, const std::vector<float>& values) {
      if (values.empty()) return;
      const std::string constant = fmt::format("{}/{}", name, what), made = fmt::format("{}@{}", name, what);
      model_.initializers.push_back({constant, OnnxType::kFloat, shape.dims(), values, {}});
      model_.nodes.push_back({type, made, {top.value, constant}, {made}, {}});
      top.value = made;
    };
    add("Sub", "mean", preprocessing->mean_shape, preprocessing->mean);
    add("Mul", "factor", preprocessing->factor_shape, preprocessing->factor);
    values_[name] = top;
  }

  void check_marks(const caffe::LayerParameter& layer) const {
    if (!is_recurrent(layer) || std::find(marks_.begin(), marks_.end(), layer.bottom(1)) != marks_.end()) return;
    throw config_error(
        "layer \"{}\" ({}) has no counterpart in ONNX: its marks of sequences, \"{}\", are neither an input of the net "
        "that only recurrent layers read, nor 0 in the first step and 1 in the others for all inputs. Make \"{}\" an "
        "input: a layer of type Input, or a top of the data layer",
        layer.name(), layer.type(), layer.bottom(1), layer.bottom(1));
  }

  const ExportedNet& net_;
  const LoweredNet& lowered_;
  const LoweredNet* const other_;
  const BlobNames names_;
  std::vector<std::string> marks_;
  std::vector<bool> needed_;  // by layer
  OnnxModel model_;
  std::map<std::string, LayerToOnnx::Blob> values_;  // the current version of each blob
};

}  // namespace

OnnxModel to_onnx(const ExportedNet& net, const LoweredNet& lowered, const LoweredNet* other, int64_t opset,
                  const std::optional<Preprocessing>& preprocessing, const std::vector<std::string>& computed_marks) {
  return NetToOnnx(net, lowered, other, computed_marks).run(opset, preprocessing);
}

}  // namespace trainer
