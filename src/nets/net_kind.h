// The nets that `trainer new` writes. Each is built by a function of its family's file.
//
// Layers have the names of the modules of the PyTorch net that `origin` names, so that its weights load by name: the
// convolution "layer1.0.conv1", the BatchNorm "layer1.0.bn1" and, with its weight and bias, the Scale
// "layer1.0.bn1.scale". tests/foreign/nets.py compares the nets with PyTorch.
#pragma once

#include <string>
#include <vector>

#include "nets/net_builder.h"

namespace trainer {

// The data that a net takes, and the results that it has.
enum class NetTask {
  kPictures,   // numbers for a picture
  kPixels,     // numbers for each pixel
  kRows,       // numbers for a row of a table
  kSequences,  // numbers for a sequence of rows
};

struct NetOptions {
  int outputs = 1000;  // classes, or values
  std::string head;    // the name of the last layer with weights; "": that of the PyTorch net
  std::string input = "data";
  int steps = 2;  // of a sequence
};

// How pictures are prepared for a net.
struct PicturePreparation {
  std::vector<float> mean = {0.485f, 0.456f, 0.406f}, deviation = {0.229f, 0.224f, 0.225f};  // of values of 0 to 1
  bool rgb = true;       // the order of the colors; otherwise blue, green, red
  int resized = 256;     // the shorter side, in pixels
  int cropped = 224;     // both sides of the center that is cut out then
  bool bicubic = false;  // the filter that resizes; otherwise bilinear
};

struct NetKind {
  const char* name;
  const char* title;   // "ResNet-18"
  const char* origin;  // "": none
  NetTask task;
  int size;       // of pictures, in pixels; 0: none
  int least = 0;  // the smallest size
  int multiple = 1;
  bool any_size = true;                 // otherwise weights fit `size` only
  bool color_weights = true;            // published weights are for color pictures
  PicturePreparation preparation = {};  // as for most published weights
  float rate = 1e-3f;                   // the learning rate of AdamW without pretrained weights
  // Adds the layers from the input to the results, and returns the blob of the results.
  std::string (*build)(NetBuilder& net, const NetOptions& options);
};

const std::vector<NetKind>& net_kinds();
// nullptr if there is none.
const NetKind* find_net_kind(const std::string& name);

// The families.
std::string build_resnet18(NetBuilder& net, const NetOptions& options);
std::string build_resnet34(NetBuilder& net, const NetOptions& options);
std::string build_resnet50(NetBuilder& net, const NetOptions& options);
std::string build_resnet101(NetBuilder& net, const NetOptions& options);
std::string build_resnext50(NetBuilder& net, const NetOptions& options);
std::string build_vgg16(NetBuilder& net, const NetOptions& options);
std::string build_mobilenet_v1(NetBuilder& net, const NetOptions& options);
std::string build_mobilenet_v2(NetBuilder& net, const NetOptions& options);
std::string build_mobilenet_v3(NetBuilder& net, const NetOptions& options);
std::string build_efficientnet_b0(NetBuilder& net, const NetOptions& options);
std::string build_squeezenet(NetBuilder& net, const NetOptions& options);
std::string build_googlenet(NetBuilder& net, const NetOptions& options);
std::string build_densenet121(NetBuilder& net, const NetOptions& options);
std::string build_vit_small(NetBuilder& net, const NetOptions& options);
std::string build_unet(NetBuilder& net, const NetOptions& options);
std::string build_lenet(NetBuilder& net, const NetOptions& options);
std::string build_mlp(NetBuilder& net, const NetOptions& options);
std::string build_lstm(NetBuilder& net, const NetOptions& options);

}  // namespace trainer
