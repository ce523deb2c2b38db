// Builds a net layer by layer, with a comment before each block.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "trainer.pb.h"

namespace trainer {

struct CommentedNet {
  caffe::NetParameter net;
  std::map<int, std::string> comments;  // by the index of the layer that they precede
};

// Prototxt with at most 120 columns: a layer in one line, or its fields side by side.
std::string net_text(const CommentedNet& net);

// The window of a convolution or a pooling.
struct Window {
  int size = 1, stride = 1, pad = 0;
};

// Each function that adds a layer returns its top, which has the name of the layer unless it works in place.
class NetBuilder {
 public:
  explicit NetBuilder(const std::string& name) { result_.net.set_name(name); }
  // Of BatchNorm; the factor is PyTorch's 1 - momentum.
  float batch_norm_eps = 1e-5f, batch_norm_fraction = 0.9f;

  void comment(const std::string& text) { result_.comments[result_.net.layer_size()] = text; }
  // A layer with the top `name`, for types and fields without a function.
  caffe::LayerParameter& add(const std::string& name, const std::string& type, const std::vector<std::string>& bottoms);
  // A layer that works in place: its top is `blob`.
  caffe::LayerParameter& add_in_place(const std::string& name, const std::string& type, const std::string& blob);

  std::string convolution(const std::string& name, const std::string& bottom, int outputs, Window window,
                          bool bias = true, int group = 1);
  // BatchNorm, and Scale with the name NAME.scale; in place unless `apart`.
  std::string batch_norm(const std::string& name, const std::string& bottom, bool apart = false);
  // A layer of a type without settings ("ReLU"), in place.
  std::string activation(const std::string& name, const std::string& type, const std::string& blob);
  // Rounds down, as PyTorch does, unless `round_up`.
  std::string max_pooling(const std::string& name, const std::string& bottom, Window window, bool round_up = false);
  std::string average_pooling(const std::string& name, const std::string& bottom, Window window);
  std::string global_average(const std::string& name, const std::string& bottom);
  std::string sum(const std::string& name, const std::string& first, const std::string& second);
  std::string concat(const std::string& name, const std::vector<std::string>& bottoms);
  std::string dropout(const std::string& name, const std::string& blob, float ratio);
  // `axis` is the first one that the product sums over.
  std::string inner_product(const std::string& name, const std::string& bottom, int outputs, int axis = 1);

  CommentedNet take() { return std::move(result_); }

 private:
  std::string pooling(const std::string& name, const std::string& bottom, caffe::PoolingParameter::PoolMethod method,
                      Window window, bool round_up);

  CommentedNet result_;
};

}  // namespace trainer
