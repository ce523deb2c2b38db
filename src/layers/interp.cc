// Interp: resizes images (N, C, H, W) bilinearly with aligned corners: along an axis of extent m, resized to n, pixel i
// samples position i * (m - 1) / (n - 1). Before that the layer adds pad_beg and pad_end rows and columns of zeros, or
// crops if they are negative. The size of the top is one of:
//   - height and width
//   - that of bottom 1
//   - from the padded size, (size - 1) / shrink_factor + 1, and from that (size - 1) * zoom_factor + 1
#include <algorithm>
#include <array>
#include <span>

#include "layers/layer.h"
#include "layers/shared/given_shape.h"
#include "ops/opaque.h"

namespace trainer {
namespace {

struct Taps {
  int64_t first, second;
  float weight;  // of the second
};

// The sampling positions along one axis.
struct Axis {
  int64_t from, to;
  float ratio = to > 1 ? static_cast<float>(from - 1) / static_cast<float>(to - 1) : 0;

  Taps operator[](int64_t i) const {
    const float at = ratio * static_cast<float>(i);
    const int64_t first = std::min(static_cast<int64_t>(at), from - 1);
    return {first, std::min(first + 1, from - 1), at - static_cast<float>(first)};
  }
};

class Bilinear : public OpaqueOp {
 public:
  Bilinear(Shape small, Shape large, bool transposed)
      : from_(std::move(small)),
        to_(std::move(large)),
        transposed_(transposed),
        rows_{from_[2], to_[2]},
        columns_{from_[3], to_[3]} {}

  std::string name() const override { return transposed_ ? "interp_gradient" : "interp"; }

  void run(std::span<const float* const> inputs, std::span<float* const> outputs, uint64_t) const override {
    const int64_t planes = from_.count(0, 2), in = from_.count(2), out = to_.count(2);
#pragma omp parallel for schedule(static)
    for (int64_t plane = 0; plane < planes; ++plane) {
      if (transposed_) {
        spread(inputs[0] + plane * out, outputs[0] + plane * in);
      } else {
        sample(inputs[0] + plane * in, outputs[0] + plane * out);
      }
    }
  }

  std::vector<Value> gradient(const std::vector<Value>& inputs, const std::vector<Value>&,
                              const std::vector<Value>& output_gradients) const override {
    return opaque(*inputs[0].graph(), std::make_shared<Bilinear>(from_, to_, true), output_gradients, {from_});
  }

 private:
  // For blocks of columns, whose taps are computed once, and each row: calls `visit` with the taps of the row, the taps
  // of the block, and the offset of the block's first value in the large image.
  template <typename Visit>
  void in_blocks(const Visit& visit) const {
    std::array<Taps, 512> columns;
    for (int64_t begin = 0; begin < columns_.to; begin += std::ssize(columns)) {
      const int64_t count = std::min(std::ssize(columns), columns_.to - begin);
      for (int64_t k = 0; k < count; ++k) columns[static_cast<size_t>(k)] = columns_[begin + k];
      const std::span<const Taps> block(columns.data(), static_cast<size_t>(count));
      for (int64_t i = 0; i < rows_.to; ++i) visit(rows_[i], block, i * columns_.to + begin);
    }
  }
  void sample(const float* x, float* out) const {
    in_blocks([&, width = from_[3]](const Taps& row, std::span<const Taps> columns, int64_t offset) {
      const float *above = x + row.first * width, *below = x + row.second * width;
      float* y = out + offset;
      for (const Taps& column : columns) {
        const float top = (1 - column.weight) * above[column.first] + column.weight * above[column.second];
        const float bottom = (1 - column.weight) * below[column.first] + column.weight * below[column.second];
        *y++ = (1 - row.weight) * top + row.weight * bottom;
      }
    });
  }
  void spread(const float* gradient, float* dx) const {
    std::fill_n(dx, from_.count(2), 0.0f);
    in_blocks([&, width = from_[3]](const Taps& row, std::span<const Taps> columns, int64_t offset) {
      float *above = dx + row.first * width, *below = dx + row.second * width;
      const float* g = gradient + offset;
      for (const Taps& column : columns) {
        const float up = (1 - row.weight) * *g, down = row.weight * *g++;
        above[column.first] += (1 - column.weight) * up;
        above[column.second] += column.weight * up;
        below[column.first] += (1 - column.weight) * down;
        below[column.second] += column.weight * down;
      }
    });
  }

