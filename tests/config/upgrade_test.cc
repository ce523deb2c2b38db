// Legacy nets and solvers as text, with the expected result and the expected notes.
#include "config/upgrade.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <string>
#include <tuple>
#include <vector>

namespace trainer {
namespace {

using google::protobuf::Message;
using google::protobuf::TextFormat;
using Kind = UpgradeNote::Kind;

struct Outcome {
  caffe::NetParameter net;
  std::vector<UpgradeNote> notes;

  std::vector<std::string> messages(Kind kind) const {
    std::vector<std::string> found;
    for (const UpgradeNote& note : notes) {
      if (note.kind == kind) found.push_back(note.message);
    }
    return found;
  }
};

template <typename T>
T parse(const std::string& text) {
  T message;
  EXPECT_TRUE(TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

Outcome upgrade(const std::string& text) {
  Outcome outcome;
  outcome.net = parse<caffe::NetParameter>(text);
  upgrade_net(&outcome.net, [&outcome](const UpgradeNote& note) { outcome.notes.push_back(note); });
  return outcome;
}

// The upgraded net is `expected`, without errors or losses, and a second upgrade changes nothing.
void expect_upgrade(const std::string& text, const std::string& expected) {
  Outcome outcome = upgrade(text);
  EXPECT_EQ(outcome.net.DebugString(), parse<caffe::NetParameter>(expected).DebugString());
  EXPECT_EQ(outcome.messages(Kind::kError), std::vector<std::string>{});
  EXPECT_EQ(outcome.messages(Kind::kImperfect), std::vector<std::string>{});
  EXPECT_FALSE(outcome.notes.empty());
  upgrade_net(&outcome.net, [](const UpgradeNote& note) { ADD_FAILURE() << note.message; });
}

void expect_error(const std::string& text, const std::string& words) {
  const std::vector<std::string> errors = upgrade(text).messages(Kind::kError);
  ASSERT_EQ(errors.size(), 1u) << text;
  EXPECT_NE(errors[0].find(words), std::string::npos) << errors[0];
}

void expect_loss(const std::string& text, const std::string& words, const std::string& expected) {
  const Outcome outcome = upgrade(text);
  EXPECT_EQ(outcome.messages(Kind::kError), std::vector<std::string>{});
  const std::vector<std::string> losses = outcome.messages(Kind::kImperfect);
  ASSERT_EQ(losses.size(), 1u) << text;
  EXPECT_NE(losses[0].find(words), std::string::npos) << losses[0];
  EXPECT_EQ(outcome.net.DebugString(), parse<caffe::NetParameter>(expected).DebugString());
}

TEST(Upgrade, LeavesACurrentNetAlone) {
  const std::string text = R"(
    name: "n" state { level: 1 } debug_info: true
    layer { name: "d" type: "Data" top: "d" data_param { source: "s" batch_size: 2 scale: 0.5 mirror: true } }
    layer { name: "b" type: "BatchNorm" bottom: "d" top: "b" param { lr_mult: 0 decay_mult: 0 } }
    layer { name: "c" type: "BatchNorm" bottom: "b" top: "c"
            param { lr_mult: 0 decay_mult: 0 } param { lr_mult: 0 decay_mult: 0 } param { lr_mult: 0 decay_mult: 0 } })";
  const Outcome outcome = upgrade(text);
  EXPECT_TRUE(outcome.notes.empty());
  EXPECT_EQ(outcome.net.DebugString(), parse<caffe::NetParameter>(text).DebugString());
}

TEST(Upgrade, V0SettingsGoToTheTypesOwnMessages) {
  expect_upgrade(R"(
    name: "v0" force_backward: true
    layers { layer { name: "data" type: "data" source: "/db" meanfile: "/mean" batchsize: 64 cropsize: 227 mirror: true
                     scale: 0.5 rand_skip: 3 } top: "data" top: "label" }
    layers { layer { name: "conv" type: "conv" num_output: 96 kernelsize: 11 stride: 4 pad: 2 group: 2 biasterm: false
                     weight_filler { type: "gaussian" std: 0.01 } bias_filler { type: "constant" value: 1 }
                     blobs_lr: 1. blobs_lr: 2. weight_decay: 1. weight_decay: 0. } bottom: "data" top: "conv" }
    layers { layer { name: "pool" type: "pool" pool: AVE kernelsize: 3 stride: 2 pad: 1 } bottom: "conv" top: "pool" }
    layers { layer { name: "norm" type: "lrn" local_size: 3 alpha: 0.1 beta: 0.5 k: 2 } bottom: "pool" top: "norm" }
    layers { layer { name: "drop" type: "dropout" dropout_ratio: 0.2 } bottom: "norm" top: "norm" }
    layers { layer { name: "fc" type: "innerproduct" num_output: 10 biasterm: true } bottom: "norm" top: "fc" }
    layers { layer { name: "cat" type: "concat" concat_dim: 0 } bottom: "fc" bottom: "fc" top: "cat" }
    layers { layer { name: "loss" type: "softmax_loss" } bottom: "cat" bottom: "label" })",
                 R"(
    name: "v0" force_backward: true
    layer { name: "data" type: "Data" top: "data" top: "label"
            transform_param { mean_file: "/mean" crop_size: 227 mirror: true scale: 0.5 }
            data_param { source: "/db" batch_size: 64 rand_skip: 3 } }
    layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
            param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
            convolution_param { num_output: 96 kernel_size: 11 stride: 4 pad: 2 group: 2 bias_term: false
                                weight_filler { type: "gaussian" std: 0.01 }
                                bias_filler { type: "constant" value: 1 } } }
    layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
            pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 } }
    layer { name: "norm" type: "LRN" bottom: "pool" top: "norm"
            lrn_param { local_size: 3 alpha: 0.1 beta: 0.5 k: 2 } }
    layer { name: "drop" type: "Dropout" bottom: "norm" top: "norm" dropout_param { dropout_ratio: 0.2 } }
    layer { name: "fc" type: "InnerProduct" bottom: "norm" top: "fc"
            inner_product_param { num_output: 10 bias_term: true } }
    layer { name: "cat" type: "Concat" bottom: "fc" bottom: "fc" top: "cat" concat_param { concat_dim: 0 } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "cat" bottom: "label" })");
}

