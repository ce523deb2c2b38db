// Exports a trained net to files that other programs run, and checks each file: it is read back and computes the
// outputs of the net from random inputs.
#pragma once

#include <string>

#include "export/onnx_model.h"
#include "session/open_net.h"

namespace trainer {

constexpr int64_t kLeastOpset = 13, kLargestOpset = 17;

enum class ExportFormat { kOnnx, kTensors, kDeployPair };
// By the ending of the path: .onnx, .safetensors or .npz, or a folder ("out/"). A config_error for all others.
ExportFormat export_format(const std::string& path);

struct ExportOptions {
  std::string weights, output;
  WeightMatching matching;
  int64_t opset = kLeastOpset;
  bool keep_bn = false;        // do not fold BatchNorm into the layers before it
  bool preprocessing = false;  // of the first data layer, as nodes of the model
  bool overwrite = false, allow_fresh = false;
  int64_t largest_model = kLargestOnnxFile;  // bytes; the weights of larger models are in a second file
  GivenShapes shapes;  // of tops of data layers, whose data sets are not opened, and of Input layers
};

// Exports the net without its labels and losses. Throws before anything is written if a layer has no counterpart. If a
// file does not compute the outputs of the net, it stays as NAME.unverified, and an Error of code kInternal is thrown.
void export_net(ConfiguredNet net, const ExportOptions& options);

}  // namespace trainer
