// PSROIPooling: position-sensitive pooling: the means of G x G bins of each region, G = group_size; each bin reads
// separate channels.
//   bottoms  x (N, output_dim * G * G, H, W), regions (R, 5): item, x1, y1, x2, y2. With s = spatial_scale a region
//            covers [round(x1) * s, (round(x2) + 1) * s) horizontally, at least 0.1, and the same vertically
//   top      (R, output_dim, G, G): y[d, i, j] is the mean of channel (d * G + i) * G + j over the pixels of bin (i, j)
//            from the floor of its start to the ceiling of its end, clipped to the image; 0 for an empty bin
// The regions take no gradient.
#include <algorithm>
#include <cmath>

#include "layers/layer.h"
#include "layers/shared/regions.h"
#include "ops/opaque.h"

namespace trainer {
namespace {

// x, regions -> y; transposed: g, regions -> the gradient of x.
class MeansOfRegions : public OpaqueOp {
 public:
  MeansOfRegions(Shape x, Shape y, float scale, std::string layer, bool transposed)
      : x_(std::move(x)), y_(std::move(y)), scale_(scale), layer_(std::move(layer)), transposed_(transposed) {}

  std::string name() const override { return transposed_ ? "psroi_pooling_gradient" : "psroi_pooling"; }

  void run(std::span<const float* const> inputs, std::span<float* const> outputs, uint64_t) const override {
    check_region_rows(inputs[1], y_[0], x_[0], layer_);
    if (transposed_) std::fill_n(outputs[0], x_.count(), 0.0f);
      // Every channel of x belongs to one bin.
#pragma omp parallel for schedule(static)
    for (int64_t channel = 0; channel < x_[1]; ++channel) {
      for (int64_t region = 0; region < y_[0]; ++region) {
        const float* corners = inputs[1] + region * 5;
        const int64_t plane = (static_cast<int64_t>(corners[0]) * x_[1] + channel) * x_.count(2);
        const int64_t groups = y_[2], place = channel % (groups * groups);
        const Bin rows = bin(corners[2], corners[4], place / groups, x_[2]);
        const Bin columns = bin(corners[1], corners[3], place % groups, x_[3]);
        const int64_t at = region * y_.count(1) + channel;
        if (transposed_) {
          spread(rows, columns, inputs[0][at], outputs[0] + plane);
        } else {
          outputs[0][at] = mean(rows, columns, inputs[0] + plane);
        }
      }
    }
  }

  std::vector<Value> gradient(const std::vector<Value>& inputs, const std::vector<Value>&,
                              const std::vector<Value>& output_gradients) const override {
    const auto back = std::make_shared<MeansOfRegions>(x_, y_, scale_, layer_, true);
    return {opaque(*inputs[0].graph(), back, {output_gradients[0], inputs[1]}, {x_}).front(), Value()};
  }

 private:
  Bin bin(float from, float to, int64_t i, int64_t extent) const {
    const float begin = std::round(from) * scale_, end = (std::round(to) + 1) * scale_;
    const float step = std::max(end - begin, 0.1f) / static_cast<float>(y_[2]), first = static_cast<float>(i);
    return bin_of(first * step + begin, (first + 1) * step + begin, extent);
  }
  static int64_t area(const Bin& rows, const Bin& columns) {
    return std::max<int64_t>(rows.end - rows.begin, 0) * std::max<int64_t>(columns.end - columns.begin, 0);
  }

  float mean(const Bin& rows, const Bin& columns, const float* plane) const {
    const int64_t count = area(rows, columns);
    float sum = 0;
    for (int64_t h = rows.begin; h < rows.end; ++h)
      for (int64_t w = columns.begin; w < columns.end; ++w) sum += plane[h * x_[3] + w];
    return count == 0 ? 0 : sum / static_cast<float>(count);
  }
  void spread(const Bin& rows, const Bin& columns, float g, float* plane) const {
    const int64_t count = area(rows, columns);
    if (count == 0) return;
    for (int64_t h = rows.begin; h < rows.end; ++h)
      for (int64_t w = columns.begin; w < columns.end; ++w) plane[h * x_[3] + w] += g / static_cast<float>(count);
  }

  const Shape x_, y_;
  const float scale_;
  const std::string layer_;
  const bool transposed_;
};

void lower(LayerContext& context) {
  const caffe::PSROIPoolingParameter& param = context.param().psroi_pooling_param();
  const int64_t regions = check_regions(context);
  if (!(param.spatial_scale() > 0))
    context.fail("psroi_pooling_param.spatial_scale", fmt::format("spatial_scale is {}", param.spatial_scale()),
                 "give 1 / the stride of bottom 0, for example 0.0625");
  if (param.output_dim() < 1 || param.group_size() < 1)
    context.fail("psroi_pooling_param",
                 fmt::format("output_dim is {} and group_size {}", param.output_dim(), param.group_size()),
                 "both must be positive");
  const Shape& x = context.shape(0);
  const int64_t outputs = param.output_dim(), groups = param.group_size();
  const int64_t channels = Shape{outputs, groups, groups}.count();
  if (x[1] != channels)
    context.fail("bottom[0]",
                 fmt::format("bottom \"{}\" ({}) has {} channels", context.param().bottom(0), x.text(), x[1]),
                 fmt::format("it needs output_dim * group_size * group_size = {}", channels));
  const Shape y{regions, outputs, groups, groups};
  const auto op = std::make_shared<MeansOfRegions>(x, y, param.spatial_scale(), subject_of(context.param()), false);
  context.set_top(0, opaque(context.graph(), op, {context.bottom(0), context.bottom(1)}, {y}).front());
}

REGISTER_LAYER(psroi_pooling, .type = "PSROIPooling",
               .summary = "position-sensitive pooling: means of bins of regions, each bin from separate channels",
               .min_bottoms = 2, .max_bottoms = 2, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 8 dim: 6 dim: 5 } } }
layer { name: "regions" type: "DummyData" top: "regions"
  dummy_data_param { shape { dim: 3 dim: 5 } data_filler { type: "constant" value: 1 } } }
layer { name: "pool" type: "PSROIPooling" bottom: "x" bottom: "regions" top: "y"
  psroi_pooling_param { output_dim: 2 group_size: 2 spatial_scale: 2 } }
)",
               .label_bottoms = {1}, .allows_in_place = false);

}  // namespace
}  // namespace trainer
