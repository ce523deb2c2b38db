// Tensors of other programs in the learned blobs of a net: by name, by a map, by order.
#include "session/assign_tensors.h"

#include <numeric>

#include "config/prototxt.h"
#include "formats/temp_folder.h"
#include "session/net_session.h"
#include "session/parameters.h"
#include "test_environment.h"

namespace trainer {
namespace {

constexpr const char* kNet = R"(
layer { name: 'data' type: 'Input' top: 'data' input_param { shape { dim: 1 dim: 2 dim: 3 dim: 3 } } }
layer { name: 'conv' type: 'Convolution' bottom: 'data' top: 'conv'
  convolution_param { num_output: 2 kernel_size: 1 bias_term: false } }
layer { name: 'bn' type: 'BatchNorm' bottom: 'conv' top: 'bn' }
layer { name: 'scale_of_bn' type: 'Scale' bottom: 'bn' top: 'bn' scale_param { bias_term: true } }
layer { name: 'fc' type: 'InnerProduct' bottom: 'bn' top: 'fc'
  inner_product_param { num_output: 18 transpose: true } }
)";

std::vector<float> counting(int64_t count, float first) {
  std::vector<float> values(static_cast<size_t>(count));
  std::iota(values.begin(), values.end(), first);
  return values;
}

// Values first, first + 1, ...
StoredTensor tensor(const std::string& name, const Shape& shape, float first) {
  return {name, shape, ElementType::kF32, [shape, first](float* out) {
            const std::vector<float> values = counting(shape.count(), first);
            std::copy(values.begin(), values.end(), out);
          }};
}

// As PyTorch has them for the net.
std::vector<StoredTensor> torch_tensors(const std::string& prefix) {
  return {tensor(prefix + "conv.weight", {2, 2, 1, 1}, 1),
          tensor(prefix + "bn.weight", {2}, 10),
          tensor(prefix + "bn.bias", {2}, 20),
          tensor(prefix + "bn.running_mean", {2}, 30),
          tensor(prefix + "bn.running_var", {2}, 40),
          tensor(prefix + "bn.num_batches_tracked", {}, 7),
          tensor(prefix + "fc.weight", {18, 18}, 100),
          tensor(prefix + "fc.bias", {18}, 50)};
}

class AssignTensors : public testing::Test {
 protected:
  AssignTensors() : device_session_(test_device()) {
    Diagnostics diagnostics;
    parse_prototxt(kNet, "net.prototxt", &net_, &positions_, &diagnostics);
    diagnostics.throw_if_errors();
    session_ = std::make_unique<NetSession>(net_, positions_, caffe::TEST, 1, device_session_);
    add_parameters(session_->lowered(), 1, false, device_session_.store);
  }

  std::vector<WeightMatch> load(const std::vector<StoredTensor>& tensors, const WeightMatching& matching = {}) {
    WeightFile file;
    file.path = "w";
    file.tensors = std::make_shared<const TensorFile>(TensorFile{"w", "PyTorch", tensors});
    return load_weights(file, session_->lowered(), device_session_.store, matching);
  }
  std::vector<float> state(const std::string& name) const { return device_session_.store.read(name); }

  void expect_loaded() const {
    EXPECT_EQ(state("conv/0"), counting(4, 1));
    EXPECT_EQ(state("bn/0"), (std::vector<float>{30, 31}));
    EXPECT_EQ(state("bn/1"), (std::vector<float>{40, 41}));
    EXPECT_EQ(state("bn/2"), (std::vector<float>{1}));
    EXPECT_EQ(state("scale_of_bn/0"), (std::vector<float>{10, 11}));
    EXPECT_EQ(state("scale_of_bn/1"), (std::vector<float>{20, 21}));
    EXPECT_EQ(state("fc/1"), counting(18, 50));
  }

  static std::vector<WeightMapLine> map_of(const std::string& text) {
    const TempFolder folder;
    return read_weight_map(folder.write("map", text));
  }

