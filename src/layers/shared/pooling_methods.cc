// Average and stochastic pooling.
#include "layers/shared/pooling_methods.h"

#include <algorithm>

#include "base/philox.h"
#include "ops/opaque.h"

namespace trainer {
namespace {

// The length of each window along one axis, clipped at the end of the padding: (1, 1, H, 1) or (1, 1, 1, W), or a
// scalar.
Value window_extent(Graph& graph, const PoolingWindow& window, const Shape& input, int axis) {
  const size_t i = static_cast<size_t>(axis - 2);
  const int64_t stride = window.attributes.stride[i], pad = window.attributes.pad[i],
                kernel = window.attributes.kernel[i];
  const int64_t last = (window.output_size[i] - 1) * stride - pad;
  if (last + kernel <= input[axis] + pad) return constant(graph, Shape{}, static_cast<float>(kernel));
  Shape shape{1, 1, 1, 1};
  shape[axis] = window.output_size[i];
  const Value begin = index_along(graph, shape, axis) * static_cast<float>(stride) - static_cast<float>(pad);
  return minimum(begin + static_cast<float>(kernel), static_cast<float>(input[axis] + pad)) - begin;
}

Value expected_value(Value x, const PoolingWindow& window) {
  const Value sums = sum_pool(x, window.attributes, window.output_size);
  const Value squares = sum_pool(x * x, window.attributes, window.output_size);
  return select(greater(sums, 0.0f), squares / sums, constant(*x.graph(), Shape{}, 0));
}

// x -> y, and the offset of each drawn value in its plane.
class DrawFromWindows : public OpaqueOp {
 public:
  DrawFromWindows(Shape input, Shape output, PoolAttributes window, uint64_t key)
      : input_(std::move(input)), output_(std::move(output)), window_(std::move(window)), key_(key) {}

  std::string name() const override { return "stochastic_pool"; }

  void run(std::span<const float* const> inputs, std::span<float* const> outputs, uint64_t pass) const override {
    const int64_t planes = input_[0] * input_[1], height = output_[2], width = output_[3];
#pragma omp parallel for schedule(static)
    for (int64_t plane = 0; plane < planes; ++plane) {
      const float* x = inputs[0] + plane * input_[2] * input_[3];
      for (int64_t i = 0; i < height * width; ++i) {
        const int64_t at = plane * height * width + i;
        const float u = uniform_from_bits(philox_element(key_, pass, static_cast<uint64_t>(at)));
        const int64_t drawn = draw(x, i / width, i % width, u);
        outputs[0][at] = x[drawn];
        outputs[1][at] = static_cast<float>(drawn);
      }
    }
  }

  std::vector<Value> gradient(const std::vector<Value>&, const std::vector<Value>& outputs,
                              const std::vector<Value>& output_gradients) const override;

 private:
  // The offset in the plane of the value drawn from the window at (row, column) of the output; u in (0, 1].
  int64_t draw(const float* x, int64_t row, int64_t column, float u) const {
    const int64_t h = row * window_.stride[0], w = column * window_.stride[1];
    const int64_t h_end = std::min(h + window_.kernel[0], input_[2]),
                  w_end = std::min(w + window_.kernel[1], input_[3]);
    float sum = 0;
    for (int64_t i = h; i < h_end; ++i)
      for (int64_t k = w; k < w_end; ++k) sum += x[i * input_[3] + k];
    const float threshold = u * sum;
    float reached = 0;
    for (int64_t i = h; i < h_end; ++i) {
      for (int64_t k = w; k < w_end; ++k) {
        reached += x[i * input_[3] + k];
        if (reached >= threshold) return i * input_[3] + k;
      }
    }
    return (h_end - 1) * input_[3] + w_end - 1;
  }

  const Shape input_, output_;
  const PoolAttributes window_;
  const uint64_t key_;
};

class GradientOfDraws : public OpaqueOp {
 public:
  GradientOfDraws(const Shape& input, const Shape& output)
      : planes_(input[0] * input[1]), pixels_(input[2] * input[3]), drawn_(output[2] * output[3]) {}

  std::string name() const override { return "stochastic_pool_gradient"; }
  void run(std::span<const float* const> inputs, std::span<float* const> outputs, uint64_t) const override {
#pragma omp parallel for schedule(static)
    for (int64_t plane = 0; plane < planes_; ++plane) {
      float* gradient = outputs[0] + plane * pixels_;
      std::fill_n(gradient, pixels_, 0.0f);
      for (int64_t i = plane * drawn_; i < (plane + 1) * drawn_; ++i)
        gradient[static_cast<int64_t>(inputs[1][i])] += inputs[0][i];
    }
  }

 private:
  const int64_t planes_, pixels_, drawn_;
};

std::vector<Value> DrawFromWindows::gradient(const std::vector<Value>&, const std::vector<Value>& outputs,
                                             const std::vector<Value>& output_gradients) const {
  return opaque(*outputs[0].graph(), std::make_shared<GradientOfDraws>(input_, output_),
                {output_gradients[0], outputs[1]}, {input_});
}

}  // namespace

Value average_pool(Value x, const PoolingWindow& window) {
  Graph& graph = *x.graph();
  const Shape& input = x.shape();
  const auto& [kernel, stride, pad] = window.attributes;
  const bool whole = window.output_size[0] == 1 && window.output_size[1] == 1 && pad[0] == 0 && pad[1] == 0 &&
                     kernel[0] >= input[2] && kernel[1] >= input[3];
  const Value sums = whole ? sum(x, {2, 3}) : sum_pool(x, window.attributes, window.output_size);
  return sums / (window_extent(graph, window, input, 2) * window_extent(graph, window, input, 3));
}

Value stochastic_pool(LayerContext& context, Value x, const PoolingWindow& window) {
  if (context.phase() == caffe::TEST) return expected_value(x, window);
  Shape output = x.shape();
  output[2] = window.output_size[0];
  output[3] = window.output_size[1];
  const auto draw = std::make_shared<DrawFromWindows>(x.shape(), output, window.attributes, context.random_key("draw"));
  return opaque(context.graph(), draw, {x}, {output, output}).front();
}

}  // namespace trainer
