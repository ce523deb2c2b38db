// Nets for small pictures, rows and sequences.
#include "nets/net_kind.h"

namespace trainer {

// LeCun et al., "Gradient-based learning applied to document recognition", 1998, in the form of Caffe's examples.
std::string build_lenet(NetBuilder& net, const NetOptions& options) {
  net.comment("20 and 50 channels, each at half the size");
  std::string x = net.max_pooling("pool1", net.convolution("conv1", options.input, 20, {5}), {2, 2}, true);
  x = net.max_pooling("pool2", net.convolution("conv2", x, 50, {5}), {2, 2}, true);
  net.comment("500 values, and the results");
  x = net.inner_product("ip1", x, 500);
  net.activation("relu1", "ReLU", x);
  return net.inner_product(options.head.empty() ? "ip2" : options.head, x, options.outputs);
}

std::string build_mlp(NetBuilder& net, const NetOptions& options) {
  constexpr int kWidth = 128;
  net.comment("Each column with mean 0 and deviation 1");
  net.add("norm", "BatchNorm", {options.input})
      .mutable_batch_norm_param()
      ->set_moving_average_fraction(net.batch_norm_fraction);
  net.comment("Two layers of 128 values, and the results");
  std::string x = net.inner_product("fc1", "norm", kWidth);
  net.activation("relu1", "ReLU", x);
  x = net.inner_product("fc2", x, kWidth);
  net.activation("relu2", "ReLU", x);
  return net.inner_product(options.head.empty() ? "fc3" : options.head, x, options.outputs);
}

// The input is N x T x D: sequences of T rows, two or more.
std::string build_lstm(NetBuilder& net, const NetOptions& options) {
  constexpr uint32_t kWidth = 128;
  net.comment("T x N x D, as recurrent layers read them");
  caffe::PermuteParameter& order = *net.add("steps", "Permute", {options.input}).mutable_permute_param();
  for (const uint32_t axis : {1u, 0u, 2u}) order.add_order(axis);
  net.comment("cont: 0 in the first step, where a sequence begins, and 1 in the others");
  net.add("sums", "Reduction", {"steps"}).mutable_reduction_param()->set_axis(2);
  caffe::LayerParameter& slice = net.add("first_sum", "Slice", {"sums"});
  slice.add_top("other_sums");
  slice.mutable_slice_param()->set_axis(0);
  slice.mutable_slice_param()->add_slice_point(1);
  net.add("begin", "Power", {"first_sum"}).mutable_power_param()->set_scale(0);
  caffe::PowerParameter& one = *net.add("continue", "Power", {"other_sums"}).mutable_power_param();
  one.set_scale(0);
  one.set_shift(1);
  net.add("cont", "Concat", {"begin", "continue"}).mutable_concat_param()->set_axis(0);
  net.comment("An LSTM of 128 values, and the results of its last step");
  caffe::RecurrentParameter& lstm = *net.add("lstm", "LSTM", {"steps", "cont"}).mutable_recurrent_param();
  lstm.set_num_output(kWidth);
  lstm.mutable_weight_filler()->set_type("xavier");
  caffe::LayerParameter& last = net.add("earlier_states", "Slice", {"lstm"});
  last.add_top("last_state");
  last.mutable_slice_param()->set_axis(0);
  last.mutable_slice_param()->add_slice_point(static_cast<uint32_t>(options.steps - 1));
  net.add("unused", "Silence", {"earlier_states"}).clear_top();
  caffe::ReshapeParameter& rows = *net.add("rows", "Reshape", {"last_state"}).mutable_reshape_param();
  rows.mutable_shape()->add_dim(-1);
  rows.mutable_shape()->add_dim(kWidth);
  return net.inner_product(options.head.empty() ? "fc" : options.head, "rows", options.outputs);
}

}  // namespace trainer
