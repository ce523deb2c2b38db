// ONNX operators over windows and channels: Conv, ConvTranspose, pooling, LRN, BatchNormalization, Resize.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "export/onnx_evaluator.h"

namespace trainer {
namespace {

// The geometry of an operator over up to three spatial axes, with leading axes of extent 1 added.
struct Window {
  std::array<int64_t, 3> in{1, 1, 1}, out{1, 1, 1}, kernel{1, 1, 1}, stride{1, 1, 1}, dilation{1, 1, 1}, begin{0, 0, 0},
      end{0, 0, 0};

  Window(const OnnxCall& call, const std::vector<int64_t>& kernel_shape) {
    const size_t axes = kernel_shape.size(), first = 3 - axes;
    TRAINER_ASSERT(axes <= 3 && call.input(0).shape.rank() == static_cast<int>(axes) + 2);
    const auto strides = call.node.integers("strides", std::vector<int64_t>(axes, 1)),
               dilations = call.node.integers("dilations", std::vector<int64_t>(axes, 1)),
               pads = call.node.integers("pads", std::vector<int64_t>(2 * axes, 0));
    for (size_t i = 0; i < axes; ++i) {
      in[first + i] = call.input(0).shape[static_cast<int>(i) + 2];
      kernel[first + i] = kernel_shape[i];
      stride[first + i] = strides[i];
      dilation[first + i] = dilations[i];
      begin[first + i] = pads[i];
      end[first + i] = pads[axes + i];
    }
  }

  int64_t reach(size_t i) const { return dilation[i] * (kernel[i] - 1) + 1; }
  void find_output() {
    for (size_t i = 0; i < 3; ++i) out[i] = (in[i] + begin[i] + end[i] - reach(i)) / stride[i] + 1;
  }
  int64_t positions(const std::array<int64_t, 3>& extents) const { return extents[0] * extents[1] * extents[2]; }