TEST(Upgrade, V0DataLayersOfOtherKinds) {
  expect_upgrade(R"(
    layers { layer { name: "i" type: "images" source: "list" batchsize: 5 shuffle_images: true new_height: 7 new_width: 8
                     rand_skip: 2 scale: 2 } top: "i" top: "l" }
    layers { layer { name: "w" type: "window_data" source: "wins" batchsize: 6 det_fg_threshold: 0.6
                     det_bg_threshold: 0.4 det_fg_fraction: 0.3 det_context_pad: 16 det_crop_mode: "square"
                     cropsize: 9 } top: "w" top: "m" }
    layers { layer { name: "h" type: "hdf5_data" source: "files" batchsize: 4 } top: "h" }
    layers { layer { name: "g" type: "infogain_loss" source: "H" } bottom: "h" bottom: "l" }
    layers { layer { name: "o" type: "hdf5_output" hdf5_output_param { file_name: "out" } } bottom: "h" bottom: "l" })",
                 R"(
    layer { name: "i" type: "ImageData" top: "i" top: "l" transform_param { scale: 2 }
            image_data_param { source: "list" batch_size: 5 shuffle: true new_height: 7 new_width: 8 rand_skip: 2 } }
    layer { name: "w" type: "WindowData" top: "w" top: "m" transform_param { crop_size: 9 }
            window_data_param { source: "wins" batch_size: 6 fg_threshold: 0.6 bg_threshold: 0.4 fg_fraction: 0.3
                                context_pad: 16 crop_mode: "square" } }
    layer { name: "h" type: "HDF5Data" top: "h" hdf5_data_param { source: "files" batch_size: 4 } }
    layer { name: "g" type: "InfogainLoss" bottom: "h" bottom: "l" infogain_loss_param { source: "H" } }
    layer { name: "o" type: "HDF5Output" bottom: "h" bottom: "l" hdf5_output_param { file_name: "out" } })");
}

