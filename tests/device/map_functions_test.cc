// The vectorized functions of the tile interpreter against libm in double, with every instruction set.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>

#include "device/map_case.h"

namespace trainer::cpu {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
const float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> evaluate(Fn fn, const std::vector<float>& x, float k, IsaLevel level) {
  const Shape shape{static_cast<int64_t>(x.size())};
  MapCase c(shape);
  const int input = c.input(shape);
  c.store(c.node(fn, input, -1, -1, k));
  const auto kernel = create_map_tiles(c.instance(), table_of(level), 1);
  return run_map(*kernel, c, {TestTensor(x)})[0].floats();
}

// Magnitudes from 2^-exponent to 2^exponent and even steps around 0; also negative values unless `positive`.
std::vector<float> arguments(int exponent, bool positive) {
  std::vector<float> x;
  for (int i = -exponent * 16; i <= exponent * 16; ++i) x.push_back(std::exp2(static_cast<float>(i) / 16));
  for (int i = 1; i < 4000; ++i) x.push_back(static_cast<float>(i) * 0.00731f);
  if (positive) return x;
  const size_t n = x.size();
  for (size_t i = 0; i < n; ++i) x.push_back(-x[i]);
  return x;
}

double units_in_last_place(double expected, float got) {
  const float rounded = static_cast<float>(expected);
  if (got == rounded) return 0;
  // Denormals may be flushed to zero, and overflow may begin within a rounding error of the limit.
  if (std::fabs(expected) < 1.3e-38) return std::fabs(got) < 1.3e-38 ? 0 : 1e9;
  if (std::isinf(rounded) || std::isinf(got)) return std::fabs(expected) > 3.4028e38 && got > 3.4e38 ? 0 : 1e9;
  const double unit = std::fabs(std::nextafter(rounded, 2 * rounded) - static_cast<double>(rounded));
  return std::fabs(expected - static_cast<double>(got)) / unit;
}

struct Accuracy {
  const char* name;
  Fn fn;
  float k;
  int exponent;
  bool positive;
  double units;
  double (*exact)(double x, double k);
};

const Accuracy kAccuracies[] = {
    {"exp", Fn::kExp, 0, 7, false, 2, [](double x, double) { return std::exp(x); }},
    {"expm1", Fn::kExpm1, 0, 40, false, 2.5, [](double x, double) { return std::expm1(x); }},
    {"log", Fn::kLog, 0, 126, true, 2, [](double x, double) { return std::log(x); }},
    {"sqrt", Fn::kSqrt, 0, 126, true, 0.51, [](double x, double) { return std::sqrt(x); }},
    {"erf", Fn::kErf, 0, 20, false, 2.5, [](double x, double) { return std::erf(x); }},
    {"tanh", Fn::kTanh, 0, 20, false, 2.5, [](double x, double) { return std::tanh(x); }},
    {"sigmoid", Fn::kSigmoid, 0, 20, false, 2.5, [](double x, double) { return 1 / (1 + std::exp(-x)); }},
    {"softplus", Fn::kSoftplus, 0, 20, false, 2.5,
     [](double x, double) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }},
    {"floor", Fn::kFloor, 0, 20, false, 0, [](double x, double) { return std::floor(x); }},
    {"power 0.5", Fn::kPowerConstant, 0.5f, 126, true, 0.51, [](double x, double k) { return std::pow(x, k); }},
    {"power -0.5", Fn::kPowerConstant, -0.5f, 100, true, 1.5, [](double x, double k) { return std::pow(x, k); }},
    {"power 0.75", Fn::kPowerConstant, 0.75f, 100, true, 2.5, [](double x, double k) { return std::pow(x, k); }},
    {"power -0.75", Fn::kPowerConstant, -0.75f, 100, true, 3.5, [](double x, double k) { return std::pow(x, k); }},
    {"power 0.3", Fn::kPowerConstant, 0.3f, 100, true, 0.6, [](double x, double k) { return std::pow(x, k); }},
    {"power 2.7", Fn::kPowerConstant, 2.7f, 100, true, 0.6, [](double x, double k) { return std::pow(x, k); }},
    {"power -11.5", Fn::kPowerConstant, -11.5f, 40, true, 0.6, [](double x, double k) { return std::pow(x, k); }},
    {"power 2", Fn::kPowerConstant, 2, 60, false, 0.51, [](double x, double k) { return std::pow(x, k); }},
    {"power 3", Fn::kPowerConstant, 3, 40, false, 1.5, [](double x, double k) { return std::pow(x, k); }},
    {"power -2", Fn::kPowerConstant, -2, 40, false, 1.5, [](double x, double k) { return std::pow(x, k); }},
    {"power 5", Fn::kPowerConstant, 5, 20, false, 1, [](double x, double k) { return std::pow(x, k); }},
    {"power 1", Fn::kPowerConstant, 1, 60, false, 0, [](double x, double) { return x; }},
    {"power 0", Fn::kPowerConstant, 0, 60, false, 0, [](double, double) { return 1.0; }},
};