  caffe::NetParameter net_;
  Positions positions_;
  DeviceSession device_session_;
  std::unique_ptr<NetSession> session_;
};

TEST_F(AssignTensors, ByName) {
  for (const std::string prefix : {"", "state_dict.module."}) {
    const std::vector<WeightMatch> matches = load(torch_tensors(prefix));
    EXPECT_TRUE(all_loaded(matches)) << match_table("w", matches);
    EXPECT_EQ(matches.size(), 4u);
    expect_loaded();
    // The layer stores its matrix the other way.
    EXPECT_EQ(state("fc/0")[1], 118);
    EXPECT_EQ(state("fc/0")[18], 101);
  }
}

TEST_F(AssignTensors, ByNamesOfLayersAndBlobs) {
  const std::vector<WeightMatch> matches =
      load({tensor("bn/0", {2}, 1), tensor("bn/1", {1, 2, 1}, 2), tensor("bn/2", {}, 3), tensor("fc/0", {18, 18}, 4),
            tensor("fc/1", {18}, 5), tensor("other.x", {1}, 6)});
  EXPECT_EQ(state("bn/2"), (std::vector<float>{3}));
  EXPECT_EQ(state("bn/1"), (std::vector<float>{2, 3}));
  EXPECT_EQ(state("fc/0"), counting(324, 4));
  const std::string table = match_table("w", matches);
  EXPECT_TRUE(contains(table, "2 layers loaded, 2 fresh, 0 mismatched, 1 unused")) << table;
  EXPECT_TRUE(contains(table, "unused     other"));
}

TEST_F(AssignTensors, ByMap) {
  WeightMatching matching;
  matching.map = map_of(
      "conv/0 features.0.w\nscale_of_*/0 norm_*.g\nscale_of_*/1 norm_*.b\n*/0 norm_*.m\n*/1 norm_*.v\n"
      "fc/0 head.w transpose=1,0\nfc/1 head.b\n");
  const std::vector<WeightMatch> matches =
      load({tensor("features.0.w", {2, 2}, 1), tensor("norm_bn.g", {2}, 10), tensor("norm_bn.b", {2}, 20),
            tensor("norm_bn.m", {2}, 30), tensor("norm_bn.v", {2}, 40), tensor("head.w", {18, 18}, 100),
            tensor("head.b", {18}, 50)},
           matching);
  EXPECT_TRUE(all_loaded(matches)) << match_table("w", matches);
  expect_loaded();
  EXPECT_EQ(state("fc/0")[1], 118);
}

TEST_F(AssignTensors, ByOrder) {
  std::vector<StoredTensor> tensors = torch_tensors("x");
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (!tensors[i].name.ends_with("num_batches_tracked")) tensors[i].name = "t" + std::to_string(i);
  }
  WeightMatching matching;
  matching.by_order = true;
  EXPECT_TRUE(all_loaded(load(tensors, matching)));
  expect_loaded();
  EXPECT_EQ(state("fc/0")[1], 118);
  tensors.erase(tensors.begin());
  const std::vector<WeightMatch> matches = load(tensors, matching);
  EXPECT_TRUE(contains(match_table("w", matches), "mismatched conv")) << match_table("w", matches);
}

// Gates in PyTorch's order input, forget, cell, output; a hidden size of 1.
TEST(AssignLstm, ReordersGatesAndAddsBiases) {
  caffe::NetParameter net;
  Positions positions;
  Diagnostics diagnostics;
  parse_prototxt(R"(
layer { name: 'x' type: 'Input' top: 'x' top: 'cont'
  input_param { shape { dim: 3 dim: 2 dim: 2 } shape { dim: 3 dim: 2 } } }
layer { name: 'rnn' type: 'LSTM' bottom: 'x' bottom: 'cont' top: 'h' recurrent_param { num_output: 1 } }
)",
                 "net.prototxt", &net, &positions, &diagnostics);
  diagnostics.throw_if_errors();
  DeviceSession device(test_device());
  NetSession session(net, positions, caffe::TEST, 1, device);
  add_parameters(session.lowered(), 1, false, device.store);
  WeightFile file;
  file.tensors = std::make_shared<const TensorFile>(
      TensorFile{"w",
                 "PyTorch",
                 {tensor("model.rnn.weight_ih_l0", {4, 2}, 1), tensor("model.rnn.weight_hh_l0", {4, 1}, 20),
                  tensor("model.rnn.bias_ih_l0", {4}, 30), tensor("model.rnn.bias_hh_l0", {4}, 100)}});
  const std::vector<WeightMatch> matches = load_weights(file, session.lowered(), device.store);
  EXPECT_TRUE(all_loaded(matches)) << match_table("w", matches);
  EXPECT_EQ(device.store.read("rnn/0"), (std::vector<float>{1, 2, 3, 4, 7, 8, 5, 6}));
  EXPECT_EQ(device.store.read("rnn/1"), (std::vector<float>{130, 132, 136, 134}));
  EXPECT_EQ(device.store.read("rnn/2"), (std::vector<float>{20, 21, 23, 22}));
}

TEST_F(AssignTensors, OtherShapesAndTwoTensorsForABlob) {
  std::vector<StoredTensor> tensors = torch_tensors("");
  tensors[0].shape = Shape{4, 1, 1, 1};
  EXPECT_TRUE(contains(match_table("w", load(tensors)), "blob 0: 4 1 1 1 (4) in the file, 2 2 1 1 (4) in the net"));
  tensors.push_back(tensor("model.fc.bias", {18}, 0));
  EXPECT_TRUE(contains(data_error_of([&] { load(tensors); }), "\"fc.bias\" and \"model.fc.bias\" both fit blob 1"));
}

TEST_F(AssignTensors, HintAtNamesThatAlmostFit) {
  const std::string message = data_error_of([&] {
    require_match("w", load({tensor("backbone.conv.weight", {2, 2, 1, 1}, 1)}));
  });
  EXPECT_TRUE(contains(message, "The file has \"backbone.conv\" and the net \"conv\""));
}

}  // namespace
}  // namespace trainer