TEST(Upgrade, V0PaddingLayersGoIntoTheirConsumers) {
  expect_upgrade(R"(
    input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
    layers { layer { name: "pad1" type: "padding" pad: 2 } bottom: "data" top: "pad1" }
    layers { layer { name: "conv1" type: "conv" num_output: 4 kernelsize: 5 } bottom: "pad1" top: "conv1" }
    layers { layer { name: "pad2" type: "padding" pad: 1 } bottom: "conv1" top: "pad2" }
    layers { layer { name: "pool" type: "pool" kernelsize: 3 } bottom: "pad2" top: "pool" })",
                 R"(
    layer { name: "input" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
    layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
            convolution_param { num_output: 4 kernel_size: 5 pad: 2 } }
    layer { name: "pool" type: "Pooling" bottom: "conv1" top: "pool" pooling_param { kernel_size: 3 pad: 1 } })");

  expect_error(R"(layers { layer { name: "p" type: "padding" pad: 2 } bottom: "data" top: "p" }
                  layers { layer { name: "r" type: "relu" } bottom: "p" top: "r" })",
               "padding layer \"p\" feeds a layer of type \"relu\"");
  expect_error(R"(layers { layer { name: "p" type: "padding" pad: 2 } top: "p" }
                  layers { layer { name: "c" type: "conv" } bottom: "p" top: "c" })",
               "padding layer \"p\" has 0 bottoms and 1 tops");
  expect_error(R"(layers { layer { name: "p" type: "padding" pad: 2 } bottom: "d" top: "p" }
                  layers { layer { name: "c" type: "conv" } bottom: "d" bottom: "p" top: "c" })",
               "feeds a layer with 2 bottoms");
}

TEST(Upgrade, V0MistakesAndLosses) {
  expect_error(R"(layers { layer { name: "x" type: "innerprodct" } })", "did you mean \"innerproduct\"?");
  expect_error(R"(layers { layer { name: "x" } })", "layer \"x\" has no type");
  expect_error(R"(layers { layer { name: "x" type: "relu" } } layers { name: "y" type: RELU })", "cannot be mixed");
  expect_error(R"(layers { layer { name: "x" type: "images" new_height: -1 } })", "`new_height` must not be negative");
  expect_error(R"(layers { layer { name: "x" type: "relu" } } layer { name: "y" type: "ReLU" })", "write them all as");
  const std::string relu = R"(layer { name: "x" type: "ReLU" })";
  expect_loss(R"(layers { layer { name: "x" type: "relu" stride: 2 } })",
              "Unknown parameter stride for layer type relu", relu);
  expect_loss(R"(layers { layer { name: "x" type: "relu" hdf5_output_param { file_name: "f" } } })",
              "Unknown parameter hdf5_output_param for layer type relu", relu);
  expect_loss(R"(layers { layer { name: "x" type: "relu" } include { phase: TRAIN } })", "`include`", relu);
  expect_loss(R"(debug_info: true layers { layer { name: "x" type: "relu" } })", "`debug_info`", relu);
  expect_upgrade(R"(layers { layer { name: "x" type: "relu" new_num: 2 } })", relu);
}

