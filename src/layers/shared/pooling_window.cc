// Reads and checks kernel, stride and pad of Pooling.
#include "layers/shared/pooling_window.h"

#include <limits>

namespace trainer {
namespace {

using caffe::PoolingParameter;

constexpr const char* kAxisName[] = {"height", "width"};

struct Pair {
  bool whole, h, w;  // whether each field is given
  int64_t value, height, width;
};

// Reads the field `name`, or `stem`_h and `stem`_w. Fails if both forms are given, or only one of h and w.
std::vector<int64_t> square_or_pair(LayerContext& context, const std::string& name, const std::string& stem,
                                    const Pair& pair) {
  const std::string path = "pooling_param." + name;
  if (pair.whole && (pair.h || pair.w))
    context.fail(path, fmt::format("both {0} and {1}_h or {1}_w are given", name, stem),
                 fmt::format("keep {0}, or {1}_h and {1}_w", name, stem));
  if (pair.h != pair.w)
    context.fail(fmt::format("pooling_param.{}_{}", stem, pair.h ? "h" : "w"),
                 fmt::format("{}_{} is missing", stem, pair.h ? "w" : "h"),
                 fmt::format("{0}_h and {0}_w are both required, or {1} in their place", stem, name));
  const std::vector<int64_t> result =
      pair.h ? std::vector<int64_t>{pair.height, pair.width} : std::vector<int64_t>{pair.value, pair.value};
  for (int64_t extent : result)
    if (extent > std::numeric_limits<int32_t>::max())
      context.fail(pair.h ? "pooling_param" : path, fmt::format("{} is {}", name, extent),
                   fmt::format("{} must be at most {}", name, std::numeric_limits<int32_t>::max()));
  return result;
}

std::vector<int64_t> kernel_of(LayerContext& context, const PoolingParameter& param) {
  const bool any = param.has_kernel_size() || param.has_kernel_h() || param.has_kernel_w();
  if (param.global_pooling()) {
    if (any)
      context.fail("pooling_param.global_pooling", "a kernel is given with global_pooling: true",
                   "the kernel of global pooling is the whole input: remove kernel_size, or global_pooling");
    return {context.shape(0)[2], context.shape(0)[3]};
  }
  if (!any)
    context.fail("pooling_param", "kernel_size is missing",
                 "give kernel_size, or kernel_h and kernel_w, or global_pooling: true");
  const std::vector<int64_t> kernel =
      square_or_pair(context, "kernel_size", "kernel",
                     {param.has_kernel_size(), param.has_kernel_h(), param.has_kernel_w(), param.kernel_size(),
                      param.kernel_h(), param.kernel_w()});
  if (kernel[0] == 0 || kernel[1] == 0)
    context.fail("pooling_param", fmt::format("the kernel is {} x {}", kernel[0], kernel[1]),
                 "filter dimensions cannot be zero");
  // Offsets in a window have 32 bits, as offsets in a blob have.
  const std::string problem = check_shape(Shape(kernel));
  if (!problem.empty()) context.fail("pooling_param", "the kernel: " + problem, "use a smaller kernel");
  return kernel;
}

}  // namespace

int64_t pooled_extent(int64_t input, int64_t kernel, int64_t stride, int64_t pad, bool round_up, bool any_pad) {
  const int64_t room = input + 2 * pad - kernel;
  const int64_t rounding = round_up ? stride - 1 : 0;
  // Integer division rounds towards zero; room may be negative.
  int64_t steps = room >= 0 ? (room + rounding) / stride : -((-room + (round_up ? 0 : stride - 1)) / stride);
  if (any_pad && steps * stride >= input + pad) --steps;
  return steps + 1;
}

PoolingWindow pooling_window(LayerContext& context) {
  const PoolingParameter& param = context.param().pooling_param();
  const Shape& input = context.shape(0);
  if (input.rank() != 4)
    context.fail("bottom", fmt::format("bottom \"{}\" is {}", context.param().bottom(0), input.text()),
                 "pooling takes 4 axes: num, channels, height, width");
  PoolingWindow window;
  PoolAttributes& attributes = window.attributes;
  attributes.kernel = kernel_of(context, param);
  attributes.pad = square_or_pair(
      context, "pad", "pad",
      {param.has_pad(), param.has_pad_h(), param.has_pad_w(), param.pad(), param.pad_h(), param.pad_w()});
  attributes.stride = square_or_pair(context, "stride", "stride",
                                     {param.has_stride(), param.has_stride_h(), param.has_stride_w(), param.stride(),
                                      param.stride_h(), param.stride_w()});
  if (param.has_ceil_mode() && param.has_round_mode())
    context.fail("pooling_param.ceil_mode", "ceil_mode and round_mode are both given", "keep round_mode");
  const bool round_up = param.has_ceil_mode() ? param.ceil_mode() : param.round_mode() == PoolingParameter::CEIL;
  const bool any_pad = attributes.pad[0] != 0 || attributes.pad[1] != 0;
  if (param.global_pooling() && (any_pad || attributes.stride[0] != 1 || attributes.stride[1] != 1))
    context.fail("pooling_param.global_pooling", "pad or stride is given with global_pooling: true",
                 "only pad: 0 and stride: 1 go with global pooling: remove them");
  if (any_pad && param.pool() == PoolingParameter::STOCHASTIC)
    context.fail("pooling_param.pad", "padding with pool: STOCHASTIC", "padding is for average and max pooling only");

  for (size_t i = 0; i < 2; ++i) {
    const int64_t extent = input[static_cast<int>(i) + 2];
    if (attributes.stride[i] == 0)
      context.fail("pooling_param", fmt::format("the stride along the {} is 0", kAxisName[i]),
                   "stride must be at least 1");
    if (attributes.pad[i] >= attributes.kernel[i])
      context.fail("pooling_param",
                   fmt::format("the padding of the {}, {}, is not less than the kernel, {}", kAxisName[i],
                               attributes.pad[i], attributes.kernel[i]),
                   "a window must cover more than padding");
    window.output_size.push_back(
        pooled_extent(extent, attributes.kernel[i], attributes.stride[i], attributes.pad[i], round_up, any_pad));
    if (window.output_size[i] < 1)
      context.fail(
          "pooling_param",
          fmt::format("the kernel spans {} along the {}, but \"{}\" ({}) with its padding has {}", attributes.kernel[i],
                      kAxisName[i], context.param().bottom(0), input.text(), extent + 2 * attributes.pad[i]),
          "use a smaller kernel, more padding, or a larger input");
    const int64_t last = (window.output_size[i] - 1) * attributes.stride[i] - attributes.pad[i];
    if (last >= extent)
      context.warn(
          "pooling_param",
          fmt::format("the last window along the {} begins at {}, outside \"{}\" ({}): it covers no element, and "
                      "its result is not a number",
                      kAxisName[i], last, context.param().bottom(0), input.text()),
          "use a kernel that is no smaller than the stride, or round_mode: FLOOR");
  }
  return window;
}

}  // namespace trainer