TEST(MapFunctions, AreWithinAFewUnitsInTheLastPlace) {
  for (IsaLevel level : available_levels()) {
    for (const Accuracy& f : kAccuracies) {
      const std::vector<float> x = arguments(f.exponent, f.positive), y = evaluate(f.fn, x, f.k, level);
      double worst = 0;
      float where = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        const double units = units_in_last_place(f.exact(static_cast<double>(x[i]), static_cast<double>(f.k)), y[i]);
        if (units > worst) worst = units, where = x[i];
      }
      EXPECT_LE(worst, f.units) << f.name << " at " << where << ", " << name_of(level);
    }
  }
}

struct Special {
  Fn fn;
  float k, x, y;
};

TEST(MapFunctions, AreRightAtSpecialValues) {
  const Special specials[] = {
      {Fn::kExp, 0, kInfinity, kInfinity},
      {Fn::kExp, 0, -kInfinity, 0},
      {Fn::kExp, 0, kNan, kNan},
      {Fn::kExp, 0, 0, 1},
      {Fn::kExp, 0, 1000, kInfinity},
      {Fn::kExp, 0, -1000, 0},
      {Fn::kExpm1, 0, kInfinity, kInfinity},
      {Fn::kExpm1, 0, -kInfinity, -1},
      {Fn::kExpm1, 0, kNan, kNan},
      {Fn::kLog, 0, 0, -kInfinity},
      {Fn::kLog, 0, -1, kNan},
      {Fn::kLog, 0, kInfinity, kInfinity},
      {Fn::kLog, 0, kNan, kNan},
      {Fn::kLog, 0, 1, 0},
      {Fn::kLog, 0, -kInfinity, kNan},
      {Fn::kSqrt, 0, -1, kNan},
      {Fn::kSqrt, 0, kInfinity, kInfinity},
      {Fn::kErf, 0, kInfinity, 1},
      {Fn::kErf, 0, -kInfinity, -1},
      {Fn::kErf, 0, kNan, kNan},
      {Fn::kErf, 0, 0, 0},
      {Fn::kTanh, 0, kInfinity, 1},
      {Fn::kTanh, 0, -kInfinity, -1},
      {Fn::kTanh, 0, kNan, kNan},
      {Fn::kTanh, 0, 0, 0},
      {Fn::kSigmoid, 0, kInfinity, 1},
      {Fn::kSigmoid, 0, -kInfinity, 0},
      {Fn::kSigmoid, 0, kNan, kNan},
      {Fn::kSigmoid, 0, 0, 0.5f},
      {Fn::kSoftplus, 0, kInfinity, kInfinity},
      {Fn::kSoftplus, 0, -kInfinity, 0},
      {Fn::kSoftplus, 0, kNan, kNan},
      {Fn::kSign, 0, 0, 0},
      {Fn::kSign, 0, -kInfinity, -1},
      {Fn::kSign, 0, 3, 1},
      {Fn::kSign, 0, kNan, kNan},
      {Fn::kRelu, 0, kNan, kNan},
      {Fn::kRelu, 0, -kInfinity, 0},
      {Fn::kRelu, 0, kInfinity, kInfinity},
      {Fn::kRelu, 0.5f, kNan, kNan},
      {Fn::kRelu, 0.5f, -2, -1},
      {Fn::kRelu, 0.5f, 2, 2},
      {Fn::kAbs, 0, -kInfinity, kInfinity},
      {Fn::kAbs, 0, kNan, kNan},
      {Fn::kNegate, 0, kNan, kNan},
      {Fn::kPowerConstant, 3, -2, -8},
      {Fn::kPowerConstant, 4, -2, 16},
      {Fn::kPowerConstant, 5, -2, -32},
      {Fn::kPowerConstant, 6, -2, 64},
      {Fn::kPowerConstant, -3, -2, -0.125f},
      {Fn::kPowerConstant, 0.3f, -2, kNan},
      {Fn::kPowerConstant, 0, kNan, 1},
      {Fn::kPowerConstant, 2, kNan, kNan},
      {Fn::kPowerConstant, 0.3f, 0, 0},
      {Fn::kPowerConstant, -0.5f, 0, kInfinity},
      {Fn::kPowerConstant, 0.5f, -kInfinity, kInfinity},
      {Fn::kPowerConstant, 0.5f, -1, kNan},
      {Fn::kPowerConstant, -0.75f, kInfinity, 0},
      {Fn::kPowerConstant, 1.5f, kInfinity, kInfinity},
      {Fn::kPowerConstant, -1.5f, kNan, kNan},
      {Fn::kPowerConstant, -1, 0, kInfinity},
      {Fn::kPowerConstant, 7, 1, 1},
  };
  for (IsaLevel level : available_levels()) {
    for (const Special& s : specials) {
      for (size_t n : {1u, 40u}) {  // a partial register, and full registers
        for (float y : evaluate(s.fn, std::vector<float>(n, s.x), s.k, level)) {
          const bool same = std::isnan(s.y) ? std::isnan(y) : y == s.y;
          ASSERT_TRUE(same) << trainer::name_of(s.fn) << " k " << s.k << " of " << s.x << ": expected " << s.y
                            << ", got " << y << ", " << name_of(level);
        }
      }
    }
  }
}

