// Tests the blobs at which Caffe drops the gradient: Flatten after Reshape.
#include "layers/net_run.h"

namespace trainer {
namespace {

std::string net(const std::string& middle) {
  return input_layer("x", {2, 6}) + R"(
layer { name: "in" type: "InnerProduct" bottom: "x" top: "in" inner_product_param { num_output: 4 } }
layer { name: "shape" type: "Reshape" bottom: "in" top: "shape" reshape_param { shape { dim: 0 dim: 2 dim: 2 } } }
)" + middle;
}

bool learns(const std::string& text, const std::string& top) {
  NetText lowered(text);
  Given given{{"x", uneven(12)}, {"in/0", uneven(24)}, {"in/1", uneven(4)}};
  return !lowered.gradient(top, uneven(8), "in/0", given).empty();
}

TEST(LostGradients, EndAtTheReshapeAndAreSaid) {
  const std::string flat = R"(layer { name: "flat" type: "Flatten" bottom: "shape" top: "flat" })";
  EXPECT_FALSE(learns(net(flat), "flat"));
  const std::string problems = NetText(net(flat)).problems();
  EXPECT_NE(problems.find("layer \"flat\" (Flatten): no gradient passes from here to layer \"shape\" (Reshape)"),
            std::string::npos)
      << problems;
  EXPECT_EQ(NetText(net(flat), caffe::TEST).problems(), "");
}

TEST(LostGradients, InPlaceLayersBetweenDoNotHelp) {
  EXPECT_FALSE(learns(net(R"(
layer { name: "relu" type: "ReLU" bottom: "shape" top: "shape" relu_param { negative_slope: 0.5 } }
layer { name: "flat" type: "Flatten" bottom: "shape" top: "flat" })"),
                      "flat"));
}

TEST(LostGradients, AnotherReaderOrLayerBetweenKeepsThem) {
  EXPECT_TRUE(learns(net(R"(
layer { name: "flat" type: "Flatten" bottom: "shape" top: "flat" }
layer { name: "other" type: "Silence" bottom: "shape" })"),
                     "flat"));
  EXPECT_TRUE(learns(net(R"(
layer { name: "relu" type: "ReLU" bottom: "shape" top: "relu" relu_param { negative_slope: 0.5 } }
layer { name: "flat" type: "Flatten" bottom: "relu" top: "flat" })"),
                     "flat"));
}

}  // namespace
}  // namespace trainer
