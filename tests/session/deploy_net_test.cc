// Nets without labels, losses and metrics.
#include "session/deploy_net.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace trainer {
namespace {

constexpr char kData[] = "layer { name: 'd' type: 'Data' top: 'data' top: 'label' data_param { source: 's' } } ";

std::string body(const std::string& layers) {
  return "layer { name: 'ip' type: 'InnerProduct' bottom: 'data' top: 'ip' inner_product_param { num_output: 4 } } " +
         layers;
}

struct Deployed {
  Prediction prediction;
  std::string layers;  // TYPE(bottoms)->tops, separated by blanks
};

Deployed deploy(const std::string& text) {
  caffe::NetParameter net;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &net));
  Deployed out;
  out.prediction = remove_labels(&net);
  for (const caffe::LayerParameter& layer : net.layer()) {
    out.layers += (out.layers.empty() ? "" : " ") + layer.type() + "(";
    for (int i = 0; i < layer.bottom_size(); ++i) out.layers += (i > 0 ? "," : "") + layer.bottom(i);
    out.layers += ")->";
    for (int i = 0; i < layer.top_size(); ++i) out.layers += (i > 0 ? "," : "") + layer.top(i);
  }
  return out;
}

TEST(DeployNet, ALossBecomesItsProbabilities) {
  const Deployed out =
      deploy(kData + body("layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'ip' bottom: 'label' "
                          "top: 'loss' softmax_param { axis: -1 } } "
                          "layer { name: 'a' type: 'Accuracy' bottom: 'ip' bottom: 'label' top: 'a' }"));
  EXPECT_EQ(out.layers, "Data()->data,label InnerProduct(data)->ip Softmax(ip)->prob");
  EXPECT_EQ(out.prediction.data, "d");
  EXPECT_EQ(out.prediction.top, "prob");
  EXPECT_TRUE(out.prediction.probabilities);
  EXPECT_EQ(out.prediction.axis, -1);
}

TEST(DeployNet, AnExistingSoftmaxStays) {
  const Deployed out =
      deploy(kData + body("layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'ip' bottom: 'label' } "
                          "layer { name: 'p' type: 'Softmax' bottom: 'ip' top: 'p' }"));
  EXPECT_EQ(out.layers, "Data()->data,label InnerProduct(data)->ip Softmax(ip)->p");
  EXPECT_EQ(out.prediction.top, "p");
}

TEST(DeployNet, LayersOfLabelsAreRemoved) {
  const Deployed out = deploy(kData + body("layer { name: 's' type: 'Slice' bottom: 'label' top: 'l1' top: 'l2' } "
                                           "layer { name: 'f' type: 'Flatten' bottom: 'l1' top: 'l1' } "
                                           "layer { name: 'loss' type: 'EuclideanLoss' bottom: 'ip' bottom: 'l1' } "
                                           "layer { name: 'n' type: 'Silence' bottom: 'l2' }"));
  EXPECT_EQ(out.layers, "Data()->data,label InnerProduct(data)->ip");
  EXPECT_EQ(out.prediction.top, "ip");
  EXPECT_FALSE(out.prediction.probabilities);
}

TEST(DeployNet, LabelsOfHdf5DataAreThoseOfLosses) {
  const Deployed out =
      deploy("layer { name: 'd' type: 'HDF5Data' top: 'target' top: 'data' top: 'more' } " +
             body("layer { name: 'add' type: 'Eltwise' bottom: 'ip' bottom: 'more' top: 'sum' } "
                  "layer { name: 'loss' type: 'SigmoidCrossEntropyLoss' bottom: 'sum' bottom: 'target' }"));
  EXPECT_EQ(out.layers, "HDF5Data()->data,more InnerProduct(data)->ip Eltwise(ip,more)->sum Sigmoid(sum)->prob");
  EXPECT_EQ(out.prediction.top, "prob");
}

TEST(DeployNet, TheLastProbabilitiesAreShown) {
  const Deployed out =
      deploy(kData + body("layer { name: 'side' type: 'SoftmaxWithLoss' bottom: 'ip' bottom: 'label' } "
                          "layer { name: 'ip2' type: 'InnerProduct' bottom: 'ip' top: 'ip2' } "
                          "layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'ip2' bottom: 'label' }"));
  EXPECT_EQ(out.prediction.top, "prob2");
}

TEST(DeployNet, ANetOfLossesOnlyIsRefused) {
  EXPECT_THROW(deploy("layer { name: 'd' type: 'Data' top: 'data' top: 'label' } "
                      "layer { name: 'loss' type: 'EuclideanLoss' bottom: 'data' bottom: 'label' }"),
               Error);
}

}  // namespace
}  // namespace trainer
