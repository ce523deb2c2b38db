// Tests fillers: exact values of deterministic ones, bounds and moments of random ones.
#include "layers/shared/filler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "config/prototxt.h"

namespace trainer {
namespace {

caffe::FillerParameter filler(const std::string& text) {
  caffe::FillerParameter result;
  Positions positions;
  Diagnostics diagnostics;
  parse_prototxt(text, "filler", &result, &positions, &diagnostics);
  EXPECT_EQ(diagnostics.render(), "");
  return result;
}

std::vector<float> filled(const std::string& text, const Shape& shape, uint64_t key = 7) {
  std::string field;
  EXPECT_EQ(check_filler(filler(text), shape, &field), "");
  std::vector<float> values(static_cast<size_t>(shape.count()), -99.0f);
  fill(filler(text), shape, key, values);
  return values;
}

struct Moments {
  double mean = 0, deviation = 0, least = 0, most = 0;
};
Moments moments(const std::vector<float>& values) {
  Moments m;
  for (float value : values) m.mean += value;
  m.mean /= static_cast<double>(values.size());
  for (float value : values) m.deviation += (value - m.mean) * (value - m.mean);
  m.deviation = std::sqrt(m.deviation / static_cast<double>(values.size()));
  m.least = *std::min_element(values.begin(), values.end());
  m.most = *std::max_element(values.begin(), values.end());
  return m;
}

TEST(Filler, Constant) {
  EXPECT_EQ(filled("value: 2.5", {2, 2}), std::vector<float>(4, 2.5f));
  EXPECT_EQ(filled("", {3}), std::vector<float>(3, 0.0f));
}

TEST(Filler, UniformStaysInsideItsBounds) {
  const Moments m = moments(filled("type: 'uniform' min: -2 max: 3", {100, 101}));
  EXPECT_NEAR(m.mean, 0.5, 0.05);
  EXPECT_NEAR(m.deviation, 5 / std::sqrt(12.0), 0.03);
  EXPECT_GE(m.least, -2);
  EXPECT_LT(m.most, 3);
  EXPECT_EQ(filled("type: 'uniform' min: 1 max: 1", {2}), std::vector<float>(2, 1.0f));
}

TEST(Filler, GaussianHasItsMoments) {
  const std::vector<float> values = filled("type: 'gaussian' mean: 1 std: 0.5", {100, 301});
  const Moments m = moments(values);
  EXPECT_NEAR(m.mean, 1, 0.01);
  EXPECT_NEAR(m.deviation, 0.5, 0.01);
  const auto within = std::count_if(values.begin(), values.end(), [](float v) { return std::fabs(v - 1) < 0.5f; });
  EXPECT_NEAR(static_cast<double>(within) / static_cast<double>(values.size()), 0.6827, 0.01);
}

TEST(Filler, SparseGaussianKeepsAShare) {
  const std::vector<float> values = filled("type: 'gaussian' sparse: 10", {100, 200});
  const auto kept = std::count_if(values.begin(), values.end(), [](float v) { return v != 0; });
  EXPECT_NEAR(static_cast<double>(kept), 2000, 150);
}

TEST(Filler, PositiveUnitballRowsSumToOne) {
  const std::vector<float> values = filled("type: 'positive_unitball'", {5, 3, 7});
  for (size_t row = 0; row < 5; ++row) {
    double sum = 0;
    for (size_t i = 0; i < 21; ++i) {
      EXPECT_GT(values[row * 21 + i], 0);
      sum += values[row * 21 + i];
    }
    EXPECT_NEAR(sum, 1, 1e-6);
  }
}

TEST(Filler, XavierAndMsraTakeTheFanAskedFor) {
  // (8, 4, 5, 5): fan in 100, fan out 200, average 150.
  const Shape shape{8, 4, 5, 5};
  for (const auto& [norm, fan] : {std::pair{"FAN_IN", 100.0}, {"FAN_OUT", 200.0}, {"AVERAGE", 150.0}}) {
    const std::string suffix = std::string(" variance_norm: ") + norm;
    const Moments x = moments(filled("type: 'xavier'" + suffix, shape));
    const double bound = std::sqrt(3 / fan);
    EXPECT_LE(x.most, bound);
    EXPECT_GE(x.least, -bound);
    EXPECT_GT(x.most, 0.97 * bound);
    EXPECT_NEAR(moments(filled("type: 'msra'" + suffix, shape)).deviation, std::sqrt(2 / fan),
                0.1 * std::sqrt(2 / fan));
  }
  EXPECT_EQ(fan_of(filler(""), {6}), 1);
  EXPECT_EQ(fan_of(filler("variance_norm: FAN_OUT"), {6}), 6);
}

TEST(Filler, BilinearInterpolates) {
  EXPECT_EQ(filled("type: 'bilinear'", {1, 1, 4, 4}),
            (std::vector<float>{0.0625f, 0.1875f, 0.1875f, 0.0625f, 0.1875f, 0.5625f, 0.5625f, 0.1875f, 0.1875f,
                                0.5625f, 0.5625f, 0.1875f, 0.0625f, 0.1875f, 0.1875f, 0.0625f}));
  const std::vector<float> odd = filled("type: 'bilinear'", {1, 2, 3, 3});
  for (size_t plane = 0; plane < 18; plane += 9) {
    EXPECT_NEAR(odd[plane], 0.25f, 1e-6f);
    EXPECT_NEAR(odd[plane + 1], 0.5f, 1e-6f);
    EXPECT_NEAR(odd[plane + 4], 1, 1e-6f);
  }
}

TEST(Filler, IsAFunctionOfItsKey) {
  EXPECT_EQ(filled("type: 'gaussian'", {31}, 5), filled("type: 'gaussian'", {31}, 5));
  EXPECT_NE(filled("type: 'gaussian'", {31}, 5), filled("type: 'gaussian'", {31}, 6));
}

TEST(Filler, SaysWhatIsWrong) {
  const struct {
    const char* text;
    Shape shape;
    const char* field;
    const char* words;
  } cases[] = {
      {"type: 'gausian'", {2}, "type", "did you mean \"gaussian\"?"},
      {"type: 'bilinear'", {2, 2}, "type", "4 axes and a square filter"},
      {"type: 'gaussian' std: 0", {2}, "std", "must be greater than 0"},
      {"type: 'uniform' min: 2 max: 1", {2}, "min", "min 2 is greater than max 1"},
      {"type: 'xavier' sparse: 3", {2}, "sparse", "only filler \"gaussian\" accepts sparse"},
  };
  for (const auto& c : cases) {
    std::string field;
    const std::string problem = check_filler(filler(c.text), c.shape, &field);
    EXPECT_NE(problem.find(c.words), std::string::npos) << problem;
    EXPECT_EQ(field, c.field);
  }
}

}  // namespace
}  // namespace trainer
