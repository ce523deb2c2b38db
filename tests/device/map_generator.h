// Random maps (bodies, shapes, orders, broadcasts, reductions), and the tolerance of their results.
#pragma once

#include <algorithm>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "device/map_case.h"

namespace trainer::cpu {

class MapRandom {
 public:
  explicit MapRandom(uint64_t seed) : key_(philox_key(seed, "map", "fuzz", "")) {}
  int64_t below(int64_t n) { return static_cast<int64_t>(philox_element(key_, 0, next_++) % static_cast<uint64_t>(n)); }
  bool chance(int64_t percent) { return below(100) < percent; }
  template <typename T>
  T pick(const std::vector<T>& from) {
    return from[static_cast<size_t>(below(static_cast<int64_t>(from.size())))];
  }

 private:
  uint64_t key_, next_ = 0;
};

// The range of a node's values: multiples of 2^-fraction, with magnitudes below 2^size. Arguments of discontinuous
// functions are only nodes that f32 computes without rounding.
struct NodeRange {
  int fraction, size;
  bool exact() const { return fraction + size <= 22; }
};
constexpr int kInexact = 40;

class MapGenerator {
 public:
  explicit MapGenerator(uint64_t seed) : random_(seed) {}

  MapCase make() {
    c_ = MapCase(random_domain());
    const int leaves = 1 + static_cast<int>(random_.below(4)), nodes = 1 + static_cast<int>(random_.below(9));
    order_ = random_.chance(50) ? MemoryFormat::kChannelsLast : MemoryFormat::kRowMajor;
    for (int i = 0; i < leaves; ++i) add_leaf();
    for (int i = 0; i < nodes; ++i) add_function();
    const int outputs = 1 + static_cast<int>(random_.below(3));
    for (int i = 0; i < outputs; ++i) add_output();
    return c_;
  }
  const std::vector<NodeRange>& ranges() const { return ranges_; }

 private:
  Shape random_domain() {
    const std::vector<int64_t> extents = {1, 2, 3, 5, 7, 15, 16, 17, 20, 33, 64, 100, 600, 1000, 1025, 2100};
    std::vector<int64_t> dims(static_cast<size_t>(random_.below(6)));
    const int64_t most = random_.chance(20) ? 20000 : 3000;
    int64_t count = 1;
    for (int64_t& dim : dims) {
      do dim = random_.pick(extents);
      while (count * dim > most);
      count *= dim;
    }
    for (size_t i = dims.size(); i > 1; --i)
      std::swap(dims[i - 1], dims[static_cast<size_t>(random_.below(static_cast<int64_t>(i)))]);
    return Shape(dims);
  }

  MemoryFormat random_order() {
    return random_.chance(90) ? order_ : random_.chance(50) ? MemoryFormat::kRowMajor : MemoryFormat::kChannelsLast;
  }
  int rank() const { return c_.body().domain.rank(); }

  Shape random_operand_shape() {
    const Shape& domain = c_.body().domain;
    if (random_.chance(8)) return Shape();
    Shape shape = domain;
    if (random_.chance(45)) return shape;
    for (int axis = 0; axis < rank(); ++axis) {
      if (random_.chance(60)) shape[axis] = 1;
    }
    return shape;
  }

  void add(int node, NodeRange range) {
    ASSERT_EQ(static_cast<size_t>(node), ranges_.size());
    ranges_.push_back(range);
  }

  void add_leaf() {
    const int64_t kind = random_.below(20);
    if (kind < 10) return add(c_.input(random_operand_shape(), random_order()), {2, 2});
    if (kind < 13) return add(c_.input(random_operand_shape(), random_order(), DType::kBF16), {2, 2});
    if (kind == 13) return add(c_.input(random_operand_shape(), random_order(), DType::kU8), {0, 3});
    if (kind == 14) return add(c_.input(random_operand_shape(), random_order(), DType::kS32), {0, 3});
    if (kind == 15) return add(c_.constant(0.75f), {2, 1});
    if (kind == 16 && rank() > 0) {
      const int axis = static_cast<int>(random_.below(rank()));
      return add(c_.node(Fn::kIndex, axis), {0, 12});
    }
    if (kind == 17) {
      SegmentTable table;
      const int64_t count = c_.body().domain.count();
      for (int64_t end = 0; end < count;) {
        end = std::min(count, end + 1 + random_.below(random_.chance(50) ? 40 : 3000));
        table.ends.push_back(end);
        table.values.push_back(0.25f * static_cast<float>(random_.below(9)));
      }
      c_.body().segments.push_back(table);
      return add(c_.node(Fn::kSegment, static_cast<int>(c_.body().segments.size()) - 1), {2, 2});
    }
    c_.body().keys.push_back(philox_key(static_cast<uint64_t>(kind), "net", "layer", "leaf"));
    const int key = static_cast<int>(c_.body().keys.size()) - 1;
    if (kind == 18) return add(c_.node(Fn::kNormal, key), {kInexact, 3});
    return add(c_.node(Fn::kUniform, key), {kInexact, 0});
  }

  int any() { return static_cast<int>(random_.below(static_cast<int64_t>(ranges_.size()))); }
  NodeRange range(int node) const { return ranges_[static_cast<size_t>(node)]; }

