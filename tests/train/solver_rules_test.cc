// The solver types, clipping and averages against numbers of PyTorch 2.15 and timm 1.0 in float64: 50 steps.
#include "train/solver_rules.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "config/prototxt.h"
#include "session/state_names.h"
#include "test_environment.h"
#include "train/update_rule.h"
#include "train/weight_average.h"

namespace trainer {
namespace {

constexpr int kSteps = 50;

caffe::SolverParameter solver_of(const std::string& text) {
  caffe::SolverParameter solver;
  Positions positions;
  Diagnostics diagnostics;
  parse_prototxt(text, "solver", &solver, &positions, &diagnostics);
  diagnostics.throw_if_errors();
  return solver;
}

// Three parameters with gradients that depend on the weights and on the step. The second one starts from zeros, and has
// twice the rate and no decay.
class Bench {
 public:
  explicit Bench(const std::string& text) : solver(solver_of(text)), session(test_device()) {
    const Shape shapes[] = {Shape{2, 3}, Shape{4}, Shape{3, 2, 1, 1}};
    std::vector<StateInfo> weights, gradients;
    for (const Shape& shape : shapes) {
      ParameterInfo info;
      info.state = "p" + std::to_string(infos_.size());
      info.shape = shape;
      if (infos_.size() == 1) info.lr_mult = 2, info.decay_mult = 0;
      weights.push_back({info.state, shape});
      gradients.push_back({gradient_state(info.state), shape});
      infos_.push_back(info);
    }
    session.store.add_group(kParameterGroup, weights);
    session.store.add_group(kGradientGroup, gradients);
    for_each([](const ParameterInfo& info, int first, std::vector<float>* values) {
      for (size_t i = 0; i < values->size(); ++i)
        (*values)[i] = info.decay_mult == 0 ? 0 : std::sin(static_cast<float>(first + static_cast<int>(i) + 1));
    });
    std::vector<const ParameterInfo*> pointers;
    for (const ParameterInfo& info : infos_) pointers.push_back(&info);
    update.emplace(solver, pointers, session);
    if (!average_name(solver).empty()) average.emplace(session).start();
  }

  void step(int t) {
    int first = 0;
    for (const ParameterInfo& info : infos_) {
      std::vector<float> gradient = session.store.read(info.state);
      for (size_t i = 0; i < gradient.size(); ++i) {
        const float index = static_cast<float>(first + static_cast<int>(i));
        gradient[i] =
            0.3f * gradient[i] * (1 + std::fmod(index, 3.0f)) + 0.5f * std::sin(0.7f * static_cast<float>(t) + index);
        gradient[i] *= static_cast<float>(solver.iter_size());
      }
      session.store.write(gradient_state(info.state), gradient.data());
      first += static_cast<int>(gradient.size());
    }
    update->prepare({solver.base_lr()}, t);
    if (Program* program = update->program_after_pass()) program->run({});
    update->run_after_loss();
  }

  std::vector<float> weights() {
    std::vector<float> all;
    for_each([&](const ParameterInfo&, int, std::vector<float>* values) {
      all.insert(all.end(), values->begin(), values->end());
    });
    return all;
  }

  caffe::SolverParameter solver;
  DeviceSession session;
  std::optional<UpdateRule> update;
  std::optional<WeightAverage> average;

 private:
  void for_each(const std::function<void(const ParameterInfo&, int, std::vector<float>*)>& use) {
    int first = 0;
    for (const ParameterInfo& info : infos_) {
      std::vector<float> values = session.store.read(info.state);
      use(info, first, &values);
      session.store.write(info.state, values.data());
      first += static_cast<int>(values.size());
    }
  }

