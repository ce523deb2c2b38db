// ROIPooling: the maxima of pooled_h x pooled_w bins of each region.
//   bottoms  x (N, C, H, W), regions (R, 5): item, x1, y1, x2, y2. The corners, multiplied by spatial_scale and
//            rounded, are pixels of x; both belong to the region, which has at least one row and one column
//   top      (R, C, pooled_h, pooled_w); 0 for an empty bin
// Bin i of n covers [floor(i * size / n), ceil((i + 1) * size / n)) of the region, clipped to the image. The first of
// equal maxima takes the gradient; the regions take none.
#include <algorithm>
#include <cmath>

#include "layers/layer.h"
#include "layers/shared/regions.h"
#include "ops/opaque.h"

namespace trainer {
namespace {

// x, regions -> y, and the index h * W + w of each maximum (-1: none).
class MaximaOfRegions : public OpaqueOp {
 public:
  MaximaOfRegions(Shape x, Shape y, float scale, std::string layer)
      : x_(std::move(x)), y_(std::move(y)), scale_(scale), layer_(std::move(layer)) {}

  std::string name() const override { return "roi_pooling"; }

  void run(std::span<const float* const> inputs, std::span<float* const> outputs, uint64_t) const override {
    check_region_rows(inputs[1], y_[0], x_[0], layer_);
#pragma omp parallel for schedule(static)
    for (int64_t region = 0; region < y_[0]; ++region) {
      const int64_t at = region * y_.count(1);
      pool(inputs[0], inputs[1] + region * 5, outputs[0] + at, outputs[1] + at);
    }
  }

  std::vector<Value> gradient(const std::vector<Value>& inputs, const std::vector<Value>& outputs,
                              const std::vector<Value>& output_gradients) const override;

 private:
  // The first row or column of the region along an axis, and the extent of a bin.
  struct Side {
    float begin, step;
  };
  Side side(float from, float to, int64_t bins) const {
    const float begin = std::round(from * scale_), end = std::round(to * scale_);
    return {begin, std::max(end - begin + 1, 1.0f) / static_cast<float>(bins)};
  }
  static Bin bin(const Side& side, int64_t i, int64_t extent) {
    const float first = static_cast<float>(i);
    return bin_of(std::floor(first * side.step) + side.begin, std::ceil((first + 1) * side.step) + side.begin, extent);
  }

  void pool(const float* x, const float* region, float* y, float* place) const {
    const Side down = side(region[2], region[4], y_[2]), across = side(region[1], region[3], y_[3]);
    const float* item = x + static_cast<int64_t>(region[0]) * x_.count(1);
    for (int64_t channel = 0; channel < x_[1]; ++channel, item += x_.count(2)) {
      for (int64_t i = 0; i < y_[2]; ++i) {
        for (int64_t j = 0; j < y_[3]; ++j) maximum(item, bin(down, i, x_[2]), bin(across, j, x_[3]), y++, place++);
      }
    }
  }

  void maximum(const float* plane, const Bin& rows, const Bin& columns, float* y, float* place) const {
    int64_t best = -1;
    for (int64_t h = rows.begin; h < rows.end; ++h) {
      for (int64_t w = columns.begin; w < columns.end; ++w) {
        const int64_t at = h * x_[3] + w;
        if (best < 0 || plane[at] > plane[best]) best = at;
      }
    }
    *y = best < 0 ? 0 : plane[best];
    *place = static_cast<float>(best);
  }

  const Shape x_, y_;
  const float scale_;
  const std::string layer_;
};

// g, regions, indices of maxima -> the gradient of x.
class ToMaxima : public OpaqueOp {
 public:
  ToMaxima(Shape x, Shape y) : x_(std::move(x)), y_(std::move(y)) {}

  std::string name() const override { return "roi_pooling_gradient"; }

  void run(std::span<const float* const> inputs, std::span<float* const> outputs, uint64_t) const override {
    const int64_t bins = y_.count(2), plane = x_.count(2);
    std::fill_n(outputs[0], x_.count(), 0.0f);
#pragma omp parallel for schedule(static)
    for (int64_t channel = 0; channel < x_[1]; ++channel) {
      for (int64_t region = 0; region < y_[0]; ++region) {
        const int64_t item = static_cast<int64_t>(inputs[1][region * 5]), at = (region * x_[1] + channel) * bins;
        float* to = outputs[0] + (item * x_[1] + channel) * plane;
        for (int64_t i = at; i < at + bins; ++i)
          if (inputs[2][i] >= 0) to[static_cast<int64_t>(inputs[2][i])] += inputs[0][i];
      }
    }
  }

 private:
  const Shape x_, y_;
};

std::vector<Value> MaximaOfRegions::gradient(const std::vector<Value>& inputs, const std::vector<Value>& outputs,
                                             const std::vector<Value>& output_gradients) const {
  return {
      opaque(*inputs[0].graph(), std::make_shared<ToMaxima>(x_, y_), {output_gradients[0], inputs[1], outputs[1]}, {x_})
          .front(),
      Value()};
}

void lower(LayerContext& context) {
  const caffe::ROIPoolingParameter& param = context.param().roi_pooling_param();
  const int64_t regions = check_regions(context);
  if (param.pooled_h() == 0 || param.pooled_w() == 0)
    context.fail("roi_pooling_param", fmt::format("pooled_h is {} and pooled_w {}", param.pooled_h(), param.pooled_w()),
                 "give the numbers of bins, for example pooled_h: 7 pooled_w: 7");
  if (!(param.spatial_scale() > 0))
    context.fail("roi_pooling_param.spatial_scale", fmt::format("spatial_scale is {}", param.spatial_scale()),
                 "it is 1 / the stride of bottom 0, for example 0.0625");
  const Shape& x = context.shape(0);
  const Shape y{regions, x[1], param.pooled_h(), param.pooled_w()};
  const auto op = std::make_shared<MaximaOfRegions>(x, y, param.spatial_scale(), subject_of(context.param()));
  context.set_top(0, opaque(context.graph(), op, {context.bottom(0), context.bottom(1)}, {y, y}).front());
}

REGISTER_LAYER(roi_pooling, .type = "ROIPooling", .summary = "region pooling: the maximum of each bin of each region",
               .min_bottoms = 2, .max_bottoms = 2, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 6 dim: 5 } } }
layer { name: "regions" type: "DummyData" top: "regions"
  dummy_data_param { shape { dim: 3 dim: 5 } data_filler { type: "constant" value: 1 } } }
layer { name: "pool" type: "ROIPooling" bottom: "x" bottom: "regions" top: "y"
  roi_pooling_param { pooled_h: 2 pooled_w: 3 spatial_scale: 2 } }
)",
               .label_bottoms = {1}, .allows_in_place = false);

}  // namespace
}  // namespace trainer
