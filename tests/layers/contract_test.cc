// Tests the example of every registered layer and the nets of modes/, compiled as for training, in both phases: fast
// kernels against reference kernels, gradients against central differences of the program itself, and bitwise equal
// results of a second run.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "base/philox.h"
#include "compile/compile.h"
#include "compile/evaluate.h"
#include "config/prototxt.h"
#include "layers/example_nets.h"
#include "runtime/open_device.h"

namespace trainer {
namespace {

// One example as a program whose results are its outputs, a weighted sum of them, and the gradients of this sum.
class Example {
 public:
  Example(const std::string& text, caffe::Phase phase, bool reference) {
    setenv("TRAINER_IMPL", reference ? "reference" : "", 1);
    device_ = open_device(reference ? DeviceSpec() : test_device());
    unsetenv("TRAINER_IMPL");
    store_ = std::make_unique<StateStore>(*device_);
    arena_ = std::make_unique<Arena>(*device_);

    caffe::NetParameter param;
    Positions positions;
    Diagnostics diagnostics;
    EXPECT_TRUE(parse_prototxt(text, "example", &param, &positions, &diagnostics));
    LowerOptions options;
    options.phase = phase;
    options.seed = 1;
    const std::unique_ptr<LoweredNet> net = lower_net(param, positions, options, &diagnostics);
    EXPECT_FALSE(diagnostics.has_errors()) << diagnostics.render();
    build(*net);
  }

  const Program& program() const { return *program_; }
  size_t sources() const { return inputs_.size(); }
  bool is_label(size_t source) const { return label_[source]; }
  std::vector<float>& input(size_t source) { return inputs_[source]; }
  size_t gradients_at() const { return gradients_at_; }

  // All results, row-major.
  std::vector<std::vector<float>> run() {
    for (const auto& [name, values] : start_) store_->write(name, values.data());
    std::vector<std::vector<float>> results(program_->results.size());
    const SourceMemory memory(*device_, *program_, inputs_);
    program_->run({3});
    for (size_t i = 0; i < results.size(); ++i) {
      if (program_->results[i] < 0) continue;
      results[i].resize(static_cast<size_t>(program_->result_desc(static_cast<int>(i)).shape.count()));
      program_->read_result(static_cast<int>(i), results[i].data());
    }
    return results;
  }

 private:
  void build(LoweredNet& net) {
    Graph& graph = *net.graph;
    for (const ParameterInfo& parameter : net.parameters) {
      if (!parameter.owner) continue;
      store_->add(parameter.state, parameter.shape);
      std::vector<float> values(static_cast<size_t>(parameter.shape.count()));
      for (size_t i = 0; i < values.size(); ++i)
        values[i] = 0.5f + uniform_from_bits(philox_element(99, 0, i));  // positive, because some states are variances
      store_->write(parameter.state, values.data());
      start_[parameter.state] = values;
    }
    Module module;
    const ExampleResults results = add_gradients(net);
    module.results = results.outputs;
    module.results.push_back(results.scalar);
    gradients_at_ = module.results.size();
    module.results.insert(module.results.end(), results.gradients.begin(), results.gradients.end());

    for (const SourceInfo& source : graph.sources) {
      int64_t classes = 0;
      for (const LabelRequirement& label : net.labels) {
        const Op& op = graph.ops[static_cast<size_t>(graph.values[static_cast<size_t>(label.value.id())].producer)];
        if (label.value.id() == source.value || (!op.inputs.empty() && op.inputs[0] == source.value))
          classes = label.range.classes;
      }
      std::vector<float> values(static_cast<size_t>(graph.desc(source.value).shape.count()));
      for (size_t i = 0; i < values.size(); ++i) {
        const float u = uniform_from_bits(philox_element(7, inputs_.size(), i));
        values[i] = classes > 0 ? std::floor(u * static_cast<float>(classes)) : 0.2f + u;
      }
      label_.push_back(classes > 0);
      inputs_.push_back(values);
    }
    module.graph = std::move(net.graph);
    program_ = compile(std::move(module), *device_, *store_, *arena_);
    for (const std::string& state : program_->states) {
      if (start_.count(state) == 0) start_[state] = store_->read(state);  // carried states, initially zero
    }
  }