  // Calls visit(tap, from, to, count, step) for each run of `count` outputs from index `to` on along the last axis:
  // tap number `tap` of the kernel reads the input from index `from` on, `step` elements apart.
  template <typename Visit>
  void for_runs(Visit visit) const {
    for (int64_t tap = 0; tap < positions(kernel); ++tap) {
      const int64_t kw = tap % kernel[2], kh = tap / kernel[2] % kernel[1], kd = tap / kernel[2] / kernel[1];
      const int64_t w0 = kw * dilation[2] - begin[2];
      const int64_t first = w0 >= 0 ? 0 : (-w0 + stride[2] - 1) / stride[2];
      const int64_t last = w0 > in[2] - 1 ? 0 : std::min(out[2], (in[2] - 1 - w0) / stride[2] + 1);
      if (first >= last) continue;
      for (int64_t od = 0; od < out[0]; ++od) {
        const int64_t d = od * stride[0] - begin[0] + kd * dilation[0];
        if (d < 0 || d >= in[0]) continue;
        for (int64_t oh = 0; oh < out[1]; ++oh) {
          const int64_t h = oh * stride[1] - begin[1] + kh * dilation[1];
          if (h < 0 || h >= in[1]) continue;
          visit(tap, (d * in[1] + h) * in[2] + w0 + first * stride[2], (od * out[1] + oh) * out[2] + first,
                last - first, stride[2]);
        }
      }
    }
  }
};

Shape with_spatial(const Shape& like, int64_t channels, const std::array<int64_t, 3>& extents) {
  Shape shape = like;
  shape[1] = channels;
  for (int axis = 2; axis < like.rank(); ++axis)
    shape[axis] = extents[static_cast<size_t>(3 - (like.rank() - 2) + axis - 2)];
  return shape;
}

std::vector<int64_t> spatial_of(const Shape& shape) { return {shape.dims().begin() + 2, shape.dims().end()}; }

std::vector<OnnxArray> convolution(const OnnxCall& call) {
  const OnnxArray &x = call.input(0), &w = call.input(1);
  Window window(call, spatial_of(w.shape));
  window.find_output();
  const int64_t group = call.node.integer("group", 1), outputs = w.shape[0], channels = w.shape[1],
                taps = w.shape.count(2), in = window.positions(window.in), out = window.positions(window.out);
  OnnxArray y = OnnxArray::of_floats(with_spatial(x.shape, outputs, window.out));
  TRAINER_ASSERT(x.shape[1] == channels * group && outputs % group == 0);
#pragma omp parallel for schedule(dynamic)
  for (int64_t row = 0; row < x.shape[0] * outputs; ++row) {
    const int64_t item = row / outputs, o = row % outputs, first = o / (outputs / group) * channels;
    std::vector<double> sums(static_cast<size_t>(out), call.has(2) ? call.input(2).floats[static_cast<size_t>(o)] : 0);
    for (int64_t c = 0; c < channels; ++c) {
      const float* const plane = x.floats.data() + (item * x.shape[1] + first + c) * in;
      const float* const weights = w.floats.data() + (o * channels + c) * taps;
      window.for_runs([&](int64_t tap, int64_t from, int64_t to, int64_t count, int64_t step) {
        const double weight = weights[tap];
        for (int64_t i = 0; i < count; ++i)
          sums[static_cast<size_t>(to + i)] += weight * static_cast<double>(plane[from + i * step]);
      });
    }
    std::copy(sums.begin(), sums.end(), y.floats.begin() + row * out);
  }
  return {std::move(y)};
}

// The output has the positions of the input of a convolution with the same window.
std::vector<OnnxArray> transposed_convolution(const OnnxCall& call) {
  const OnnxArray &x = call.input(0), &w = call.input(1);
  Window window(call, spatial_of(w.shape));
  std::swap(window.in, window.out);
  for (size_t i = 0; i < 3; ++i)
    window.in[i] = window.stride[i] * (window.out[i] - 1) + window.reach(i) - window.begin[i] - window.end[i];
  const int64_t group = call.node.integer("group", 1), each = w.shape[1], outputs = each * group,
                channels = x.shape[1] / group, taps = w.shape.count(2), large = window.positions(window.in),
                small = window.positions(window.out);
  OnnxArray y = OnnxArray::of_floats(with_spatial(x.shape, outputs, window.in));
#pragma omp parallel for schedule(dynamic)
  for (int64_t row = 0; row < x.shape[0] * outputs; ++row) {
    const int64_t item = row / outputs, o = row % outputs;
    std::vector<double> sums(static_cast<size_t>(large),
                             call.has(2) ? call.input(2).floats[static_cast<size_t>(o)] : 0);
    for (int64_t c = o / each * channels; c < (o / each + 1) * channels; ++c) {
      const float* const plane = x.floats.data() + (item * x.shape[1] + c) * small;
      const float* const weights = w.floats.data() + (c * each + o % each) * taps;
      window.for_runs([&](int64_t tap, int64_t to, int64_t from, int64_t count, int64_t step) {
        const double weight = weights[tap];
        for (int64_t i = 0; i < count; ++i)
          sums[static_cast<size_t>(to + i * step)] += weight * static_cast<double>(plane[from + i]);
      });
    }
    std::copy(sums.begin(), sums.end(), y.floats.begin() + row * large);
  }
  return {std::move(y)};
}

// Calls fold(index of the output, element) for each element of each window.
template <typename Fold>
void fold_windows(const Window& window, const float* plane, Fold fold) {
  window.for_runs([&](int64_t, int64_t from, int64_t to, int64_t count, int64_t step) {
    for (int64_t i = 0; i < count; ++i) fold(static_cast<size_t>(to + i), plane[from + i * step]);
  });
}

std::vector<OnnxArray> max_pool(const OnnxCall& call) {
  const OnnxArray& x = call.input(0);
  Window window(call, call.node.integers("kernel_shape", {}));
  window.find_output();
  const int64_t in = window.positions(window.in), out = window.positions(window.out);
  OnnxArray y = OnnxArray::of_floats(with_spatial(x.shape, x.shape[1], window.out));
  std::fill(y.floats.begin(), y.floats.end(), -std::numeric_limits<float>::infinity());
  for (int64_t plane = 0; plane < x.shape.count(0, 2); ++plane) {
    float* const largest = y.floats.data() + plane * out;
    fold_windows(window, x.floats.data() + plane * in,
                 [&](size_t at, float value) { largest[at] = std::max(largest[at], value); });
  }
  return {std::move(y)};
}

std::vector<OnnxArray> average_pool(const OnnxCall& call) {
  const OnnxArray& x = call.input(0);
  Window window(call, call.node.integers("kernel_shape", {}));
  window.find_output();
  const bool padding = call.node.integer("count_include_pad", 0) != 0;
  const int64_t in = window.positions(window.in), out = window.positions(window.out);
  OnnxArray y = OnnxArray::of_floats(with_spatial(x.shape, x.shape[1], window.out));
  for (int64_t plane = 0; plane < x.shape.count(0, 2); ++plane) {
    std::vector<double> sums(static_cast<size_t>(out)), counts(static_cast<size_t>(out));
    fold_windows(window, x.floats.data() + plane * in, [&](size_t at, float value) {
      sums[at] += static_cast<double>(value);
      counts[at] += 1;
    });
    for (size_t i = 0; i < sums.size(); ++i)
      y.floats[static_cast<size_t>(plane * out) + i] =
          static_cast<float>(sums[i] / (padding ? static_cast<double>(window.positions(window.kernel)) : counts[i]));
  }
  return {std::move(y)};
}

template <typename Reduce>
std::vector<OnnxArray> global_pool(const OnnxCall& call, Reduce reduce) {
  const OnnxArray& x = call.input(0);
  OnnxArray y = OnnxArray::of_floats(with_spatial(x.shape, x.shape[1], {1, 1, 1}));
  const int64_t in = x.shape.count(2);
  for (size_t plane = 0; plane < y.floats.size(); ++plane) {
    const float* const begin = x.floats.data() + static_cast<int64_t>(plane) * in;
    y.floats[plane] = reduce(begin, begin + in);
  }
  return {std::move(y)};
}

std::vector<OnnxArray> global_average(const OnnxCall& call) {
  return global_pool(call, [](const float* begin, const float* end) {
    return static_cast<float>(std::accumulate(begin, end, 0.0) / static_cast<double>(end - begin));
  });
}

std::vector<OnnxArray> global_maximum(const OnnxCall& call) {
  return global_pool(call, [](const float* begin, const float* end) { return *std::max_element(begin, end); });
}

std::vector<OnnxArray> lrn(const OnnxCall& call) {
  const OnnxArray& x = call.input(0);
  const int64_t size = call.node.integer("size", 1), channels = x.shape[1], inner = x.shape.count(2);
  const double alpha = call.node.number("alpha", 1e-4f), beta = call.node.number("beta", 0.75f),
               bias = call.node.number("bias", 1);
  OnnxArray y = OnnxArray::of_floats(x.shape);
  for (int64_t i = 0; i < x.shape.count(); ++i) {
    const int64_t c = i / inner % channels;
    double squares = 0;
    for (int64_t other = std::max<int64_t>(c - (size - 1) / 2, 0); other <= std::min(c + size / 2, channels - 1);
         ++other)
      squares += std::pow(static_cast<double>(x.floats[static_cast<size_t>(i + (other - c) * inner)]), 2);
    y.floats[static_cast<size_t>(i)] =
        static_cast<float>(static_cast<double>(x.floats[static_cast<size_t>(i)]) /
                           std::pow(bias + alpha / static_cast<double>(size) * squares, beta));
  }
  return {std::move(y)};
}

std::vector<OnnxArray> batch_normalization(const OnnxCall& call) {
  const OnnxArray& x = call.input(0);
  const double eps = call.node.number("epsilon", 1e-5f);
  OnnxArray y = OnnxArray::of_floats(x.shape);
  const auto of_channel = [&](size_t input, size_t c) { return static_cast<double>(call.input(input).floats[c]); };
  for (int64_t i = 0; i < x.shape.count(); ++i) {
    const size_t c = static_cast<size_t>(i / x.shape.count(2) % x.shape[1]), at = static_cast<size_t>(i);
    y.floats[at] = static_cast<float>((static_cast<double>(x.floats[at]) - of_channel(3, c)) /
                                          std::sqrt(of_channel(4, c) + eps) * of_channel(1, c) +
                                      of_channel(2, c));
  }
  return {std::move(y)};
}

// The position among `from` pixels that pixel `i` of `to` pixels samples.
double sampled_at(int64_t i, int64_t from, int64_t to, bool linear) {
  if (!linear) return std::floor(static_cast<double>(i) * static_cast<double>(from) / static_cast<double>(to));
  return to == 1 ? 0 : static_cast<double>(i) * static_cast<double>(from - 1) / static_cast<double>(to - 1);
}

// Height and width: "linear" with aligned corners, or "nearest" with asymmetric positions rounded down.
std::vector<OnnxArray> resize(const OnnxCall& call) {
  const OnnxArray& x = call.input(0);
  const bool linear = call.node.text("mode", "nearest") == "linear";
  TRAINER_ASSERT(x.shape.rank() == 4 &&
                 call.node.text("coordinate_transformation_mode", "") == (linear ? "align_corners" : "asymmetric"));
  Shape shape = x.shape;
  for (int axis : {2, 3}) {
    const auto at = static_cast<size_t>(axis);
    shape[axis] = call.has(3) ? call.input(3).ints[at]
                              : static_cast<int64_t>(static_cast<float>(x.shape[axis]) * call.input(2).floats[at]);
  }
  OnnxArray y = OnnxArray::of_floats(shape);
  for (int64_t i = 0; i < shape.count(); ++i) {
    const double row = sampled_at(i / shape[3] % shape[2], x.shape[2], shape[2], linear),
                 column = sampled_at(i % shape[3], x.shape[3], shape[3], linear);
    const int64_t r = static_cast<int64_t>(row), c = static_cast<int64_t>(column);
    const float* const plane = x.floats.data() + i / shape.count(2) * x.shape.count(2);
    const auto pixel = [&](int64_t h, int64_t w) {
      return static_cast<double>(plane[std::min(h, x.shape[2] - 1) * x.shape[3] + std::min(w, x.shape[3] - 1)]);
    };
    const double down = row - static_cast<double>(r), across = column - static_cast<double>(c);
    y.floats[static_cast<size_t>(i)] =
        static_cast<float>((1 - down) * ((1 - across) * pixel(r, c) + across * pixel(r, c + 1)) +
                           down * ((1 - across) * pixel(r + 1, c) + across * pixel(r + 1, c + 1)));
  }
  return {std::move(y)};
}

}  // namespace

void add_window_operators(OnnxOperators* operators) {
  OnnxOperators& all = *operators;
  all["Conv"] = convolution;
  all["ConvTranspose"] = transposed_convolution;
  all["MaxPool"] = max_pool;
  all["AveragePool"] = average_pool;
  all["GlobalAveragePool"] = global_average;
  all["GlobalMaxPool"] = global_maximum;
  all["LRN"] = lrn;
  all["BatchNormalization"] = batch_normalization;
  all["Resize"] = resize;
}

}  // namespace trainer
