// Layers that join, split, reorder and reduce blobs in ONNX.
#include <algorithm>
#include <numeric>

#include "export/layer_to_onnx.h"

namespace trainer {
namespace {

const OnnxAttribute kKeepAxes{"keepdims", int64_t{1}}, kToFloat{"to", static_cast<int64_t>(OnnxType::kFloat)};

OnnxAttribute axis_attribute(int axis) { return {"axis", static_cast<int64_t>(axis)}; }

// The extents of the bottom in those of the top.
void reshape(LayerToOnnx& layer) { layer.set_top(0, layer.reshape(layer.bottom(0), layer.dims(0), layer.top_dims(0))); }

void concat(LayerToOnnx& layer) {
  const caffe::ConcatParameter& param = layer.param().concat_param();
  std::vector<std::string> parts;
  for (int i = 0; i < layer.bottoms(); ++i) parts.push_back(layer.bottom(i));
  const int axis = param.has_concat_dim() ? static_cast<int>(param.concat_dim()) : layer.canonical(param.axis());
  layer.set_top(0, layer.add("Concat", parts, {axis_attribute(axis)}));
}

void slice(LayerToOnnx& layer) {
  const caffe::SliceParameter& param = layer.param().slice_param();
  const int axis = param.has_slice_dim() ? static_cast<int>(param.slice_dim()) : layer.canonical(param.axis());
  layer.extent(0, axis);
  if (layer.tops() == 1) return layer.set_top(0, layer.bottom(0));
  std::vector<int64_t> extents;
  for (int i = 0; i < layer.tops(); ++i) extents.push_back(layer.top_shape(i)[axis]);
  layer.add("Split", {layer.bottom(0), layer.ints(extents)}, {axis_attribute(axis)}, extents.size());
  for (int i = 0; i < layer.tops(); ++i) layer.set_top(i, layer.output(static_cast<size_t>(i)));
}

void permute(LayerToOnnx& layer) {
  const auto& given = layer.param().permute_param().order();
  std::vector<int64_t> order(given.begin(), given.end());
  for (int axis = 0; axis < layer.rank(0); ++axis) {
    if (std::find(order.begin(), order.end(), axis) == order.end()) order.push_back(axis);
  }
  layer.set_top(0, layer.transpose(layer.bottom(0), order));
}

void crop(LayerToOnnx& layer) {
  const caffe::CropParameter& param = layer.param().crop_param();
  std::vector<int64_t> begins, ends, axes;
  const int first = layer.canonical(param.axis());
  for (int axis = first; axis < layer.rank(0); ++axis) {
    const int64_t offset = param.offset_size() == 0   ? 0
                           : param.offset_size() == 1 ? param.offset(0)
                                                      : param.offset(axis - first);
    begins.push_back(offset);
    ends.push_back(offset + layer.extent(1, axis));
    axes.push_back(axis);
  }
  layer.set_top(0, layer.add("Slice", {layer.bottom(0), layer.ints(begins), layer.ints(ends), layer.ints(axes)}));
}

void tile(LayerToOnnx& layer) {
  std::vector<int64_t> repeats(static_cast<size_t>(layer.rank(0)), 1);
  repeats[static_cast<size_t>(layer.canonical(layer.param().tile_param().axis()))] = layer.param().tile_param().tiles();
  layer.set_top(0, layer.add("Tile", {layer.bottom(0), layer.ints(repeats)}));
}

void shuffle_channel(LayerToOnnx& layer) {
  const OnnxDims& dims = layer.dims(0);
  const int64_t groups = layer.param().shuffle_channel_param().group(), each = layer.extent(0, 1) / groups;
  for (int axis = 2; axis < layer.rank(0); ++axis) layer.extent(0, axis);
  const int64_t plane = layer.shape(0).count(2);
  const std::string grouped = layer.reshape(layer.bottom(0), dims, {dims[0], groups, each, plane});
  const std::string shuffled = layer.transpose(grouped, {0, 2, 1, 3});
  layer.set_top(0, layer.reshape(shuffled, {dims[0], each, groups, plane}, dims));
}

void eltwise(LayerToOnnx& layer) {
  const caffe::EltwiseParameter& param = layer.param().eltwise_param();
  std::vector<std::string> parts;
  for (int i = 0; i < layer.bottoms(); ++i)
    parts.push_back(layer.scaled(layer.bottom(i), param.coeff_size() > 0 ? param.coeff(i) : 1));
  if (param.operation() == caffe::EltwiseParameter::MAX) return layer.set_top(0, layer.add("Max", parts));
  const char* const type = param.operation() == caffe::EltwiseParameter::SUM ? "Add" : "Mul";
  std::string y = parts[0];
  for (size_t i = 1; i < parts.size(); ++i) y = layer.add(type, {y, parts[i]});
  layer.set_top(0, y);
}

// a * x + y with a (N, C) or (N, C, 1...).
void axpy(LayerToOnnx& layer) {
  OnnxDims dims = layer.dims(0);
  dims.resize(static_cast<size_t>(layer.rank(1)), 1);
  const std::string factor = layer.reshape(layer.bottom(0), layer.dims(0), dims);
  layer.set_top(0, layer.add("Add", {layer.add("Mul", {factor, layer.bottom(1)}), layer.bottom(2)}));
}

void reduction(LayerToOnnx& layer) {
  const caffe::ReductionParameter& param = layer.param().reduction_param();
  std::vector<int64_t> axes;
  for (int axis = layer.canonical(param.axis()); axis < layer.rank(0); ++axis) axes.push_back(axis);
  std::string x = layer.bottom(0);
  if (axes.empty()) layer.fail("its bottom has no axes");
  if (param.operation() == caffe::ReductionParameter::ASUM) x = layer.add("Abs", {x});
  if (param.operation() == caffe::ReductionParameter::SUMSQ) x = layer.add("Mul", {x, x});
  const OnnxAttribute drop{"keepdims", int64_t{0}};
  const std::string y = param.operation() == caffe::ReductionParameter::MEAN
                            ? layer.add("ReduceMean", {x}, {{"axes", axes}, drop})
                            : layer.add("ReduceSum", {x, layer.ints(axes)}, {drop});
  layer.set_top(0, layer.scaled(y, param.coeff()));
}

// Of equal values, ArgMax takes the last one, as Caffe; TopK takes the first one.
void arg_max(LayerToOnnx& layer) {
  const caffe::ArgMaxParameter& param = layer.param().argmax_param();
  const int64_t top = param.top_k();
  if (!param.has_axis()) {
    const OnnxDims rows{layer.dims(0)[0], layer.shape(0).count(1)};
    layer.add("TopK", {layer.reshape(layer.bottom(0), layer.dims(0), rows), layer.ints({top})}, {axis_attribute(1)}, 2);
    const std::string values = layer.output(0), numbers = layer.output(1);
    std::string y = layer.add("Cast", {numbers}, {kToFloat});
    OnnxDims dims{rows[0], top};
    if (param.out_max_val()) {
      y = layer.add("Concat", {y, values}, {axis_attribute(1)});
      dims[1] *= 2;
    }
    return layer.set_top(0, layer.reshape(y, dims, layer.top_dims(0)));
  }
  const int axis = layer.canonical(param.axis());
  layer.extent(0, axis);
  if (top == 1 && !param.out_max_val()) {
    const std::string number =
        layer.add("ArgMax", {layer.bottom(0)}, {axis_attribute(axis), kKeepAxes, {"select_last_index", int64_t{1}}});
    return layer.set_top(0, layer.add("Cast", {number}, {kToFloat}));
  }
  layer.add("TopK", {layer.bottom(0), layer.ints({top})}, {axis_attribute(axis)}, 2);
  const std::string values = layer.output(0), numbers = layer.output(1);
  layer.set_top(0, param.out_max_val() ? values : layer.add("Cast", {numbers}, {kToFloat}));
}

}  // namespace

void add_shape_layers(LayerTranslations* translations) {
  LayerTranslations& all = *translations;
  all["Flatten"] = all["Reshape"] = reshape;
  all["Concat"] = concat;
  all["Slice"] = slice;
  all["Permute"] = permute;
  all["Crop"] = crop;
  all["Tile"] = tile;
  all["ShuffleChannel"] = shuffle_channel;
  all["Eltwise"] = eltwise;
  all["Axpy"] = axpy;
  all["Reduction"] = reduction;
  all["ArgMax"] = arg_max;
  all["Parameter"] = [](LayerToOnnx& layer) { layer.set_top(0, layer.weights(0)); };
}

}  // namespace trainer