  std::unique_ptr<Device> device_;
  std::unique_ptr<StateStore> store_;
  std::unique_ptr<Arena> arena_;
  std::unique_ptr<Program> program_;
  std::map<std::string, std::vector<float>> start_;
  std::vector<std::vector<float>> inputs_;
  std::vector<bool> label_;
  size_t gradients_at_ = 0;
};

using NetAndPhase = std::tuple<ExampleNet, caffe::Phase>;

class LayerContract : public testing::TestWithParam<NetAndPhase> {
 protected:
  // The folder for files that layers write.
  void SetUp() override {
    before_ = std::filesystem::current_path();
    char name[] = "/tmp/trainer_contract_XXXXXX";
    folder_ = mkdtemp(name);
    std::filesystem::current_path(folder_);
  }
  void TearDown() override {
    std::filesystem::current_path(before_);
    std::filesystem::remove_all(folder_);
  }

 private:
  std::filesystem::path before_, folder_;
};

void expect_close(const std::vector<float>& a, const std::vector<float>& b, double tolerance, const std::string& what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  for (size_t i = 0; i < a.size(); ++i)
    EXPECT_NEAR(a[i], b[i], tolerance * std::max(1.0f, std::fabs(b[i]))) << what << " " << i;
}

TEST_P(LayerContract, FastKernelsAgreeWithTheReference) {
  const auto& [net, phase] = GetParam();
  Example fast(net.text, phase, false), reference(net.text, phase, true);
  const auto a = fast.run(), b = reference.run();
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) expect_close(a[i], b[i], 2e-5, "result " + std::to_string(i));
}

TEST_P(LayerContract, ASecondRunGivesTheSameBits) {
  const auto& [net, phase] = GetParam();
  Example example(net.text, phase, false);
  EXPECT_EQ(example.run(), example.run());
}

// Sources that affect an example's result but take no gradient in Caffe: targets, weights and matrices of losses, and
// initial states of recurrent layers. By the example's name.
const std::map<std::string, std::set<size_t>> kWithoutGradient = {
    {"BCELoss", {1}},      {"InfogainLoss", {1}},  {"KLDivergenceLoss", {1}}, {"SigmoidCrossEntropyLoss", {1}},
    {"SmoothL1Loss", {2}}, {"loss_modes", {1, 4}}, {"recurrent_modes", {4}}};

// Tests points in general position, at which Caffe's gradients are the derivatives. Float differences are coarse: the
// test finds wrong formulas, not rounding errors.
TEST_P(LayerContract, GradientsAreDerivatives) {
  const auto& [net, phase] = GetParam();
  Example example(net.text, phase, false);
  const auto results = example.run();
  const size_t scalar = example.gradients_at() - 1;
  for (size_t source = 0; source < example.sources(); ++source) {
    const std::vector<float>& gradient = results[example.gradients_at() + source];
    if (example.is_label(source)) continue;
    if (const auto none = kWithoutGradient.find(net.name);
        none != kWithoutGradient.end() && none->second.count(source) > 0) {
      EXPECT_TRUE(gradient.empty()) << "source " << source << " has a gradient";
      continue;
    }
    std::vector<float>& x = example.input(source);
    const size_t stride = std::max<size_t>(1, x.size() / 7);
    for (size_t i = 0; i < x.size(); i += stride) {
      const float kept = x[i], step = 4e-3f;
      x[i] = kept + step;
      const double above = example.run()[scalar][0];
      x[i] = kept - step;
      const double below = example.run()[scalar][0];
      x[i] = kept;
      const double expected = (above - below) / (2 * step);
      // An empty gradient means zeros.
      EXPECT_NEAR(gradient.empty() ? 0 : gradient[i], expected, 3e-2 * std::max(1.0, std::abs(expected)))
          << "source " << source << " element " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Layers, LayerContract,
                         testing::Combine(testing::ValuesIn(example_nets()),
                                          testing::Values(caffe::TRAIN, caffe::TEST)),
                         [](const testing::TestParamInfo<NetAndPhase>& info) {
                           return std::get<0>(info.param).name + caffe::Phase_Name(std::get<1>(info.param));
                         });

}  // namespace
}  // namespace trainer