  void add_function() {
    const int a = any(), b = any(), d = any();
    const NodeRange ra = range(a), rb = range(b), rd = range(d);
    const bool exact = ra.exact() && rb.exact();
    const NodeRange joined{std::max(ra.fraction, rb.fraction), std::max(ra.size, rb.size)};
    switch (random_.below(exact ? 24 : 12)) {
      case 0:
      case 1:
      case 2: return add(c_.node(Fn::kAdd, a, b), {joined.fraction, joined.size + 1});
      case 3:
      case 4: return add(c_.node(Fn::kSubtract, a, b), {joined.fraction, joined.size + 1});
      case 5:
      case 6:
      case 7:
        if (ra.size + rb.size > 14) return add(c_.node(Fn::kTanh, a), {kInexact, 0});
        return add(c_.node(Fn::kMultiply, a, b), {ra.fraction + rb.fraction, ra.size + rb.size});
      case 8: return add(c_.node(Fn::kTanh, a), {kInexact, 0});
      case 9: return add(c_.node(Fn::kSigmoid, a), {kInexact, 0});
      case 10: return add(c_.node(Fn::kSoftplus, a), {kInexact, ra.size + 1});
      case 11: return add(c_.node(Fn::kNegate, a), ra);
      case 12: return add(c_.node(Fn::kAbs, a), ra);
      case 13: return add(c_.node(Fn::kSign, a), {0, 1});
      case 14: return add(c_.node(Fn::kFloor, a), {0, ra.size + 1});
      case 15: return add(c_.node(Fn::kRelu, a, -1, -1, random_.chance(50) ? 0.0f : 0.25f), {ra.fraction + 2, ra.size});
      case 16: return add(c_.node(Fn::kMinimum, a, b), joined);
      case 17: return add(c_.node(Fn::kMaximum, a, b), joined);
      case 18: return add(c_.node(random_.pick<Fn>({Fn::kGreater, Fn::kGreaterEqual, Fn::kEqual}), a, b), {0, 1});
      case 19: return add(c_.node(Fn::kReluGradient, a, b, -1, 0.5f), {rb.fraction + 1, rb.size});
      case 20:
        return add(c_.node(Fn::kSelect, a, b, d), {std::max(rb.fraction, rd.fraction), std::max(rb.size, rd.size)});
      case 21:
        if (ra.size > 4) return add(c_.node(Fn::kSigmoid, a), {kInexact, 0});
        return add(c_.node(Fn::kExp, a), {kInexact, ra.size <= 1 ? 3 : 6 * (ra.size - 1)});
      case 22: {
        const int positive = c_.node(Fn::kAbs, a);
        add(positive, ra);
        const int one = c_.constant(1);
        add(one, {0, 1});
        const int shifted = c_.node(Fn::kAdd, positive, one);
        add(shifted, {ra.fraction, ra.size + 1});
        const Fn fn = random_.pick<Fn>({Fn::kLog, Fn::kSqrt, Fn::kPowerConstant, Fn::kDivide});
        if (fn == Fn::kDivide) return add(c_.node(fn, b, shifted), {kInexact, rb.size});
        const float exponent = random_.pick<float>({0, 1, 0.5f, -0.5f, 0.75f, -0.75f, -1, 0.3f, -3});
        return add(c_.node(fn, shifted, -1, -1, exponent), {kInexact, ra.size + 1});
      }
      default:
        if (ra.size > 7) return add(c_.node(Fn::kNegate, a), ra);
        return add(c_.node(Fn::kPowerConstant, a, -1, -1, 2), {2 * ra.fraction, 2 * ra.size});
    }
  }

  void add_output() {
    const int node = static_cast<int>(ranges_.size()) - 1 -
                     static_cast<int>(random_.below(std::min<int64_t>(3, static_cast<int64_t>(ranges_.size()))));
    if (rank() == 0 || random_.chance(45))
      return c_.store(node, random_order(), random_.chance(25) ? DType::kBF16 : DType::kF32);
    std::vector<int> axes;
    for (int axis = 0; axis < rank(); ++axis) {
      if (random_.chance(55)) axes.push_back(axis);
    }
    if (axes.empty()) axes.push_back(static_cast<int>(random_.below(rank())));
    const bool max = range(node).exact() && random_.chance(40);
    c_.reduce(node, max ? Reduction::kMax : Reduction::kSum, axes, random_order());
  }

  MapRandom random_;
  MapCase c_;
  std::vector<NodeRange> ranges_;
  MemoryFormat order_ = MemoryFormat::kRowMajor;
};

inline double tolerance_of(const MapCase& c, size_t output, const NodeRange& range) {
  const MapOutput& out = c.body().outputs[output];
  double scale = std::ldexp(4e-6, std::min(range.size, 12));
  if (range.exact()) scale = std::ldexp(1e-7, std::min(range.size, 12));
  if (out.reduction == Reduction::kSum)
    scale *= static_cast<double>(c.body().domain.count()) /
             static_cast<double>(std::max<int64_t>(c.outputs[output].shape.count(), 1));
  return scale;
}

// `what`: the implementation, for messages.
inline void expect_close(const MapCase& c, const MapGenerator& generator, const std::vector<TestTensor>& expected,
                         const std::vector<TestTensor>& got, const std::string& what) {
  for (size_t o = 0; o < got.size(); ++o) {
    const NodeRange& range = generator.ranges()[static_cast<size_t>(c.body().outputs[o].node)];
    const double tolerance = tolerance_of(c, o, range);
    for (int64_t i = 0; i < got[o].count(); ++i) {
      const double difference = std::fabs(static_cast<double>(got[o][i]) - static_cast<double>(expected[o][i]));
      // A rounding to bf16 may go either way.
      const double relative = c.outputs[o].dtype == DType::kBF16 ? 0x1p-7 : 1e-5;
      ASSERT_TRUE(difference <= tolerance + relative * std::fabs(expected[o][i]))
          << what << " output " << o << " element " << i << " of " << c.outputs[o].shape.text() << " "
          << name_of(c.outputs[o].order) << ": expected " << expected[o][i] << ", got " << got[o][i] << "\n["
          << c.body().domain.text() << "] " << c.body().text();
    }
  }
}

}  // namespace trainer::cpu
