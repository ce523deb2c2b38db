// Each layer type as an ONNX model: the evaluator, which shares no code with the devices, must compute what the net
// computes, also for another size of batch.
#include <gtest/gtest.h>

#include <cmath>

#include "base/philox.h"
#include "config/prototxt.h"
#include "export/array_net.h"
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
  for (auto& [name, shape] : larger) shape[0] += 1;
  return to_onnx(net, *try_to_lower(message, shapes), try_to_lower(message, larger).get(), 13, {});
}

// Writes the model, reads it and computes its outputs.
NamedArrays outputs_of(const OnnxModel& model, const NamedArrays& inputs, bool external = false) {
  const TempFolder folder;
  AtomicFile file(folder / "m.onnx"), data(folder / "m.data");
  write_onnx(model, file, external ? &data : nullptr, "m.data");
  file.commit();
  if (external) data.commit();
  const OnnxModel read = read_onnx(folder / "m.onnx", folder / "m.data");
  std::map<std::string, OnnxArray> arrays;
  for (const OnnxValue& input : read.inputs)
    arrays[input.name] = {inputs.at(input.name).shape, inputs.at(input.name).values, {}, false};
  NamedArrays outputs;
  for (auto& [name, array] : evaluate_onnx(read, arrays)) outputs[name] = {array.shape, array.floats};
  return outputs;
}

// The largest relative difference of model and net. `folded` is what becomes the model.
double difference(const ExportedNet& net, const ExportedNet& folded, int64_t batch = 0) {
  const GivenShapes shapes = input_shapes(net.message(), batch);
  ArrayNet reference(net, shapes);
  const NamedArrays inputs = reference.random_inputs();
  return largest_difference(reference.run(inputs), outputs_of(model_of(folded), inputs));
}

TEST(Onnx, EveryLayerComputesTheSame) {
  // The layers without a counterpart; whole nets of modes whose other layers have one are split below.
  const std::set<std::string> without{
      "Accuracy", "BatchReindex", "ContrastiveLoss", "DummyData", "EuclideanLoss", "Filter", "Im2col", "LSTMUnit"};
  int exported = 0;
  for (const ExampleNet& example : example_nets()) {
    const ExportedNet net = random_net(example.text);
    try {
      EXPECT_LE(difference(net, net), 2e-5) << example.name;
      ++exported;
    } catch (const Error& error) {
      std::printf("%s: %s\n", example.name.c_str(), error.what());
      EXPECT_EQ(error.code(), ExitCode::kConfiguration) << error.what();
    }
  }
  std::printf("%d exported\n", exported);
}

}  // namespace
}  // namespace trainer
