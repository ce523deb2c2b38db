// `map`: a pointwise expression over broadcast operands with one or more outputs, any of which may be reduced.
//
// Bias, scale, activations, batch norm, softmax, dropout, losses, accuracy and the update rules of the solvers
// are all maps; so are their gradients. The body is a list of scalar nodes in SSA form, evaluated for every
// element of the domain.
//
//   domain    the logical shape that is iterated
//   operand   a value whose shape has the domain's rank with extent 1 where it is broadcast, or rank 0
//   output    a node, stored for every element (shape = domain), or reduced over a set of axes (shape = domain
//             with extent 1 at the reduced axes)
//
// Arithmetic is float; an operand of another dtype is converted as it is read. NaN goes through every node that
// reads it (kMaximum, kMinimum and kRelu included) except comparisons, which are false.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ops/fn.h"
#include "tensor/shape.h"

namespace trainer {

// Columns of functions.def, and the same for leaves.
enum class Range : uint8_t { kPlain, kWide };
struct FnInfo {
  const char* text;
  int arity;  // arguments besides k
  int cost;
  Range range = Range::kPlain;
  std::string_view function = "", arguments = "";
};
FnInfo info_of(Fn fn);
inline int arity_of(Fn fn) { return info_of(fn).arity; }
inline const char* name_of(Fn fn) { return info_of(fn).text; }

struct MapNode {
  Fn fn;
  int a = -1, b = -1, c = -1;  // earlier nodes; for leaves, a is an operand, axis, segment table or key
  float k = 0;

  // The value of a function; b and c are ignored where it does not take them.
  float apply(float a, float b, float c) const;

  bool operator==(const MapNode& other) const {
    return fn == other.fn && a == other.a && b == other.b && c == other.c && k == other.k;
  }
};

enum class Reduction : uint8_t { kNone, kSum, kMax };

struct MapOutput {
  int node = 0;
  Reduction reduction = Reduction::kNone;
  std::vector<int> axes;  // reduced logical axes, ascending; empty where reduction is kNone

  bool operator==(const MapOutput& other) const {
    return node == other.node && reduction == other.reduction && axes == other.axes;
  }
};

// A piecewise constant function of the flat index: values[i] up to (excluding) ends[i].
struct SegmentTable {
  std::vector<int64_t> ends;  // ascending; the last is the domain's count
  std::vector<float> values;

  bool operator==(const SegmentTable& other) const { return ends == other.ends && values == other.values; }
};

struct MapBody {
  Shape domain;
  std::vector<MapNode> nodes;
  std::vector<MapOutput> outputs;
  std::vector<uint64_t> keys;
  std::vector<SegmentTable> segments;

  bool operator==(const MapBody& other) const {
    return domain == other.domain && nodes == other.nodes && outputs == other.outputs && keys == other.keys &&
           segments == other.segments;
  }
  bool reduces() const;
  Shape output_shape(size_t output) const;
  // Arithmetic nodes an element takes: the cost model's operations.
  int arithmetic_nodes() const;
  // One node: the operand itself, or fn of two operands.
  static MapBody copy(const Shape& domain);
  static MapBody binary(const Shape& domain, Fn fn);
  // "y = relu(in0 + in1); sum[0,2,3] in1 * y": for `summary --plan` and tests.
  std::string text() const;
};

}  // namespace trainer
