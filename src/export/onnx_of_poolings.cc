// Pooling and the layers that resize images in ONNX.
//
// Caffe rounds the number of windows up, so that the last one may reach beyond the padding. ONNX has ceil_mode, which
// runtimes treat differently; the padding at the end is extended instead, so that all windows are whole. For averages,
// which count the padding but not the part of a window beyond it, a factor of each position corrects the divisor.
#include <algorithm>

#include "export/layer_to_onnx.h"

namespace trainer {
namespace {

using caffe::PoolingParameter;

// One spatial axis.
struct PoolAxis {
  int64_t in = 0, out = 0, kernel = 0, stride = 0, pad = 0;

  // The end of the last window, and the padding that makes it whole.
  int64_t reach() const { return (out - 1) * stride - pad + kernel; }
  int64_t pad_end() const { return std::max<int64_t>(reach() - in, 0); }
  bool clipped() const { return reach() > in + pad; }
  // The elements and the padding that window i covers.
  int64_t counted(int64_t i) const { return std::min(i * stride - pad + kernel, in + pad) - (i * stride - pad); }
};

PoolAxis axis_of(const LayerToOnnx& layer, bool height) {
  const PoolingParameter& param = layer.param().pooling_param();
  const int axis = height ? 2 : 3;
  PoolAxis out;
  out.in = layer.extent(0, axis);
  out.out = layer.top_shape(0)[axis];
  out.kernel = param.has_kernel_h() ? (height ? param.kernel_h() : param.kernel_w()) : param.kernel_size();
  out.stride = param.has_stride_h() ? (height ? param.stride_h() : param.stride_w()) : param.stride();
  out.pad = param.has_pad_h() ? (height ? param.pad_h() : param.pad_w()) : param.pad();
  return out;
}

void pooling(LayerToOnnx& layer) {
  const PoolingParameter& param = layer.param().pooling_param();
  const bool maximum = param.pool() == PoolingParameter::MAX;
  if (param.pool() == PoolingParameter::STOCHASTIC) layer.fail("pool: STOCHASTIC");
  if (layer.tops() > 1) layer.fail("a second top, the positions of the maxima");
  if (param.global_pooling())
    return layer.set_top(0, layer.add(maximum ? "GlobalMaxPool" : "GlobalAveragePool", {layer.bottom(0)}));
  const PoolAxis h = axis_of(layer, true), w = axis_of(layer, false);
  if (h.pad_end() >= h.kernel || w.pad_end() >= w.kernel) layer.fail("its last window covers no element");
  std::vector<OnnxAttribute> attributes{{"kernel_shape", std::vector<int64_t>{h.kernel, w.kernel}},
                                        {"strides", std::vector<int64_t>{h.stride, w.stride}},
                                        {"pads", std::vector<int64_t>{h.pad, w.pad, h.pad_end(), w.pad_end()}}};
  if (maximum) return layer.set_top(0, layer.add("MaxPool", {layer.bottom(0)}, attributes));
  attributes.push_back({"count_include_pad", int64_t{1}});
  std::string y = layer.add("AveragePool", {layer.bottom(0)}, attributes);
  if (h.clipped() || w.clipped()) {
    std::vector<float> factors;
    for (int64_t row = 0; row < h.out; ++row) {
      for (int64_t column = 0; column < w.out; ++column)
        factors.push_back(static_cast<float>(static_cast<double>(h.kernel * w.kernel) /
                                             static_cast<double>(h.counted(row) * w.counted(column))));
    }
    y = layer.add("Mul", {y, layer.floats(Shape{1, 1, h.out, w.out}, std::move(factors))});
  }
  layer.set_top(0, y);
}

// Adds zeros at both ends of height and width, or removes elements for negative numbers.
std::string padded(LayerToOnnx& layer, std::string x, int64_t begin, int64_t end) {
  if (begin < 0 || end < 0) {
    std::vector<int64_t> ends;
    for (int axis : {2, 3}) ends.push_back(layer.extent(0, axis) + std::min<int64_t>(end, 0));
    const int64_t start = std::max<int64_t>(-begin, 0);
    x = layer.add("Slice", {x, layer.ints({start, start}), layer.ints(ends), layer.ints({2, 3})});
  }
  const int64_t before = std::max<int64_t>(begin, 0), after = std::max<int64_t>(end, 0);
  if (before == 0 && after == 0) return x;
  return layer.add("Pad", {x, layer.ints({0, 0, before, before, 0, 0, after, after})});
}

void interp(LayerToOnnx& layer) {
  const caffe::InterpParameter& param = layer.param().interp_param();
  const std::string x = padded(layer, layer.bottom(0), param.pad_beg(), param.pad_end());
  // The extents of batch and channels are those of x at run time.
  const std::string outer =
      layer.add("Slice", {layer.add("Shape", {x}), layer.ints({0}), layer.ints({2}), layer.ints({0})});
  const std::string sizes =
      layer.add("Concat", {outer, layer.ints({layer.top_shape(0)[2], layer.top_shape(0)[3]})}, {{"axis", int64_t{0}}});
  layer.set_top(0, layer.add("Resize", {x, "", "", sizes},
                             {{"mode", std::string("linear")},
                              {"coordinate_transformation_mode", std::string("align_corners")}}));
}

void upsample(LayerToOnnx& layer) {
  if (layer.bottoms() > 1) layer.fail("a second bottom, the positions of the maxima");
  const auto factor = [&](int axis) {
    const int64_t times = layer.top_shape(0)[axis] / layer.shape(0)[axis];
    return static_cast<float>(times);
  };
  layer.set_top(0, layer.add("Resize", {layer.bottom(0), "", layer.floats(Shape{4}, {1, 1, factor(2), factor(3)})},
                             {{"mode", std::string("nearest")},
                              {"coordinate_transformation_mode", std::string("asymmetric")},
                              {"nearest_mode", std::string("floor")}}));
}

}  // namespace

void add_poolings(LayerTranslations* translations) {
  (*translations)["Pooling"] = pooling;
  (*translations)["Interp"] = interp;
  (*translations)["Upsample"] = upsample;
}

}  // namespace trainer