// All functions of ops/functions.def for all triples of a few numbers.
TEST(MapFunctions, AgreeWithTheReference) {
  const std::vector<float> numbers = {-kInfinity, -2.5f, -1, -0.25f, 0, 0.5f, 1, 3, kInfinity, kNan};
  std::vector<float> x, y, z;
  for (float a : numbers) {
    for (float b : numbers) {
      for (float c : numbers) x.push_back(a), y.push_back(b), z.push_back(c);
    }
  }
  const Shape shape{static_cast<int64_t>(x.size())};
  MapCase c(shape);
  const int a = c.input(shape), b = c.input(shape), d = c.input(shape);
  const Fn functions[] = {
#define TRAINER_FUNCTION(name, ...) Fn::k##name,
#include "ops/functions.def"
  };
  for (Fn fn : functions) {
    const int arity = arity_of(fn);
    for (float k : {-0.5f, 0.0f, 2.0f}) c.store(c.node(fn, a, arity > 1 ? b : -1, arity > 2 ? d : -1, k));
  }
  const std::vector<TestTensor> operands = {TestTensor(x), TestTensor(y), TestTensor(z)};
  const auto expected = run_map(*create_map_reference(c.instance()), c, operands);
  for (IsaLevel level : available_levels()) {
    const auto got = run_map(*create_map_tiles(c.instance(), table_of(level), 1), c, operands);
    for (size_t o = 0; o < expected.size(); ++o) {
      const MapNode& node = c.body().nodes[static_cast<size_t>(c.body().outputs[o].node)];
      for (int64_t i = 0; i < expected[o].count(); ++i) {
        const float e = expected[o][i], g = got[o][i];
        const bool same = std::isnan(e) ? std::isnan(g) : e == g || std::fabs(e - g) <= 1e-6f * std::fabs(e);
        const size_t at = static_cast<size_t>(i);
        ASSERT_TRUE(same) << trainer::name_of(node.fn) << " k " << node.k << " of " << x[at] << ", " << y[at] << ", "
                          << z[at] << ": expected " << e << ", got " << g << ", " << name_of(level);
      }
    }
  }
}

// Minimum and maximum propagate NaN from either argument; comparisons with NaN are false.
TEST(MapFunctions, PassOnNanOfEitherArgument) {
  const std::vector<float> a = {1, kNan, 1, kNan, -kInfinity, 3}, b = {kNan, 1, 2, kNan, kInfinity, 3};
  const Shape shape{6};
  MapCase c(shape);
  const int x = c.input(shape), y = c.input(shape);
  for (Fn fn : {Fn::kMinimum, Fn::kMaximum, Fn::kGreater, Fn::kGreaterEqual, Fn::kEqual}) c.store(c.node(fn, x, y));
  c.store(c.node(Fn::kSelect, x, c.constant(1), c.constant(2)));
  c.reduce(x, Reduction::kMax, {0});
  const std::vector<std::vector<float>> expected = {{kNan, kNan, 1, kNan, -kInfinity, 3},
                                                    {kNan, kNan, 2, kNan, kInfinity, 3},
                                                    {0, 0, 0, 0, 0, 0},
                                                    {0, 0, 0, 0, 0, 1},
                                                    {0, 0, 0, 0, 0, 1},
                                                    {1, 1, 1, 1, 1, 1},
                                                    {kNan}};
  auto check = [&](Kernel& kernel, const std::string& name) {
    const auto got = run_map(kernel, c, {TestTensor(a), TestTensor(b)});
    for (size_t o = 0; o < expected.size(); ++o) {
      for (size_t i = 0; i < expected[o].size(); ++i) {
        const float e = expected[o][i], g = got[o][static_cast<int64_t>(i)];
        EXPECT_TRUE(std::isnan(e) ? std::isnan(g) : e == g) << name << " output " << o << " element " << i << ": " << g;
      }
    }
  };
  check(*create_map_reference(c.instance()), "reference");
  for (IsaLevel level : available_levels()) check(*create_map_tiles(c.instance(), table_of(level), 1), name_of(level));
}

}  // namespace
}  // namespace trainer::cpu
