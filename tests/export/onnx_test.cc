// Each layer type as an ONNX model: the evaluator, which shares no code with the devices, must compute what the net
// computes, also for another size of batch.
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <set>

#include "base/philox.h"
#include "config/prototxt.h"
#include "export/array_net.h"
#include "export/export_net.h"
#include "export/onnx_evaluator.h"
#include "export/to_onnx.h"
#include "formats/temp_folder.h"
#include "layers/example_nets.h"

namespace trainer {
namespace {

caffe::NetParameter net_of(const std::string& text) {
  caffe::NetParameter net;
  Positions positions;
  Diagnostics diagnostics;
  EXPECT_TRUE(parse_prototxt(text, "net", &net, &positions, &diagnostics)) << diagnostics.render();
  return net;
}

// The net with random blobs; those that are variances or weights of sums are positive.
ExportedNet random_net(const std::string& text) {
  const caffe::NetParameter message = net_of(text);
  const std::unique_ptr<LoweredNet> lowered = try_to_lower(message, input_shapes(message, 0));
  EXPECT_NE(lowered, nullptr);
  ExportedNet net;
  net.name = "net";
  for (const LoweredLayer& layer : lowered->layers) {
    ExportedLayer made{*layer.param, {}};
    clean_for_export(&made.param);
    for (const int index : layer.parameters) {
      WeightBlob blob;
      blob.shape = lowered->parameters[static_cast<size_t>(index)].shape;
      const uint64_t key = philox_key(1, layer.param->name(), std::to_string(made.blobs.size()), "");
      for (int64_t i = 0; i < blob.shape.count(); ++i)
        blob.data.push_back((lowered->parameters[static_cast<size_t>(index)].statistic ? 0.5f : -0.5f) +
                            uniform_from_bits(philox_element(key, 0, static_cast<uint64_t>(i))));
      made.blobs.push_back(std::move(blob));
    }
    net.layers.push_back(std::move(made));
  }
  return net;
}

OnnxModel model_of(const ExportedNet& net) {
  const caffe::NetParameter message = net.message();
  const GivenShapes shapes = input_shapes(message, 0);
  GivenShapes larger = shapes;
  for (auto& [name, shape] : larger) {
    if (shape.rank() > 0) ++shape[0];
  }
  return to_onnx(net, *try_to_lower(message, shapes), try_to_lower(message, larger).get(), 13, {});
}

// Writes the model, reads it, computes its outputs, and compares them with those of the net.
double difference_of(const OnnxModel& model, const NamedArrays& inputs, const NamedArrays& expected,
                     bool external = false) {
  const TempFolder folder;
  AtomicFile file(folder / "m.onnx"), data(folder / "m.data");
  write_onnx(model, file, external ? &data : nullptr, "m.data");
  file.commit();
  if (external) data.commit();
  const OnnxModel read = read_onnx(folder / "m.onnx", folder / "m.data");
  std::map<std::string, OnnxArray> arrays;
  for (const OnnxValue& input : read.inputs)
    arrays[input.name] = {inputs.at(input.name).shape, inputs.at(input.name).values, {}, false};
  std::vector<std::string> names;
  for (const auto& [name, array] : expected) names.push_back(name);
  NamedArrays outputs;
  for (auto& [name, array] : evaluate_onnx(read, arrays, names)) outputs[name] = {array.shape, array.floats};
  return largest_difference(expected, outputs);
}

// The largest relative difference of model and net. `folded` is what becomes the model.
double difference(const ExportedNet& net, const ExportedNet& folded, int64_t batch = 0) {
  const OnnxModel model = model_of(folded);
  ArrayNet reference(net, input_shapes(net.message(), batch));
  const NamedArrays inputs = reference.random_inputs();
  return difference_of(model, inputs, reference.run(inputs));
}

TEST(Onnx, LayersComputeTheSame) {
  std::set<std::string> exported;
  for (const ExampleNet& example : example_nets()) {
    const ExportedNet net = random_net(example.text);
    try {
      EXPECT_LE(difference(net, net), 2e-5) << example.name;
      exported.insert(example.name);
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("has no counterpart in ONNX"), std::string::npos) << error.what();
    }
  }
  for (const char* type : {"AbsVal",
                           "ArgMax",
                           "Axpy",
                           "BNLL",
                           "BatchNorm",
                           "Bias",
                           "Clip",
                           "Concat",
                           "Convolution",
                           "Crop",
                           "Deconvolution",
                           "DepthwiseConvolution",
                           "DropPath",
                           "Dropout",
                           "ELU",
                           "Eltwise",
                           "Embed",
                           "Erf",
                           "Exp",
                           "Flatten",
                           "GELU",
                           "GroupNorm",
                           "HardSigmoid",
                           "HardSwish",
                           "InnerProduct",
                           "Interp",
                           "LRN",
                           "LayerNorm",
                           "Log",
                           "MVN",
                           "MatMul",
                           "Mish",
                           "Normalize",
                           "PReLU",
                           "Parameter",
                           "Permute",
                           "Power",
                           "ReLU",
                           "ReLU6",
                           "Reduction",
                           "Reshape",
                           "Scale",
                           "ShuffleChannel",
                           "Sigmoid",
                           "Slice",
                           "Softmax",
                           "Softplus",
                           "Split",
                           "Swish",
                           "TanH",
                           "Threshold",
                           "Tile"})
    EXPECT_EQ(exported.count(type), 1U) << type;
}

// One layer that reads x, of this shape.
std::string layer_of(const std::string& shape, const std::string& layer) {
  return "layer { name: 'x' type: 'Input' top: 'x' input_param { shape { " + shape +
         " } } } layer { name: 'y' bottom: 'x' top: 'y' " + layer + " }";
}
const char* const kPicture = "dim: 2 dim: 4 dim: 9 dim: 8";

TEST(Onnx, PoolingWindowsComputeTheSame) {
  for (const char* pool : {"MAX", "AVE"}) {
    for (const char* window :
         {"kernel_size: 3 stride: 2", "kernel_size: 3 stride: 2 pad: 1", "kernel_size: 2 stride: 2 pad: 1",
          "kernel_h: 4 kernel_w: 3 stride_h: 3 stride_w: 2 pad_h: 2 pad_w: 0", "kernel_size: 5 stride: 1 pad: 2",
          "kernel_size: 3 stride: 2 round_mode: FLOOR", "kernel_size: 3 stride: 3 pad: 2", "global_pooling: true"}) {
      const std::string layer = fmt::format("type: 'Pooling' pooling_param {{ pool: {} {} }}", pool, window);
      const ExportedNet net = random_net(layer_of(kPicture, layer));
      EXPECT_LE(difference(net, net), 1e-6) << layer;
    }
  }
}

TEST(Onnx, LayersOfSeveralModesComputeTheSame) {
  const std::pair<const char*, const char*> layers[] = {
      {kPicture, "type: 'InnerProduct' inner_product_param { num_output: 3 axis: 2 }"},
      {kPicture,
       "type: 'InnerProduct' inner_product_param { num_output: 3 axis: -1 transpose: true bias_term: false }"},
      {kPicture, "type: 'Deconvolution' convolution_param { num_output: 6 kernel_size: 4 pad: 1 stride: 3 group: 2 }"},
      {kPicture,
       "type: 'Convolution' convolution_param { num_output: 6 kernel_h: 3 kernel_w: 2 pad_h: 1 dilation: 2 group: 2 }"},
      {kPicture, "type: 'Interp' interp_param { zoom_factor: 3 pad_beg: 1 pad_end: -2 }"},
      {kPicture, "type: 'Interp' interp_param { height: 1 width: 5 }"},
      {kPicture, "type: 'Pooling' pooling_param { global_pooling: true }"},
      {kPicture, "type: 'Upsample' upsample_param { scale: 3 }"},
      {kPicture, "type: 'LRN' lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 alpha: 0.7 }"},
      {kPicture, "type: 'MVN' mvn_param { across_channels: true }"},
      {kPicture, "type: 'MVN' mvn_param { normalize_variance: false }"},
      {kPicture, "type: 'Normalize' norm_param { across_spatial: false channel_shared: false }"},
      {kPicture, "type: 'ArgMax' argmax_param { axis: 1 }"},
      {kPicture, "type: 'ArgMax' argmax_param { top_k: 3 out_max_val: true }"},
      {kPicture, "type: 'Reduction' reduction_param { operation: SUMSQ axis: 2 coeff: 0.5 }"},
      {kPicture, "type: 'Reduction' reduction_param { operation: MEAN axis: 1 }"},
      {kPicture, "type: 'Reshape' reshape_param { shape { dim: 0 dim: 2 dim: -1 } }"},
      {kPicture, "type: 'Reshape' reshape_param { shape { dim: -1 dim: 8 } }"},
      {kPicture, "type: 'Permute' permute_param { order: 2 order: 0 }"},
      {kPicture, "type: 'Scale' scale_param { axis: 2 num_axes: 2 bias_term: true }"},
      {kPicture, "type: 'Scale' scale_param { num_axes: 0 bias_term: true }"},
      {kPicture, "type: 'Bias' bias_param { axis: -1 num_axes: -1 }"},
      {kPicture, "type: 'PReLU' prelu_param { channel_shared: true }"},
      {kPicture, "type: 'LayerNorm' layer_norm_param { axis: 2 }"},
      {kPicture, "type: 'Exp' exp_param { base: 2 scale: 0.5 shift: 1 }"},
      {kPicture, "type: 'Log' log_param { base: 10 scale: 0.3 shift: 1 }"},
      {kPicture, "type: 'Power' power_param { power: 3 scale: 0.5 shift: 1 }"},
      {kPicture, "type: 'Power' power_param { power: 0 }"},
      {kPicture, "type: 'ReLU' relu_param { negative_slope: 0.1 }"},
      {kPicture, "type: 'BN' bn_param { slope_filler { } }"},
      {kPicture, "type: 'BN' bn_param { bn_mode: INFERENCE }"},
      {"dim: 3 dim: 5 dim: 4 dim: 6 dim: 2",
       "type: 'Convolution' convolution_param { num_output: 3 kernel_size: [2, 3, 1] }"},
      {"dim: 3 dim: 5 dim: 6", "type: 'Deconvolution' convolution_param { num_output: 3 kernel_size: 3 stride: 2 }"},
      {"dim: 3 dim: 5", "type: 'BatchNorm'"},
  };
  for (const auto& [shape, layer] : layers) {
    const ExportedNet net = random_net(layer_of(shape, layer));
    EXPECT_LE(difference(net, net), 2e-5) << layer;
  }
}

TEST(Onnx, RecurrentLayersComputeTheSame) {
  for (const char* type : {"LSTM", "RNN"}) {
    const ExportedNet net = random_net(
        layer_of("dim: 5 dim: 3 dim: 4", "type: 'TanH'") +
        fmt::format(
            "layer {{ name: 'm' type: 'Input' top: 'm' input_param {{ shape {{ dim: 5 dim: 3 }} }} }} "
            "layer {{ name: 'h' type: '{}' bottom: 'y' bottom: 'm' top: 'h' recurrent_param {{ num_output: 6 }} }}",
            type));
    EXPECT_EQ(model_of(net).inputs.size(), 1U);
    EXPECT_LE(difference(net, net), 2e-5) << type;
  }
}

std::vector<std::string> types_of(const ExportedNet& net) {
  std::vector<std::string> types;
  for (const ExportedLayer& layer : net.layers) types.push_back(layer.param.type());
  return types;
}

TEST(Onnx, FoldsFactorsOfChannels) {
  const std::string after =
      "layer { name: 'bn' type: 'BatchNorm' bottom: 'y' top: 'n' } layer { name: 's' type: 'Scale' bottom: 'n' top: "
      "'n' "
      "scale_param { bias_term: true } } layer { name: 'b' type: 'Bias' bottom: 'n' top: 'n' } "
      "layer { name: 'bn2' type: 'BN' bottom: 'n' top: 'n' bn_param { slope_filler { } } }"
      "layer { name: 'r' type: 'ReLU' bottom: 'n' top: 'n' }";
  for (const char* layer :
       {"type: 'Convolution' convolution_param { num_output: 6 kernel_size: 3 group: 2 }",
        "type: 'Convolution' convolution_param { num_output: 6 kernel_size: 3 bias_term: false }",
        "type: 'DepthwiseConvolution' convolution_param { num_output: 8 kernel_size: 3 }",
        "type: 'Deconvolution' convolution_param { num_output: 6 kernel_size: 3 stride: 2 group: 2 }",
        "type: 'InnerProduct' inner_product_param { num_output: 7 }",
        "type: 'InnerProduct' inner_product_param { num_output: 7 transpose: true bias_term: false }"}) {
    const ExportedNet net = random_net(layer_of(kPicture, layer) + after);
    ExportedNet folded = net;
    fold_channel_factors(&folded);
    EXPECT_EQ(folded.layers.size(), 3U) << layer;
    EXPECT_LE(difference(net, folded), 2e-5) << layer;
  }
}

TEST(Onnx, KeepsFactorsOfBlobsWithOtherReaders) {
  const std::string conv = layer_of(kPicture, "type: 'Convolution' convolution_param { num_output: 6 kernel_size: 3 }");
  for (const char* rest : {"layer { name: 's' type: 'Scale' bottom: 'y' top: 's' } "
                           "layer { name: 'e' type: 'Eltwise' bottom: 'y' bottom: 's' top: 'e' }",
                           "layer { name: 's' type: 'Scale' bottom: 'y' top: 's' scale_param { axis: 2 } }",
                           "layer { name: 'r' type: 'ReLU' bottom: 'y' top: 'y' } "
                           "layer { name: 's' type: 'Scale' bottom: 'y' top: 's' }"}) {
    const ExportedNet net = random_net(conv + rest);
    ExportedNet folded = net;
    fold_channel_factors(&folded);
    EXPECT_EQ(types_of(folded), types_of(net)) << rest;
  }
}

TEST(Onnx, TheBatchIsSymbolic) {
  const ExportedNet net =
      random_net(layer_of(kPicture, "type: 'Convolution' convolution_param { num_output: 6 kernel_size: 3 }") +
                 "layer { name: 'g' type: 'GroupNorm' bottom: 'y' top: 'g' group_norm_param { groups: 3 } }"
                 "layer { name: 'i' type: 'Interp' bottom: 'g' top: 'i' interp_param { zoom_factor: 2 } }"
                 "layer { name: 'f' type: 'Flatten' bottom: 'i' top: 'f' flatten_param { axis: 2 } }"
                 "layer { name: 'p' type: 'InnerProduct' bottom: 'f' top: 'p' inner_product_param { num_output: 5 } }");
  EXPECT_EQ(model_of(net).outputs.at(0).dims, (std::vector<int64_t>{kBatchExtent, 5}));
  for (const int64_t batch : {1, 5}) EXPECT_LE(difference(net, net, batch), 2e-5) << batch;
}

TEST(Onnx, ReadsExternalData) {
  const ExportedNet net = random_net(layer_of(kPicture, "type: 'InnerProduct' inner_product_param { num_output: 7 }"));
  const OnnxModel model = model_of(net);
  EXPECT_FALSE(needs_data_file(model));
  EXPECT_TRUE(needs_data_file(model, 1000));
  ArrayNet reference(net, {});
  const NamedArrays inputs = reference.random_inputs();
  EXPECT_LE(difference_of(model, inputs, reference.run(inputs), true), 1e-6);
}

TEST(Onnx, WeightsOfLargeModelsAreInASecondFile) {
  const TempFolder folder;
  const std::string text =
      layer_of(kPicture, "type: 'InnerProduct' inner_product_param { num_output: 7 weight_filler { type: 'xavier' } }");
  caffe::NetState state;
  state.set_phase(caffe::TEST);
  ExportOptions options;
  options.output = folder / "m.onnx";
  options.allow_fresh = true;
  options.largest_model = 1000;
  export_net(configure_or_throw({"net", text}, state, {}, UnfilledInput::kZeros), options);
  EXPECT_LT(std::filesystem::file_size(options.output), 1000U);
  const int64_t weights = int64_t{7} * 4 * 9 * 8;
  EXPECT_EQ(std::filesystem::file_size(options.output + ".data"), static_cast<size_t>(weights) * sizeof(float));
  const OnnxModel read = read_onnx(options.output, options.output + ".data");
  EXPECT_EQ(read.initializers.at(1).name, "y/0");
  EXPECT_EQ(read.initializers.at(1).floats.size(), static_cast<size_t>(weights));
  EXPECT_EQ(folder.file_count(), 2U);
}

TEST(Onnx, TellsItsUserOfClassesAndPixels) {
  ExportedNet net = random_net(layer_of(kPicture, "type: 'TanH'"));
  net.notes.class_names = {"cat", "red fox"};
  const GivenShapes shapes = input_shapes(net.message(), 0);
  const std::unique_ptr<LoweredNet> lowered = try_to_lower(net.message(), shapes);
  const OnnxModel model = to_onnx(net, *lowered, nullptr, 13, Preprocessing{"x", "pixels of 0 to 255", {}, {}, {}, {}});
  EXPECT_EQ(model.inputs.at(0).doc, "pixels of 0 to 255");
  EXPECT_EQ(model.metadata, (std::vector<std::pair<std::string, std::string>>{{"class_names", "cat\nred fox"}}));
}

TEST(Onnx, DifferencesAreRelativeToTheLargestValue) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const auto difference_of_values = [](const std::vector<float>& expected, const std::vector<float>& actual) {
    const auto arrays = [](const std::vector<float>& values) {
      return NamedArrays{{"equal", {Shape{1}, {1e6f}}}, {"y", {Shape{static_cast<int64_t>(values.size())}, values}}};
    };
    return largest_difference(arrays(expected), arrays(actual));
  };
  EXPECT_EQ(difference_of_values({1, -4, 2}, {1, -4, 2}), 0);
  EXPECT_NEAR(difference_of_values({1, -4, 2}, {1, -4, 2.25f}), 0.0625, 1e-12);
  EXPECT_EQ(difference_of_values({0, 0}, {0, 0.5f}), 0.5);
  EXPECT_EQ(difference_of_values({kNan, 1}, {kNan, 1}), 0);
  EXPECT_EQ(difference_of_values({1, 1}, {kNan, 1}), kInfinity);
  EXPECT_EQ(difference_of_values({1, 1}, {1}), kInfinity);
  EXPECT_EQ(largest_difference({{"y", {Shape{1}, {1}}}}, {{"z", {Shape{1}, {1}}}}), kInfinity);
}

TEST(Onnx, BlobsKeepTheirNames) {
  const OnnxModel model = model_of(random_net(layer_of(kPicture, "type: 'TanH'") +
                                              "layer { name: 'a' type: 'AbsVal' bottom: 'y' top: 'z' }"
                                              "layer { name: 'r' type: 'ReLU' bottom: 'z' top: 'z' }"
                                              "layer { name: 's' type: 'Sigmoid' bottom: 'z' top: 'z' }"));
  std::vector<std::string> outputs;
  for (const OnnxNode& node : model.nodes) outputs.push_back(node.outputs[0]);
  EXPECT_EQ(outputs, (std::vector<std::string>{"y", "z@a", "z@r", "z"}));
  EXPECT_EQ(model.inputs.at(0).name, "x");
  EXPECT_EQ(model.outputs.at(0).name, "z");
}

}  // namespace
}  // namespace trainer