  std::vector<ParameterInfo> infos_;
};

void expect_near(const std::vector<float>& actual, const std::vector<double>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 2e-5) << "element " << i;
}

struct Case {
  const char* name;
  const char* solver;
  std::vector<double> expected;  // the weights, or their average
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class SolverRules : public testing::TestWithParam<Case> {
 protected:
  void compare(const std::string& more) {
    Bench bench(GetParam().solver + more);
    for (int t = 0; t < kSteps; ++t) bench.step(t);
    const WeightsInUse used(bench.average ? &*bench.average : nullptr, WeightsInUse::kAverage);
    expect_near(bench.weights(), GetParam().expected);
  }
};

TEST_P(SolverRules, FiftyStepsAreThoseOfPyTorch) { compare(""); }

// The sums of several passes are averaged before they are clipped by value or by units.
TEST_P(SolverRules, AccumulatedGradientsGiveTheSameSteps) { compare(" iter_size: 4"); }

// clip_adaptive has maps for each parameter in place of one map; the limit is too large to clip.
TEST_P(SolverRules, MapsOfSingleParametersGiveTheSameSteps) {
  if (!solver_of(GetParam().solver).has_clip_adaptive()) compare(" clip_adaptive: 1e9");
}

INSTANTIATE_TEST_SUITE_P(
    Types, SolverRules,
    testing::Values(
        Case{"AdamW",
             "type: 'AdamW' base_lr: 0.01 momentum: 0.9 momentum2: 0.99 weight_decay: 0.1",
             {0.53109889, 0.50124811, 0.02675179, -0.46780728, -0.54049026, -0.065401873, -0.033336747, -0.025026064,
              -0.0036704677, 0.026084969, -0.57295288, -0.18989101, 0.25293951, 0.56478143, 0.26529461, -0.17290878}},
        Case{"NAdam",
             "type: 'NAdam' base_lr: 0.01 momentum: 0.9 momentum2: 0.99 weight_decay: 0.05",
             {0.56580821, 0.56361805, 0.044552682, -0.4961046, -0.60530285, -0.093418728, -0.038990684, -0.028070368,
              0.0034779065, 0.035947048, -0.63893067, -0.23743997, 0.25779209, 0.62945435, 0.32033701, -0.17038189}},
        Case{"RAdam",
             "type: 'RAdam' base_lr: 0.01 momentum: 0.9 momentum2: 0.99 weight_decay: 0.05",
             {0.73049752, 0.74928801, 0.086327277, -0.65459003, -0.79545553, -0.18355505, -0.015409838, -0.026497568,
              -0.012605961, 0.011066797, -0.83471268, -0.39202912, 0.35911257, 0.82682511, 0.49153428, -0.24612628}},
        Case{"Lion",
             "type: 'Lion' base_lr: 0.003 momentum: 0.9 momentum2: 0.99 weight_decay: 0.1",
             {0.68596334, 0.74685496, 0.067453296, -0.60255559, -0.79574285, -0.13819299, -0.036, -0.012, -0.012, 0.048,
              -0.8361973, -0.37968043, 0.3184743, 0.82695416, 0.4917021, -0.22401491}},
        Case{"LAMB",
             "type: 'LAMB' base_lr: 0.01 momentum: 0.9 momentum2: 0.99 weight_decay: 0.1 delta: 1e-6",
             {0.56229222, 0.5381054, 0.035411811, -0.496645, -0.57838914, -0.08074852, -0.03333674, -0.025026124,
              -0.003670491, 0.026084957, -0.65364928, -0.24806362, 0.28298389, 0.645149, 0.33270295, -0.19310341}},
        Case{"LARS",
             "type: 'LARS' base_lr: 0.5 momentum: 0.9 trust_coefficient: 0.02 weight_decay: 0.05",
             {0.24414846, 0.0072317573, -0.0080573057, -0.20766766, -0.0031745175, 0.019144272, -1.6361461, 2.0147902,
              1.0437321, 1.2812865, -0.056798242, 0.047145408, 0.13565355, 0.052013276, -0.059855638, -0.073291567}},
        Case{"SGDW",
             "type: 'SGDW' base_lr: 0.01 momentum: 0.9 weight_decay: 0.1",
             {0.12554194, -0.067251371, -0.016667646, -0.11265819, 0.070371829, 0.027257357, -0.0094349806,
              -0.012699651, -0.018730818, 0.0063217214, 0.072353002, 0.046599077, 0.06172889, -0.071174064,
              -0.054963961, -0.04179314}},
        Case{
            "Clipped",
            "base_lr: 0.02 momentum: 0.9 weight_decay: 0.01 clip_adaptive: 0.1 clip_value: 0.08",
            {0.60616142, 0.46534386, 0.072932039, -0.54024719, -0.49254548, -0.12410095, -3.3092657e-05, -4.6021837e-05,
             -1.6648103e-05, 2.8038223e-05, -0.52167066, -0.22263754, 0.34495251, 0.4986031, 0.31499806, -0.1772338}},
        Case{"Ema",
             "base_lr: 0.02 momentum: 0.9 weight_decay: 0.01 ema { decay: 0.9 warmup: 0 }",
             {-0.010975616, -0.051174757, -0.0022233441, 0.010390895, 0.053239234, -0.0010882162, 0.015695597,
              -0.0043928476, -0.0069475711, -0.014965338, 0.054151444, -0.00758015, -0.007456196, -0.05298092,
              0.010630587, 0.0061497597}},
        Case{"Swa",
             "base_lr: 0.02 momentum: 0.9 weight_decay: 0.01 swa { start: 20 interval: 7 }",
             {0.046393576, -0.091277338, -0.014402477, -0.040020792, 0.096562966, 0.027098114, -0.0074477775,
              0.013168221, -0.00071928724, 0.0070848853, 0.10126899, 0.050619034, 0.016683833, -0.10059519,
              -0.060973545, -0.0080179813}}),
    [](const testing::TestParamInfo<Case>& info) { return info.param.name; });

// The sums of all devices and passes are clipped before the division by iter_size, as in Caffe.
TEST(SolverRules, TheNormIsClippedBeforeTheMeanOverPasses) {
  Bench once("base_lr: 0.1 clip_gradients: 0.25"), twice("base_lr: 0.1 clip_gradients: 0.5 iter_size: 2");
  for (int t = 0; t < 5; ++t) once.step(t), twice.step(t);
  const std::vector<float> expected = once.weights();
  expect_near(twice.weights(), {expected.begin(), expected.end()});
}

// The decay of update t is min(decay, (1 + t) / (warmup + t)).
TEST(WeightAverage, WarmsUp) {
  const caffe::SolverParameter solver = solver_of("ema { decay: 0.5 warmup: 10 }");
  EXPECT_FLOAT_EQ(average_coefficient(solver, 0), 0.9f);
  EXPECT_FLOAT_EQ(average_coefficient(solver, 2), 0.75f);
  EXPECT_FLOAT_EQ(average_coefficient(solver, 8), 0.5f);
  EXPECT_FLOAT_EQ(average_coefficient(solver, 1000), 0.5f);
  EXPECT_FLOAT_EQ(average_coefficient(solver_of("ema { decay: 0.5 warmup: 0 }"), 0), 0.5f);
}

TEST(WeightAverage, ScopesNest) {
  Bench bench("base_lr: 0.1 ema { }");
  for (int t = 0; t < 3; ++t) bench.step(t);
  const std::vector<float> trained = bench.weights();
  std::vector<float> average;
  {
    const WeightsInUse outer(&*bench.average, WeightsInUse::kAverage);
    average = bench.weights();
    EXPECT_NE(average, trained);
    {
      const WeightsInUse inner(&*bench.average, WeightsInUse::kTrained);
      EXPECT_EQ(bench.weights(), trained);
    }
    EXPECT_EQ(bench.weights(), average);
  }
  EXPECT_EQ(bench.weights(), trained);
}

}  // namespace
}  // namespace trainer