TEST(Upgrade, V1ListsGoIntoParamEntries) {
  expect_upgrade(R"(
    name: "v1"
    layers { name: "c" type: CONVOLUTION bottom: "d" top: "c" param: "w" param: "" param: "z" blob_share_mode: PERMISSIVE
             blobs_lr: 1 blobs_lr: 2 weight_decay: 0.5 include { phase: TRAIN } exclude { stage: "s" } loss_weight: 0.25
             blobs { num: 1 data: 3 } convolution_param { num_output: 2 weight_filler { type: "xavier" } }
             loss_param { normalize: false } }
    layers { name: "n" bottom: "c" })",
                 R"(
    name: "v1"
    layer { name: "c" type: "Convolution" bottom: "d" top: "c" include { phase: TRAIN } exclude { stage: "s" }
            param { name: "w" share_mode: PERMISSIVE lr_mult: 1 decay_mult: 0.5 } param { name: "" lr_mult: 2 }
            param { name: "z" } loss_weight: 0.25 blobs { num: 1 data: 3 }
            convolution_param { num_output: 2 weight_filler { type: "xavier" } } loss_param { normalize: false } }
    layer { name: "n" bottom: "c" })");
  expect_error(R"(layers { name: "a" type: RELU } layer { name: "b" type: "ReLU" })", "write them all as `layer`");
}

TEST(Upgrade, V1TypesHaveTheirStrings) {
  const std::map<std::string, std::string> types = {{"NONE", ""},
                                                    {"ABSVAL", "AbsVal"},
                                                    {"ACCURACY", "Accuracy"},
                                                    {"ARGMAX", "ArgMax"},
                                                    {"BNLL", "BNLL"},
                                                    {"CONCAT", "Concat"},
                                                    {"CONTRASTIVE_LOSS", "ContrastiveLoss"},
                                                    {"CONVOLUTION", "Convolution"},
                                                    {"DECONVOLUTION", "Deconvolution"},
                                                    {"DATA", "Data"},
                                                    {"DROPOUT", "Dropout"},
                                                    {"DUMMY_DATA", "DummyData"},
                                                    {"EUCLIDEAN_LOSS", "EuclideanLoss"},
                                                    {"ELTWISE", "Eltwise"},
                                                    {"EXP", "Exp"},
                                                    {"FLATTEN", "Flatten"},
                                                    {"HDF5_DATA", "HDF5Data"},
                                                    {"HDF5_OUTPUT", "HDF5Output"},
                                                    {"HINGE_LOSS", "HingeLoss"},
                                                    {"IM2COL", "Im2col"},
                                                    {"IMAGE_DATA", "ImageData"},
                                                    {"INFOGAIN_LOSS", "InfogainLoss"},
                                                    {"INNER_PRODUCT", "InnerProduct"},
                                                    {"LRN", "LRN"},
                                                    {"MEMORY_DATA", "MemoryData"},
                                                    {"MULTINOMIAL_LOGISTIC_LOSS", "MultinomialLogisticLoss"},
                                                    {"MVN", "MVN"},
                                                    {"POOLING", "Pooling"},
                                                    {"POWER", "Power"},
                                                    {"RELU", "ReLU"},
                                                    {"SIGMOID", "Sigmoid"},
                                                    {"SIGMOID_CROSS_ENTROPY_LOSS", "SigmoidCrossEntropyLoss"},
                                                    {"SILENCE", "Silence"},
                                                    {"SOFTMAX", "Softmax"},
                                                    {"SOFTMAX_LOSS", "SoftmaxWithLoss"},
                                                    {"SPLIT", "Split"},
                                                    {"SLICE", "Slice"},
                                                    {"TANH", "TanH"},
                                                    {"WINDOW_DATA", "WindowData"},
                                                    {"THRESHOLD", "Threshold"}};
  EXPECT_EQ(static_cast<int>(types.size()), caffe::V1LayerParameter::LayerType_descriptor()->value_count());
  for (const auto& [legacy, current] : types) {
    const Outcome outcome = upgrade("layers { type: " + legacy + " }");
    ASSERT_EQ(outcome.net.layer_size(), 1) << legacy;
    EXPECT_EQ(outcome.net.layer(0).type(), current);
  }
}

