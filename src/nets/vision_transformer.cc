// ViT (Dosovitskiy et al., "An Image is Worth 16x16 Words", 2020) in the size S of Touvron et al., "Training
// data-efficient image transformers & distillation through attention", 2020.
#include <fmt/format.h>

#include "nets/net_kind.h"

namespace trainer {
namespace {

constexpr int kWidth = 384, kHeads = 6, kBlocks = 12, kPatch = 16;

std::string layer_norm(NetBuilder& net, const std::string& name, const std::string& bottom) {
  net.add(name, "LayerNorm", {bottom}).mutable_layer_norm_param()->set_eps(1e-6f);
  return name;
}

std::string product(NetBuilder& net, const std::string& name, const std::string& bottom, int outputs) {
  return net.inner_product(name, bottom, outputs, 2);
}

// A learned bias of the last two axes.
std::string learned(NetBuilder& net, const std::string& name, const std::string& bottom) {
  caffe::BiasParameter& param = *net.add(name, "Bias", {bottom}).mutable_bias_param();
  param.set_num_axes(2);
  param.mutable_filler()->set_type("gaussian");
  param.mutable_filler()->set_std(0.02f);
  return name;
}

// Tokens, N x T x D, of patches; the first one belongs to no patch, and is learned.
std::string tokens(NetBuilder& net, const std::string& input) {
  const std::string patches = net.convolution("patch_embed.proj", input, kWidth, {kPatch, kPatch});
  caffe::ReshapeParameter& flat = *net.add("patches", "Reshape", {patches}).mutable_reshape_param();
  for (const int extent : {0, 0, -1}) flat.mutable_shape()->add_dim(extent);
  caffe::PermuteParameter& order = *net.add("patch_tokens", "Permute", {"patches"}).mutable_permute_param();
  for (const uint32_t axis : {0u, 2u, 1u}) order.add_order(axis);
  // Zeros of the shape N x 1 x D, plus the learned token.
  caffe::PoolingParameter& mean = *net.add("zeros.mean", "Pooling", {patches}).mutable_pooling_param();
  mean.set_pool(caffe::PoolingParameter::AVE);
  mean.set_global_pooling(true);
  caffe::ReshapeParameter& one = *net.add("zeros.token", "Reshape", {"zeros.mean"}).mutable_reshape_param();
  for (const int extent : {0, 1, -1}) one.mutable_shape()->add_dim(extent);
  net.add("zeros", "Power", {"zeros.token"}).mutable_power_param()->set_scale(0);
  const std::string first = learned(net, "cls_token", "zeros");
  net.add("tokens", "Concat", {first, "patch_tokens"});
  return learned(net, "pos_embed", "tokens");
}

std::string attention(NetBuilder& net, const std::string& name, const std::string& bottom) {
  const std::string all = product(net, name + ".qkv", bottom, 3 * kWidth);
  caffe::LayerParameter& slice = net.add(name + ".q", "Slice", {all});
  slice.add_top(name + ".k");
  slice.add_top(name + ".v");
  slice.mutable_slice_param()->set_axis(2);
  net.add(name, "Attention", {name + ".q", name + ".k", name + ".v"}).mutable_attention_param()->set_heads(kHeads);
  return product(net, name + ".proj", name, kWidth);
}

}  // namespace

std::string build_vit_small(NetBuilder& net, const NetOptions& options) {
  net.comment(fmt::format("A token of {} values for each patch of {} x {} pixels, after a learned one", kWidth, kPatch,
                          kPatch));
  std::string x = tokens(net, options.input);
  for (int i = 0; i < kBlocks; ++i) {
    const std::string name = fmt::format("blocks.{}", i);
    net.comment(name);
    x = net.sum(name + ".sum1", x, attention(net, name + ".attn", layer_norm(net, name + ".norm1", x)));
    std::string inner = product(net, name + ".mlp.fc1", layer_norm(net, name + ".norm2", x), 4 * kWidth);
    net.activation(name + ".mlp.act", "GELU", inner);
    x = net.sum(name + ".sum2", x, product(net, name + ".mlp.fc2", inner, kWidth));
  }
  net.comment("The results of the first token");
  caffe::LayerParameter& slice = net.add("first", "Slice", {layer_norm(net, "norm", x)});
  slice.add_top("others");
  slice.mutable_slice_param()->add_slice_point(1);
  net.add("unused", "Silence", {"others"}).clear_top();
  return net.inner_product(options.head.empty() ? "head" : options.head, "first", options.outputs);
}

}  // namespace trainer
