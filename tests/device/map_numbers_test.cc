// Maps against independent numbers: published test vectors of Philox, and sums, statistics and random numbers computed
// in double. Also the guarantees of maps about memory, order and threads.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>

#include "device/map_case.h"

namespace trainer::cpu {
namespace {

// Calls `check` for the reference, and for the tile interpreter with every instruction set and one and two threads.
void with_every_kernel(const MapCase& c, const std::function<void(Kernel&, const std::string&)>& check) {
  check(*create_map_reference(c.instance()), "reference");
  for (IsaLevel level : available_levels()) {
    for (int threads : {1, 2}) {
      check(*create_map_tiles(c.instance(), table_of(level), threads),
            std::string(name_of(level)) + " threads " + std::to_string(threads));
    }
  }
}

void expect_results(const MapCase& c, const std::vector<std::vector<float>>& operands,
                    const std::vector<std::vector<float>>& expected, const std::vector<int>& alias = {}) {
  std::vector<TestTensor> tensors;
  for (const auto& operand : operands) tensors.emplace_back(operand);
  with_every_kernel(c, [&](Kernel& kernel, const std::string& name) {
    const auto got = run_map(kernel, c, tensors, alias);
    ASSERT_EQ(got.size(), expected.size());
    for (size_t o = 0; o < got.size(); ++o) {
      ASSERT_EQ(static_cast<size_t>(got[o].count()), expected[o].size());
      for (size_t i = 0; i < expected[o].size(); ++i) {
        const float e = expected[o][i], g = got[o][static_cast<int64_t>(i)];
        EXPECT_TRUE(g == e || std::fabs(g - e) <= 2e-6f * (1 + std::fabs(e)))
            << name << " output " << o << " element " << i << ": expected " << e << ", got " << g;
      }
    }
  });
}

// Known answers of the Random123 distribution (philox4x32-10).
TEST(Philox, GivesThePublishedVectors) {
  EXPECT_EQ(philox(0, 0, 0), (PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const uint64_t ones = ~uint64_t{0};
  EXPECT_EQ(philox(ones, ones, ones), (PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  // Words of the counter 243f6a88 85a308d3 13198a2e 03707344 and of the key a4093822 299f31d0.
  EXPECT_EQ(philox(0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88),
            (PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(MapNumbers, DrawsFollowThePublishedVectors) {
  MapCase c(Shape{2, 2});
  c.body().keys = {0};
  c.store(c.node(Fn::kUniform, 0));
  c.store(c.node(Fn::kNormal, 0));
  expect_results(c, {},
                 {{0.3990464508533478f, 0.880520224571228f, 0.7357127666473389f, 0.6054818630218506f},
                  {0.9911376885794814f, -0.9246626323456453f, -0.6176090054732697f, -0.4820684947267463f}});
}

// Random numbers depend on the logical index, not on the order in memory.
TEST(MapNumbers, DrawsDoNotDependOnThePhysicalOrder) {
  for (const Shape& shape : {Shape{3, 19, 5, 7}, Shape{2, 37, 3, 12}, Shape{2, 300, 2, 6}}) {
    for (Fn fn : {Fn::kUniform, Fn::kNormal}) {
      MapCase c(shape);
      c.body().keys = {0x123456789abcdef};
      c.store(c.node(fn, 0), MemoryFormat::kChannelsLast);
      with_every_kernel(c, [&](Kernel& kernel, const std::string& name) {
        const auto got = run_map(kernel, c, {}, {}, 77);
        int64_t at = 0;  // in memory
        for (int64_t n = 0; n < shape[0]; ++n) {
          for (int64_t pixel = 0; pixel < shape.count(2); ++pixel) {
            for (int64_t channel = 0; channel < shape[1]; ++channel, ++at) {
              const uint64_t element = static_cast<uint64_t>((n * shape[1] + channel) * shape.count(2) + pixel);
              const uint64_t key = c.body().keys[0];
              const bool uniform = fn == Fn::kUniform;
              const float expected =
                  uniform ? uniform_from_bits(philox_element(key, 77, element)) : philox_normal(key, 77, element);
              ASSERT_NEAR(got[0][at], expected, uniform ? 0 : 4e-6f) << name << " element " << element;
            }
          }
        }
      });
    }
  }
}

// Mean and variance per channel, and x normalized by them.
TEST(MapNumbers, BatchStatistics) {
  const std::vector<float> x = {1, 2, 4, -1, 0.5f, 3, 0, -2, 1, 2, 2, -4};
  const Shape shape{2, 2, 1, 3}, channels{1, 2, 1, 1};
  MapCase sums(shape);
  const int in = sums.input(shape), mean = sums.input(channels);
  const int centered = sums.node(Fn::kSubtract, in, mean);
  sums.reduce(in, Reduction::kSum, {0, 2, 3});
  sums.reduce(sums.node(Fn::kMultiply, centered, centered), Reduction::kSum, {0, 2, 3});
  sums.reduce(in, Reduction::kMax, {0, 2, 3});
  expect_results(sums, {x, {1, 0.4166666666666667f}}, {{6, 2.5f}, {20, 6 * 5.534722222222222f}, {4, 3}});

  MapCase normal(shape);
  const int y = normal.input(shape), m = normal.input(channels), v = normal.input(channels);
  const int deviation = normal.node(Fn::kSqrt, normal.node(Fn::kAdd, v, normal.constant(1e-5f)));
  normal.store(normal.node(Fn::kDivide, normal.node(Fn::kSubtract, y, m), deviation));
  expect_results(
      normal, {x, {1, 0.4166666666666667f}, {3.3333333333333335f, 5.534722222222222f}},
      {{0, 0.5477217359231784f, 1.6431652077695351f, -0.6021703509363974f, 0.03542178534919983f, 1.0980753458251953f,
        -0.5477217359231784f, -1.6431652077695351f, 0, 0.673013921634797f, 0.673013921634797f, -1.8773546235075917f}});
}

TEST(MapNumbers, SoftmaxPieces) {
  MapCase c(Shape{2, 3});
  const int x = c.input(Shape{2, 3}), most = c.input(Shape{2, 1});
  const int e = c.node(Fn::kExp, c.node(Fn::kSubtract, x, most));
  c.store(e);
  c.reduce(e, Reduction::kSum, {1});
  c.reduce(x, Reduction::kMax, {1});
  expect_results(c, {{1, 2, 3, -1, 0, 5}, {3, 5}},
                 {{0.1353352832366127f, 0.36787944117144233f, 1, 0.0024787521766663585f, 0.006737946999085467f, 1},
                  {1.5032147244080551f, 1.0092166991757519f},
                  {3, 5}});
}

TEST(MapNumbers, CoordinatesAndSegmentsAreLogical) {
  MapCase c(Shape{1, 2, 1, 3});
  c.body().segments = {{{1, 4, 6}, {0.5f, 7, -1}}};
  c.store(c.node(Fn::kIndex, 1), MemoryFormat::kChannelsLast);
  c.store(c.node(Fn::kIndex, 3), MemoryFormat::kChannelsLast);
  c.store(c.node(Fn::kSegment, 0), MemoryFormat::kChannelsLast);
  expect_results(c, {}, {{0, 1, 0, 1, 0, 1}, {0, 0, 1, 1, 2, 2}, {0.5f, 7, 7, -1, 7, -1}});
}

TEST(MapNumbers, ScalarsAndEmptyDomains) {
  MapCase scalar((Shape()));
  const int x = scalar.input(Shape());
  scalar.store(scalar.node(Fn::kAdd, x, scalar.constant(2)));
  expect_results(scalar, {{3}}, {{5}});

  MapCase empty(Shape{0, 4});
  const int y = empty.input(Shape{0, 4});
  empty.reduce(y, Reduction::kSum, {0});
  empty.reduce(y, Reduction::kMax, {0, 1});
  expect_results(empty, {{}}, {{0, 0, 0, 0}, {-INFINITY}});
}

// 0.1f is 0.100000001490116. A sum of ten million elements in f32 would have an error of a tenth.
TEST(MapNumbers, LongSumsKeepTheirDigits) {
  const int64_t n = 10000000;
  for (const Shape& shape : {Shape{n}, Shape{n / 20, 20}, Shape{n / 1000, 1000}}) {
    MapCase c(shape);
    const int x = c.input(shape);
    c.reduce(x, Reduction::kSum, shape.rank() == 1 ? std::vector<int>{0} : std::vector<int>{0, 1});
    c.reduce(c.node(Fn::kMultiply, x, x), Reduction::kSum, {0});
    const std::vector<TestTensor> operands = {TestTensor(std::vector<float>(static_cast<size_t>(n), 0.1f))};
    for (int threads : {1, 2}) {
      const auto kernel = create_map_tiles(c.instance(), table_of(isa_level()), threads);
      const auto got = run_map(*kernel, c, operands, {-1, -1});
      EXPECT_NEAR(got[0][0], 0.100000001490116 * static_cast<double>(n), 1);
      const int64_t columns = shape.rank() == 1 ? 1 : shape[1];
      const double rows = static_cast<double>(n) / static_cast<double>(columns);
      for (int64_t i = 0; i < got[1].count(); ++i)
        EXPECT_NEAR(got[1][i], 0.0100000002980232 * rows, 1e-6 * 0.01 * rows);
    }
  }
}

// Results overwrite operands, also if a later result reads an operand that an earlier one overwrites.
TEST(MapNumbers, ResultsMayLieInPlaceOfOperands) {
  const Shape shape{3000};
  std::vector<float> x(3000), y(3000), sum(3000), relu(3000), difference(3000);
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = static_cast<float>(i % 7) - 3;
    y[i] = static_cast<float>(i % 11);
    sum[i] = x[i] + y[i];
    relu[i] = std::max(x[i], 0.0f);
    difference[i] = x[i] - y[i];
  }
  MapCase c(shape);
  const int a = c.input(shape), b = c.input(shape);
  c.store(c.node(Fn::kRelu, a));
  c.store(c.node(Fn::kAdd, a, b));
  expect_results(c, {x, y}, {relu, sum}, {0, 1});
  expect_results(c, {x, y}, {relu, sum}, {1, 0});

  MapCase swap(shape);
  const int p = swap.input(shape), q = swap.input(shape);
  swap.store(q);
  swap.store(p);
  swap.reduce(p, Reduction::kMax, {0});
  expect_results(swap, {x, y}, {y, x, {3}}, {0, 1, -1});

  MapCase reduced(shape);
  const int r = reduced.input(shape), s = reduced.input(shape);
  reduced.store(reduced.node(Fn::kSubtract, r, s));
  reduced.reduce(r, Reduction::kMax, {0});
  expect_results(reduced, {x, y}, {difference, {3}}, {0, -1});
}

TEST(MapNumbers, TheSameThreadsGiveTheSameBits) {
  const Shape shape{8, 30, 25, 25};
  MapCase c(shape);
  const int x = c.input(shape, MemoryFormat::kChannelsLast);
  c.reduce(c.node(Fn::kExp, x), Reduction::kSum, {0, 2, 3});
  c.reduce(c.node(Fn::kTanh, x), Reduction::kSum, {0, 1, 2, 3});
  const std::vector<TestTensor> operands = {random_tensor(c.inputs[0], 5)};
  for (int threads : {1, 2, 5}) {
    const auto kernel = create_map_tiles(c.instance(), table_of(isa_level()), threads);
    const auto first = run_map(*kernel, c, operands);
    for (int repeat = 0; repeat < 5; ++repeat) {
      const auto again = run_map(*kernel, c, operands);
      for (size_t o = 0; o < first.size(); ++o) EXPECT_EQ(first[o].floats(), again[o].floats());
    }
  }
}

TEST(MapNumbers, TilesRefuseOtherTypes) {
  MapCase c(Shape{4});
  c.store(c.input(Shape{4}, MemoryFormat::kRowMajor, DType::kF16));
  EXPECT_NE(refuse_map_tiles(c.instance()).find("f16"), std::string::npos);
}

}  // namespace
}  // namespace trainer::cpu