TEST(Upgrade, V1ImageSettingsMoveToTransformParam) {
  expect_upgrade(R"(
    layers { name: "d" type: DATA data_param { source: "s" scale: 0.5 mean_file: "m" crop_size: 4 mirror: true }
             transform_param { scale: 3 force_color: true } }
    layers { name: "i" type: IMAGE_DATA image_data_param { source: "t" mirror: false } }
    layers { name: "r" type: RELU data_param { scale: 2 } })",
                 R"(
    layer { name: "d" type: "Data" data_param { source: "s" }
            transform_param { scale: 0.5 mean_file: "m" crop_size: 4 mirror: true force_color: true } }
    layer { name: "i" type: "ImageData" image_data_param { source: "t" } transform_param { mirror: false } }
    layer { name: "r" type: "ReLU" data_param { scale: 2 } })");
}

TEST(Upgrade, InputsBecomeALayerInFront) {
  const std::string relu = R"(layer { name: "r" type: "ReLU" bottom: "a" top: "r" })";
  const std::string sigmoid = R"(layer { name: "s" type: "Sigmoid" bottom: "b" top: "s" })";
  expect_upgrade("input: 'a' input: 'b' input_shape { dim: 2 dim: 3 } input_shape { dim: 4 }" + relu + sigmoid,
                 "layer { name: 'input' type: 'Input' top: 'a' top: 'b' input_param { shape { dim: 2 dim: 3 } "
                 "shape { dim: 4 } } }" +
                     relu + sigmoid);
  expect_upgrade("input: 'a' input_dim: 10 input_dim: 3 input_dim: 5 input_dim: 6 " + relu,
                 "layer { name: 'input' type: 'Input' top: 'a' input_param { shape { dim: 10 dim: 3 dim: 5 "
                 "dim: 6 } } }" +
                     relu);
  expect_upgrade("name: 'weights' input: 'a'" + relu, "name: 'weights'" + relu);
  expect_error("input: 'a' input: 'b' input_shape { dim: 2 }",
               "2 inputs need 2 `input_shape` entries, but there are 1");
  expect_error("input: 'a' input_dim: 1 input_dim: 2", "1 inputs need 4 `input_dim` entries (4 each), but there are 2");
  expect_loss("input: 'a' input_shape { dim: 2 } input_shape { dim: 3 }", "the last ones are dropped",
              "layer { name: 'input' type: 'Input' top: 'a' input_param { shape { dim: 2 } } }");
}

TEST(Upgrade, BatchNormStatisticsAreNotLearned) {
  const std::string zero = "param { lr_mult: 0 decay_mult: 0 }";
  expect_upgrade("layer { type: 'BatchNorm' param { lr_mult: 1 } param { name: 'v' lr_mult: 0 } param { } }",
                 "layer { type: 'BatchNorm' " + zero + "param { name: 'v' lr_mult: 0 decay_mult: 0 }" + zero + "}");
}

using Key = std::tuple<const Message*, std::string, int>;

Key key_of(const ValuePlace& place) {
  return {place.message, place.field == nullptr ? "" : place.field->name(), place.index};
}