  const Shape from_, to_;
  const bool transposed_;
  const Axis rows_, columns_;
};

Value padded(Value x, int axis, int64_t before, int64_t after) {
  const int64_t begin = std::max<int64_t>(-before, 0), end = x.shape()[axis] - std::max<int64_t>(-after, 0);
  const Value kept = slice(x, axis, begin, end);
  return pad(kept, axis, std::max<int64_t>(before, 0),
             end - begin + std::max<int64_t>(before, 0) + std::max<int64_t>(after, 0));
}

int64_t scaled(int64_t size, const caffe::InterpParameter& param) {
  return saturating_product((size - 1) / param.shrink_factor(), param.zoom_factor()) + 1;
}

void lower(LayerContext& context) {
  const caffe::InterpParameter& param = context.param().interp_param();
  Value x = context.bottom(0);
  if (x.shape().rank() != 4)
    context.fail("bottom[0]", fmt::format("bottom \"{}\" is {}", context.param().bottom(0), x.shape().text()),
                 "it needs 4 axes: (N, C, H, W)");
  const bool sized = param.has_height() || param.has_width();
  const bool by_factor = param.has_zoom_factor() || param.has_shrink_factor();
  if (param.zoom_factor() < 1 || param.shrink_factor() < 1)
    context.fail("interp_param",
                 fmt::format("zoom_factor {} and shrink_factor {}", param.zoom_factor(), param.shrink_factor()),
                 "both factors must be at least 1");
  if (sized && (param.height() < 1 || param.width() < 1))
    context.fail("interp_param", fmt::format("height {} and width {}", param.height(), param.width()),
                 "give both, each at least 1");
  if (context.bottoms() == 2 && context.shape(1).rank() != 4)
    context.fail("bottom[1]", fmt::format("bottom \"{}\" is {}", context.param().bottom(1), context.shape(1).text()),
                 "its height and width are the size of the top: it needs 4 axes");
  if (int{sized} + int{by_factor} + int{context.bottoms() == 2} != 1)
    context.fail("interp_param",
                 "the size of the top is given by none or several of height and width, factors, and a second bottom",
                 "give one of them");
  for (int axis : {2, 3}) {
    const int64_t size = x.shape()[axis], before = param.pad_beg(), after = param.pad_end();
    if (std::max<int64_t>(-before, 0) + std::max<int64_t>(-after, 0) >= size)
      context.fail("interp_param",
                   fmt::format("pad_beg {} and pad_end {} leave nothing of {} rows or columns", before, after, size));
    x = padded(x, axis, before, after);
  }
  Shape shape = x.shape();
  for (int axis : {2, 3})
    shape[axis] = sized       ? (axis == 2 ? param.height() : param.width())
                  : by_factor ? scaled(shape[axis], param)
                              : context.shape(1)[axis];
  check_top(context, 0, shape);
  if (shape == x.shape()) return context.set_top(0, x);
  context.set_top(0,
                  opaque(context.graph(), std::make_shared<Bilinear>(x.shape(), shape, false), {x}, {shape}).front());
}

REGISTER_LAYER(interp, .type = "Interp", .summary = "resizes images bilinearly", .min_bottoms = 1, .max_bottoms = 2,
               .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "up" type: "Interp" bottom: "x" top: "y" interp_param { zoom_factor: 2 pad_beg: -1 } }
layer { name: "down" type: "Interp" bottom: "x" top: "z" interp_param { height: 3 width: 6 } }
)",
               .allows_in_place = false);

}  // namespace
}  // namespace trainer
