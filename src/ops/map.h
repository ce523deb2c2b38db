// `map`: a pointwise expression over broadcast operands with one or more outputs, any of which may be reduced.
//
// Bias, scale, activations, batch norm, softmax, dropout, losses, accuracy, the update rules of the solvers and all
// their gradients are maps. The body is a list of scalar nodes in SSA form, evaluated for every element of the domain.
//
//   domain    the logical shape that is iterated
//   operand   a value of the domain's rank, with extent 1 along the axes on which it is broadcast, or of rank 0
//   output    a node, stored for every element (shape = domain), or reduced over a set of axes (shape = domain
//             with extent 1 at the reduced axes)
//
// Arithmetic is float; an operand of another dtype is converted as it is read. Every node that reads a NaN returns NaN
// (including kMaximum, kMinimum and kRelu), except comparisons, which return false.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ops/fn.h"
#include "tensor/shape.h"

namespace trainer {

// The columns of functions.def, for functions and leaves.
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
  int a = -1, b = -1, c = -1;  // earlier nodes; in leaves, a is the index of an operand, axis, segment table or key
  float k = 0;

  // The value of the function; ignores arguments that it does not take.
  float apply(float a, float b, float c) const;

  bool operator==(const MapNode& other) const {
    return fn == other.fn && a == other.a && b == other.b && c == other.c && k == other.k;
  }
};

enum class Reduction : uint8_t { kNone, kSum, kMax };

struct MapOutput {
  int node = 0;
  Reduction reduction = Reduction::kNone;
  std::vector<int> axes;  // reduced logical axes, ascending; empty for kNone

  bool operator==(const MapOutput& other) const {
    return node == other.node && reduction == other.reduction && axes == other.axes;
  }
};

// A piecewise constant function of the flat index: values[i] for indices from ends[i - 1] to ends[i] - 1.
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
  // Number of nodes that compute, without loads, constants and indices: the operations per element in the cost model.
  int arithmetic_nodes() const;
  // Bodies of a single function: the operand itself, or fn of two operands.
  static MapBody copy(const Shape& domain);
  static MapBody binary(const Shape& domain, Fn fn);
  // "y = relu(in0 + in1); sum[0,2,3] in1 * y": for `summary --plan` and tests.
  std::string text() const;
};

}  // namespace trainer
