// Positions of values in current files, and after the conversion of legacy files.
#include "config/positions.h"

#include <gtest/gtest.h>

#include "config/load.h"
#include "formats/temp_folder.h"

namespace trainer {
namespace {

std::string at(const SourcePosition& position) { return fmt::format("{}:{}", position.line, position.column); }

class LoadedNet {
 public:
  explicit LoadedNet(const std::string& text) {
    file_ = load_net(folder_.write("net.prototxt", text), &diagnostics_);
    EXPECT_EQ(diagnostics_.render(), "");
  }
  const caffe::LayerParameter& layer(int index) const { return file_->net->layer(index); }
  std::string of(int index, const std::string& path, int element = -1) const {
    return at(file_->positions.of(layer(index), path, element));
  }
  const NetFile& file() const { return *file_; }

 private:
  TempFolder folder_;
  Diagnostics diagnostics_;
  std::unique_ptr<NetFile> file_;
};

TEST(Positions, OfTheFieldTheElementOrTheEnclosingMessage) {
  const LoadedNet net(R"(name: "n"
layer {
  name: "conv"
  type: "Convolution" top: "a"
  top: "b"
  convolution_param {
    kernel_size: 3
    weight_filler {
      type: "xavier"
    }
  }
  param { lr_mult: 1 }
  param { decay_mult: 0 }
}
)");
  EXPECT_EQ(net.of(0, ""), "2:1");
  EXPECT_EQ(net.of(0, "type"), "4:3");
  EXPECT_EQ(net.of(0, "top"), "4:23");
  EXPECT_EQ(net.of(0, "top", 1), "5:3");
  EXPECT_EQ(net.of(0, "top", 7), "4:23");
  EXPECT_EQ(net.of(0, "param", 1), "13:3");
  EXPECT_EQ(net.of(0, "convolution_param.kernel_size"), "7:5");
  EXPECT_EQ(net.of(0, "convolution_param.weight_filler.type"), "9:7");
  EXPECT_EQ(net.of(0, "convolution_param.weight_filler.value"), "8:5");
  EXPECT_EQ(net.of(0, "convolution_param.stride"), "6:3");
  EXPECT_EQ(net.of(0, "pooling_param.stride"), "2:1");
  EXPECT_EQ(net.of(0, "no_such_field"), "2:1");
  const SourcePosition elsewhere = net.file().positions.of(caffe::LayerParameter::default_instance());
  EXPECT_EQ(elsewhere.file, net.file().path);
  EXPECT_EQ(elsewhere.line, 0);
}

TEST(Positions, UnderlineTheFieldWithItsValue) {
  const LoadedNet net("layer { name: \"x\" type: \"ReLU\" }");
  const SourcePosition position = net.file().positions.of(net.layer(0), "type");
  EXPECT_EQ(position.length, 12);
  EXPECT_EQ(position.source_line, "layer { name: \"x\" type: \"ReLU\" }");
}

TEST(Positions, FollowAV1LayerThroughItsConversion) {
  const LoadedNet net(R"(input: "data"
input_dim: 1
input_dim: 2
input_dim: 3
input_dim: 4
layers {
  bottom: "data"
  top: "ip"
  name: "ip"
  type: INNER_PRODUCT
  blobs_lr: 1
  blobs_lr: 2
  inner_product_param {
    num_output: 3
  }
}
layers { type: RELU name: "relu" bottom: "ip" top: "ip"
}
)");
  ASSERT_EQ(net.file().net->layer_size(), 3);  // the Input layer is the first one
  EXPECT_EQ(net.layer(1).name(), "ip");
  EXPECT_EQ(net.of(1, ""), "6:1");
  EXPECT_EQ(net.of(1, "type"), "10:3");
  EXPECT_EQ(net.of(1, "bottom", 0), "7:3");
  EXPECT_EQ(net.of(1, "inner_product_param.num_output"), "14:5");
  EXPECT_EQ(net.of(2, ""), "17:1");
  EXPECT_EQ(net.of(2, "top", 0), "17:47");
  EXPECT_FALSE(net.file().notes.empty());
}

TEST(Positions, FollowAV0LayerThroughItsConversion) {
  const LoadedNet net(R"(input: "data"
input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4
layers {
  layer {
    name: "conv"
    type: "conv"
    num_output: 7
    kernelsize: 3
  }
  bottom: "data"
  top: "conv"
}
)");
  ASSERT_EQ(net.file().net->layer_size(), 2);
  EXPECT_EQ(net.layer(1).convolution_param().num_output(), 7u);
  EXPECT_EQ(net.of(1, "convolution_param.num_output"), "7:5");
  EXPECT_EQ(net.of(1, "convolution_param.kernel_size", 0), "8:5");
  EXPECT_EQ(net.of(1, "bottom", 0), "10:3");
}

}  // namespace
}  // namespace trainer
