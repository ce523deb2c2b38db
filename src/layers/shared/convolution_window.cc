// Reads and checks kernel, stride, pad and dilation.
#include "layers/shared/convolution_window.h"

#include <cstdint>
#include <limits>
#include <optional>

namespace trainer {
namespace {

// One of the fields, its two-dimensional forms ("kernel_h"), and its default.
struct WindowField {
  const char* name;  // "kernel_size"
  const char* stem;  // "kernel", of kernel_h and kernel_w
  const google::protobuf::RepeatedField<uint32_t>* values;
  std::optional<uint32_t> h, w;
  std::optional<uint32_t> unset;  // the value of h or w if only the other is given; empty: both are required
  int64_t fallback = -1;          // the default; -1: the field is required
  bool may_be_zero = false;
};

std::vector<int64_t> two_dimensional(LayerContext& context, const WindowField& field, size_t axes) {
  const std::string path = fmt::format("convolution_param.{}_{}", field.stem, field.h ? "h" : "w");
  if (axes != 2)
    context.fail(path,
                 fmt::format("{0}_h and {0}_w are for 2 spatial axes; \"{1}\" ({2}) has {3}", field.stem,
                             context.param().bottom(0), context.shape(0).text(), axes),
                 fmt::format("give {} once, or once for each spatial axis", field.name));
  if (!field.values->empty())
    context.fail(path, fmt::format("either {0} or {1}_h/{1}_w should be specified; not both", field.name, field.stem));
  if (!(field.h && field.w) && !field.unset)
    context.fail(path, fmt::format("{}_{} is missing", field.stem, field.h ? "w" : "h"),
                 fmt::format("{0}_h and {0}_w belong together", field.stem));
  return {field.h.value_or(field.unset.value_or(0)), field.w.value_or(field.unset.value_or(0))};
}

std::vector<int64_t> read(LayerContext& context, const WindowField& field, size_t axes) {
  std::vector<int64_t> result;
  const std::string path = std::string("convolution_param.") + field.name;
  if (field.h || field.w) {
    result = two_dimensional(context, field, axes);
  } else if (field.values->empty()) {
    if (field.fallback < 0 && axes > 0)
      context.fail("convolution_param", fmt::format("{} is missing", field.name),
                   fmt::format("give {} once, or once for each of the {} spatial axes", field.name, axes));
    result.assign(axes, field.fallback);
  } else if (field.values->size() == 1) {
    result.assign(axes, field.values->Get(0));
  } else if (static_cast<size_t>(field.values->size()) == axes) {
    result.assign(field.values->begin(), field.values->end());
  } else {
    context.fail(path,
                 fmt::format("{0} must be specified once, or once per spatial dimension ({0} specified {1} "
                             "times; {2} spatial dims)",
                             field.name, field.values->size(), axes),
                 fmt::format("bottom \"{}\" is {}", context.param().bottom(0), context.shape(0).text()));
  }
  for (int64_t value : result) {
    const std::string at =
        field.h || field.w ? fmt::format("convolution_param.{}_{}", field.stem, field.h ? "h" : "w") : path;
    if (value == 0 && !field.may_be_zero)
      context.fail(at, fmt::format("{} is 0", field.name), fmt::format("{} must be at least 1", field.name));
    if (value > std::numeric_limits<int32_t>::max())
      context.fail(at, fmt::format("{} is {}", field.name, value),
                   fmt::format("{} must be at most {}", field.name, std::numeric_limits<int32_t>::max()));
  }
  return result;
}

std::optional<uint32_t> optional_field(bool has, uint32_t value) {
  return has ? std::optional<uint32_t>(value) : std::nullopt;
}

}  // namespace

ConvolutionWindow convolution_window(LayerContext& context) {
  const caffe::ConvolutionParameter& param = context.param().convolution_param();
  const Shape& input = context.shape(0);
  ConvolutionWindow window;
  window.axis = context.canonical_axis(param.axis(), input.rank(), "convolution_param.axis");
  const size_t axes = static_cast<size_t>(input.rank() - window.axis - 1);
  if (axes > 3)
    context.fail("bottom",
                 fmt::format("bottom \"{}\" ({}) has {} spatial axes after channel axis {}", context.param().bottom(0),
                             input.text(), axes, window.axis),
                 "convolutions of up to 3 spatial axes are supported");

  const WindowField kernel{"kernel_size",
                           "kernel",
                           &param.kernel_size(),
                           optional_field(param.has_kernel_h(), param.kernel_h()),
                           optional_field(param.has_kernel_w(), param.kernel_w()),
                           std::nullopt,
                           -1,
                           false};
  const WindowField stride{"stride",
                           "stride",
                           &param.stride(),
                           optional_field(param.has_stride_h(), param.stride_h()),
                           optional_field(param.has_stride_w(), param.stride_w()),
                           std::nullopt,
                           1,
                           false};
  const WindowField pad{"pad",
                        "pad",
                        &param.pad(),
                        optional_field(param.has_pad_h(), param.pad_h()),
                        optional_field(param.has_pad_w(), param.pad_w()),
                        0,
                        0,
                        true};
  const WindowField dilation{"dilation", "dilation", &param.dilation(), std::nullopt, std::nullopt, std::nullopt,
                             1,          false};
  window.kernel = read(context, kernel, axes);
  window.attributes.stride = read(context, stride, axes);
  window.attributes.pad = read(context, pad, axes);
  window.attributes.dilation = read(context, dilation, axes);
  window.attributes.group = param.group();
  return window;
}

void check_equal_shapes(LayerContext& context) {
  for (int i = 1; i < context.bottoms(); ++i)
    if (context.shape(i) != context.shape(0))
      context.fail("bottom",
                   fmt::format("bottom {} \"{}\" is {}, but bottom 0 \"{}\" is {}", i, context.param().bottom(i),
                               context.shape(i).text(), context.param().bottom(0), context.shape(0).text()),
                   "all inputs must have the same shape: they share the weights");
}

Shape convolved_shape(LayerContext& context, const ConvolutionWindow& window, int64_t channels) {
  Shape shape = context.shape(0);
  shape[window.axis] = channels;
  for (size_t i = 0; i < window.spatial_axes(); ++i) {
    const int axis = window.axis + 1 + static_cast<int>(i);
    const int64_t padded = shape[axis] + 2 * window.attributes.pad[i];
    if (padded < window.reach(i))
      context.fail("convolution_param",
                   fmt::format("the kernel spans {} along axis {}, but \"{}\" ({}) with its padding has {}",
                               window.reach(i), axis, context.param().bottom(0), context.shape(0).text(), padded),
                   "use a smaller kernel, more padding, or a larger input");
    shape[axis] = (padded - window.reach(i)) / window.attributes.stride[i] + 1;
  }
  return shape;
}

void check_channels(LayerContext& context, const ConvolutionWindow& window) {
  const caffe::ConvolutionParameter& param = context.param().convolution_param();
  const int64_t channels = context.shape(0)[window.axis];
  if (param.num_output() == 0)
    context.fail("convolution_param", "num_output is missing or 0",
                 "give the number of output channels, for example num_output: 20");
  const int64_t group = window.attributes.group;
  if (group == 0) context.fail("convolution_param.group", "group is 0", "group must be at least 1");
  if (channels % group != 0)
    context.fail("convolution_param.group", fmt::format("{} input channels in {} groups", channels, group),
                 fmt::format("the channels of \"{}\" ({}) should be a multiple of group", context.param().bottom(0),
                             context.shape(0).text()));
  if (param.num_output() % group != 0)
    context.fail("convolution_param.num_output", fmt::format("{} outputs in {} groups", param.num_output(), group),
                 "the number of output should be multiples of group");
}

Shape folded_shape(const Shape& shape, int axis) {
  std::vector<int64_t> dims{shape.count(0, axis)};
  dims.insert(dims.end(), shape.dims().begin() + axis, shape.dims().end());
  if (dims.size() == 2) dims.push_back(1);
  return Shape(dims);
}

ConvolutionAttributes op_attributes(const ConvolutionWindow& window) {
  ConvolutionAttributes attributes = window.attributes;
  if (window.spatial_axes() == 0) attributes.stride = {1}, attributes.pad = {0}, attributes.dilation = {1};
  return attributes;
}

Shape op_weight_shape(const Shape& weights) {
  std::vector<int64_t> dims = weights.dims();
  if (dims.size() == 2) dims.push_back(1);
  return Shape(dims);
}

}  // namespace trainer