// Tracks labels through an upgrade in the same way as a table of source positions.
TEST(Upgrade, ReportsTheTargetOfEveryValue) {
  auto net = parse<caffe::NetParameter>(R"(
    input: "d" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 9
    layers { layer { name: "p" type: "padding" pad: 2 } bottom: "d" top: "p" }
    layers { layer { name: "c" type: "conv" num_output: 4 weight_filler { std: 3 } blobs_lr: 1 blobs_lr: 2 }
             bottom: "p" top: "c" })");
  std::map<Key, std::string> labels;
  const caffe::V1LayerParameter& conv = net.layers(1);
  labels[{&net, "input_dim", 3}] = "width";
  labels[{&net.layers(0).layer(), "pad", -1}] = "pad";
  labels[{&net.layers(0), "bottom", 0}] = "bottom";
  labels[{&net, "layers", 1}] = "entry";
  labels[{&conv, "", -1}] = "layer";
  labels[{&conv.layer(), "num_output", -1}] = "outputs";
  labels[{&conv.layer(), "blobs_lr", 1}] = "rate";
  labels[{&conv.layer().weight_filler(), "std", -1}] = "std";

  upgrade_net(
      &net, [](const UpgradeNote& note) { EXPECT_EQ(note.kind, Kind::kConverted) << note.message; },
      [&labels](const ValuePlace& from, const ValuePlace& to) {
        const auto found = labels.find(key_of(from));
        if (found == labels.end()) return;
        const std::string label = found->second;
        labels[key_of(to)] = label;
      });

  ASSERT_EQ(net.layer_size(), 2);
  const caffe::LayerParameter& layer = net.layer(1);
  const caffe::ConvolutionParameter& settings = layer.convolution_param();
  EXPECT_EQ((labels[{&net.layer(0).input_param().shape(0), "dim", 3}]), "width");
  EXPECT_EQ((labels[{&settings, "pad", 0}]), "pad");
  EXPECT_EQ((labels[{&layer, "bottom", 0}]), "bottom");
  EXPECT_EQ((labels[{&net, "layer", 1}]), "entry");
  EXPECT_EQ((labels[{&layer, "", -1}]), "layer");
  EXPECT_EQ((labels[{&settings, "num_output", -1}]), "outputs");
  EXPECT_EQ((labels[{&settings, "", -1}]), "outputs");
  EXPECT_EQ((labels[{&layer.param(1), "lr_mult", -1}]), "rate");
  EXPECT_EQ((labels[{&settings.weight_filler(), "std", -1}]), "std");
}

TEST(Upgrade, WorksOnAnArena) {
  google::protobuf::Arena arena;
  auto* net = google::protobuf::Arena::CreateMessage<caffe::NetParameter>(&arena);
  ASSERT_TRUE(TextFormat::ParseFromString(
      "layers { layer { name: 'c' type: 'conv' weight_filler { std: 3 } blobs { data: 1 } } }", net));
  upgrade_net(net, nullptr);
  EXPECT_EQ(net->layer(0).convolution_param().weight_filler().std(), 3);
  EXPECT_EQ(net->layer(0).blobs(0).data(0), 1);
}

caffe::SolverParameter upgraded_solver(const std::string& text, const std::string& path) {
  auto solver = parse<caffe::SolverParameter>(text);
  upgrade_solver(&solver, path, [](const UpgradeNote& note) { EXPECT_EQ(note.kind, Kind::kConverted); });
  return solver;
}

TEST(UpgradeSolver, TypeByEnumBecomesAString) {
  const std::map<std::string, std::string> types = {{"SGD", "SGD"},           {"NESTEROV", "Nesterov"},
                                                    {"ADAGRAD", "AdaGrad"},   {"RMSPROP", "RMSProp"},
                                                    {"ADADELTA", "AdaDelta"}, {"ADAM", "Adam"}};
  for (const auto& [legacy, current] : types) {
    const caffe::SolverParameter solver = upgraded_solver("solver_type: " + legacy, "");
    EXPECT_EQ(solver.type(), current);
    EXPECT_FALSE(solver.has_solver_type());
    EXPECT_FALSE(solver.has_snapshot_prefix());
  }
  auto both = parse<caffe::SolverParameter>("type: 'Adam' solver_type: SGD");
  int errors = 0;
  upgrade_solver(&both, "", [&errors](const UpgradeNote& note) {
    errors += note.kind == Kind::kError;
    EXPECT_EQ(note.where.field->name(), "solver_type");
  });
  EXPECT_EQ(errors, 1);
}

TEST(UpgradeSolver, SnapshotPrefixComesFromThePath) {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("trainer_upgrade_test_" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  EXPECT_EQ(upgraded_solver("", "dir/my.solver.prototxt").snapshot_prefix(), "dir/my.solver");
  EXPECT_EQ(upgraded_solver("", "solver").snapshot_prefix(), "solver");
  EXPECT_EQ(upgraded_solver("snapshot_prefix: 'out/net'", "dir/s.prototxt").snapshot_prefix(), "out/net");
  EXPECT_EQ(upgraded_solver("snapshot_prefix: '" + folder.string() + "'", "dir/s.prototxt").snapshot_prefix(),
            (folder / "s").string());
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace trainer
