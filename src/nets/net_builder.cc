// Adds layers to a net, and prints it.
#include "nets/net_builder.h"

#include "base/text.h"
#include "config/prototxt_text.h"

namespace trainer {

caffe::LayerParameter& NetBuilder::add(const std::string& name, const std::string& type,
                                       const std::vector<std::string>& bottoms) {
  caffe::LayerParameter& layer = *result_.net.add_layer();
  layer.set_name(name);
  layer.set_type(type);
  for (const std::string& bottom : bottoms) layer.add_bottom(bottom);
  layer.add_top(name);
  return layer;
}

caffe::LayerParameter& NetBuilder::add_in_place(const std::string& name, const std::string& type,
                                                const std::string& blob) {
  caffe::LayerParameter& layer = add(name, type, {blob});
  layer.set_top(0, blob);
  return layer;
}

std::string NetBuilder::convolution(const std::string& name, const std::string& bottom, int outputs, Window window,
                                    bool bias, int group) {
  caffe::ConvolutionParameter& param = *add(name, "Convolution", {bottom}).mutable_convolution_param();
  param.set_num_output(static_cast<uint32_t>(outputs));
  param.add_kernel_size(static_cast<uint32_t>(window.size));
  if (window.stride != 1) param.add_stride(static_cast<uint32_t>(window.stride));
  if (window.pad != 0) param.add_pad(static_cast<uint32_t>(window.pad));
  if (group != 1) param.set_group(static_cast<uint32_t>(group));
  if (!bias) param.set_bias_term(false);
  param.mutable_weight_filler()->set_type("msra");
  return name;
}

std::string NetBuilder::batch_norm(const std::string& name, const std::string& bottom, bool apart) {
  const std::string top = apart ? name : bottom;
  caffe::LayerParameter& norm = add(name, "BatchNorm", {bottom});
  norm.set_top(0, top);
  norm.mutable_batch_norm_param()->set_moving_average_fraction(batch_norm_fraction);
  if (batch_norm_eps != norm.batch_norm_param().eps()) norm.mutable_batch_norm_param()->set_eps(batch_norm_eps);
  add_in_place(name + ".scale", "Scale", top).mutable_scale_param()->set_bias_term(true);
  return top;
}

std::string NetBuilder::activation(const std::string& name, const std::string& type, const std::string& blob) {
  add_in_place(name, type, blob);
  return blob;
}

std::string NetBuilder::pooling(const std::string& name, const std::string& bottom,
                                caffe::PoolingParameter::PoolMethod method, Window window, bool round_up) {
  caffe::PoolingParameter& param = *add(name, "Pooling", {bottom}).mutable_pooling_param();
  param.set_pool(method);
  param.set_kernel_size(static_cast<uint32_t>(window.size));
  if (window.stride != 1) param.set_stride(static_cast<uint32_t>(window.stride));
  if (window.pad != 0) param.set_pad(static_cast<uint32_t>(window.pad));
  if (!round_up) param.set_round_mode(caffe::PoolingParameter::FLOOR);
  return name;
}

std::string NetBuilder::max_pooling(const std::string& name, const std::string& bottom, Window window, bool round_up) {
  return pooling(name, bottom, caffe::PoolingParameter::MAX, window, round_up);
}

std::string NetBuilder::average_pooling(const std::string& name, const std::string& bottom, Window window) {
  return pooling(name, bottom, caffe::PoolingParameter::AVE, window, false);
}

std::string NetBuilder::global_average(const std::string& name, const std::string& bottom) {
  caffe::PoolingParameter& param = *add(name, "Pooling", {bottom}).mutable_pooling_param();
  param.set_pool(caffe::PoolingParameter::AVE);
  param.set_global_pooling(true);
  return name;
}

std::string NetBuilder::sum(const std::string& name, const std::string& first, const std::string& second) {
  add(name, "Eltwise", {first, second}).mutable_eltwise_param()->set_operation(caffe::EltwiseParameter::SUM);
  return name;
}

std::string NetBuilder::concat(const std::string& name, const std::vector<std::string>& bottoms) {
  add(name, "Concat", bottoms);
  return name;
}

std::string NetBuilder::dropout(const std::string& name, const std::string& blob, float ratio) {
  add_in_place(name, "Dropout", blob).mutable_dropout_param()->set_dropout_ratio(ratio);
  return blob;
}

std::string NetBuilder::inner_product(const std::string& name, const std::string& bottom, int outputs, int axis) {
  caffe::InnerProductParameter& param = *add(name, "InnerProduct", {bottom}).mutable_inner_product_param();
  param.set_num_output(static_cast<uint32_t>(outputs));
  if (axis != 1) param.set_axis(axis);
  param.mutable_weight_filler()->set_type("xavier");
  return name;
}

std::string net_text(const CommentedNet& net) {
  caffe::NetParameter head = net.net;
  head.clear_layer();
  std::string text = compact_prototxt(head);
  for (int i = 0; i < net.net.layer_size(); ++i) {
    const auto comment = net.comments.find(i);
    if (comment != net.comments.end()) {
      text += '\n';
      for (const std::string& line : split(comment->second, '\n')) text += "# " + line + '\n';
    }
    caffe::NetParameter one;
    *one.add_layer() = net.net.layer(i);
    text += compact_prototxt(one);
  }
  return text;
}

}  // namespace trainer
