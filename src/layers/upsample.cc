// Upsample: enlarges (N, C, H, W).
//   two bottoms  max unpooling: y[mask[i]] = x[i], and 0 elsewhere. The mask, bottom 1, holds for each value the index
//                h * W' + w in the plane of the top, or -1 for none; of two values with the same index the later one
//                stays. The size of the top is upsample_h and upsample_w, or follows from the factors, one less with
//                pad_out_h and pad_out_w
//   one bottom   nearest neighbour: y[h, w] = x[h / scale, w / scale]
#include <algorithm>

#include "base/error.h"
#include "layers/layer.h"
#include "ops/opaque.h"

namespace trainer {
namespace {

// x, mask -> y; transposed: g, mask -> the gradient of x.
class ByMask : public OpaqueOp {
 public:
  ByMask(Shape small, Shape large, std::string layer, bool transposed)
      : small_(std::move(small)), large_(std::move(large)), layer_(std::move(layer)), transposed_(transposed) {}

  std::string name() const override { return transposed_ ? "upsample_gradient" : "upsample"; }

  void run(std::span<const float* const> inputs, std::span<float* const> outputs, uint64_t) const override {
    const int64_t planes = small_.count(0, 2), in = small_.count(2), out = large_.count(2);
    check(inputs[1], planes * in, out);
#pragma omp parallel for schedule(static)
    for (int64_t plane = 0; plane < planes; ++plane) {
      const float* mask = inputs[1] + plane * in;
      if (transposed_) {
        for (int64_t i = 0; i < in; ++i)
          outputs[0][plane * in + i] = mask[i] < 0 ? 0 : inputs[0][plane * out + static_cast<int64_t>(mask[i])];
      } else {
        std::fill_n(outputs[0] + plane * out, out, 0.0f);
        for (int64_t i = 0; i < in; ++i)
          if (mask[i] >= 0) outputs[0][plane * out + static_cast<int64_t>(mask[i])] = inputs[0][plane * in + i];
      }
    }
  }

  std::vector<Value> gradient(const std::vector<Value>& inputs, const std::vector<Value>&,
                              const std::vector<Value>& output_gradients) const override {
    const auto back = std::make_shared<ByMask>(small_, large_, layer_, true);
    return {opaque(*inputs[0].graph(), back, {output_gradients[0], inputs[1]}, {small_}).front(), Value()};
  }

 private:
  void check(const float* mask, int64_t count, int64_t places) const {
    for (int64_t i = 0; i < count; ++i) {
      if (mask[i] == -1 || (mask[i] >= 0 && mask[i] < static_cast<float>(places))) continue;
      throw data_error(
          "{}: the mask holds {} at element {}, but the plane of the top has {} elements; check "
          "that the scale and size match those of the pooling that wrote the mask",
          layer_, mask[i], i, places);
    }
  }

  const Shape small_, large_;
  const std::string layer_;
  const bool transposed_;
};

// The height or width of the top.
int64_t extent(LayerContext& context, int axis) {
  const caffe::UpsampleParameter& param = context.param().upsample_param();
  const bool h = axis == 2;
  if (param.has_upsample_h()) return h ? param.upsample_h() : param.upsample_w();
  const int64_t scale = param.has_scale_h() ? (h ? param.scale_h() : param.scale_w()) : param.scale();
  return context.shape(0)[axis] * scale - ((h ? param.pad_out_h() : param.pad_out_w()) ? 1 : 0);
}

Value repeated(Value x, const Shape& shape) {
  const Shape& s = x.shape();
  const int64_t down = shape[2] / s[2], across = shape[3] / s[3];
  const Value single = reshape(x, Shape{s.count(0, 3), 1, s[3], 1});
  return reshape(broadcast_to(single, Shape{s.count(0, 3), down, s[3], across}), shape);
}

void lower(LayerContext& context) {
  const caffe::UpsampleParameter& param = context.param().upsample_param();
  const Shape& input = context.shape(0);
  if (input.rank() != 4)
    context.fail("bottom[0]", fmt::format("bottom \"{}\" is {}", context.param().bottom(0), input.text()),
                 "it needs 4 axes: (N, C, H, W)");
  if (param.has_scale_h() != param.has_scale_w() || param.has_upsample_h() != param.has_upsample_w())
    context.fail("upsample_param", "one of a pair is missing",
                 "scale_h and scale_w, upsample_h and upsample_w belong together");
  Shape shape = input;
  for (int axis : {2, 3}) {
    shape[axis] = extent(context, axis);
    if (shape[axis] < 1)
      context.fail("upsample_param",
                   fmt::format("the {} of the top would be {}", axis == 2 ? "height" : "width", shape[axis]),
                   "scale must be at least 1");
  }
  if (context.bottoms() == 2) {
    if (context.shape(1) != input)
      context.fail("bottom[1]",
                   fmt::format("the mask \"{}\" is {}, but bottom 0 \"{}\" is {}", context.param().bottom(1),
                               context.shape(1).text(), context.param().bottom(0), input.text()),
                   "use the second top of a max pooling as the mask");
    const auto op = std::make_shared<ByMask>(input, shape, subject_of(context.param()), false);
    return context.set_top(0, opaque(context.graph(), op, {context.bottom(0), context.bottom(1)}, {shape}).front());
  }
  if (param.has_upsample_h() || param.pad_out_h() || param.pad_out_w())
    context.fail("upsample_param", "upsample_h, upsample_w, pad_out_h and pad_out_w need a mask",
                 "give the mask of a max pooling as bottom 1, or only scale");
  context.set_top(0, repeated(context.bottom(0), shape));
}

REGISTER_LAYER(upsample, .type = "Upsample", .summary = "max unpooling, or nearest-neighbor upsampling",
               .min_bottoms = 1, .max_bottoms = 2, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "pool" type: "Pooling" bottom: "x" top: "m" top: "where" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "unpool" type: "Upsample" bottom: "m" bottom: "where" top: "y" upsample_param { scale: 2 pad_out_h: true } }
layer { name: "nearest" type: "Upsample" bottom: "x" top: "z" upsample_param { scale: 2 } }
)",
               .label_bottoms = {1}, .allows_in_place = false);

}  // namespace
}  // namespace trainer
