// Arithmetic on values, so that a layer's formula reads as mathematics. Each function adds primitive ops to the graph
// of its operands; the compiler fuses them. Operands broadcast: they have equal ranks, with extent 1 along broadcast
// axes, or rank 0. Shapes that do not match are a bug of the caller; layers check the shapes of their bottoms.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ops/graph.h"

namespace trainer {

// Pointwise.
Value operator+(Value a, Value b);
Value operator-(Value a, Value b);
Value operator*(Value a, Value b);
Value operator/(Value a, Value b);
Value operator-(Value a);
Value operator+(Value a, float b);
Value operator-(Value a, float b);
Value operator*(Value a, float b);
Value operator/(Value a, float b);
Value operator+(float a, Value b);
Value operator-(float a, Value b);
Value operator*(float a, Value b);
Value operator/(float a, Value b);
// The functions of functions.def, such as exp(a), maximum(a, b) and relu(a, k), k the slope.
#define TRAINER_FUNCTION(name, function, text, arguments, ...) Value function(TRAINER_PARAMETERS_##arguments(Value));
#include "ops/functions.def"
Value power(Value x, float exponent);
Value relu(Value x);
Value minimum(Value a, float b);
Value maximum(Value a, float b);
Value greater(Value a, float b);
Value greater_equal(Value a, float b);
Value equal(Value a, float b);

// Leaves over a domain.
Value constant(Graph& graph, const Shape& shape, float value);
Value index_along(Graph& graph, const Shape& shape, int axis);         // coordinates, as floats
Value random_uniform(Graph& graph, const Shape& shape, uint64_t key);  // in (0, 1], drawn in every pass
Value random_normal(Graph& graph, const Shape& shape, uint64_t key);
Value segments(Graph& graph, const SegmentTable& table);  // rank 1

// Reductions keep the rank: extent 1 at the reduced axes (ascending).
Value sum(Value x, const std::vector<int>& axes);
Value max(Value x, const std::vector<int>& axes);
std::vector<int> all_axes(const Shape& shape);
std::vector<int> axes_but(const Shape& shape, int kept);

// x broadcast to `shape`.
Value broadcast_to(Value x, const Shape& shape);

// Shape and routing.
Value reshape(Value x, const Shape& shape);
Value permute(Value x, const std::vector<int>& axes);
Value slice(Value x, int axis, int64_t begin, int64_t end);
// Consecutive parts: the first begins at `begin`, and each ends at one of `ends`.
std::vector<Value> slices(Value x, int axis, int64_t begin, const std::vector<int64_t>& ends);
Value pad(Value x, int axis, int64_t begin, int64_t extent);  // zeros around x
Value concat(const std::vector<Value>& parts, int axis);
// The same value under a separate id, with a separate gradient.
Value copy_of(Value x);
// A copy that passes no gradient to x.
Value stop_gradient(Value x);

// Structured ops; shapes as in ops/graph.h. An empty bias means none.
Value convolution(Value x, Value weights, Value bias, const ConvolutionAttributes& attributes);
Value convolution_input_gradient(Value gradient, Value weights, Value bias, const Shape& input,
                                 const ConvolutionAttributes& attributes);
Value convolution_weight_gradient(Value x, Value gradient, const Shape& weights,
                                  const ConvolutionAttributes& attributes);
Value matmul(Value a, Value b, Value bias, bool transpose_a, bool transpose_b);
struct MaxPoolResult {
  Value y, winner;
};
MaxPoolResult max_pool(Value x, const PoolAttributes& attributes, const std::vector<int64_t>& output_size);
Value max_pool_gradient(Value gradient, Value winner, const Shape& input, const PoolAttributes& attributes);
Value sum_pool(Value x, const PoolAttributes& attributes, const std::vector<int64_t>& output_size);
Value sum_pool_gradient(Value gradient, const Shape& input, const PoolAttributes& attributes);
Value lrn(Value x, const LrnAttributes& attributes);
Value lrn_gradient(Value x, Value gradient, const LrnAttributes& attributes);
struct RecurrenceResult {
  Value h, c;  // c: kLstm only
};
// c_0: kLstm only, otherwise empty.
RecurrenceResult recurrence(Value pre, Value weights, Value cont, Value h_0, Value c_0, Cell cell);
std::vector<Value> opaque(Graph& graph, std::shared_ptr<const OpaqueOp> op, const std::vector<Value>& inputs,
                          const std::vector<Shape>& results);

// `y` with a custom gradient: rule(g) returns the gradients of `inputs` from the gradient g of y (an empty Value:
// none). The ops between `inputs` and `y` are not differentiated.
Value with_gradient(Value y, const std::vector<Value>& inputs, std::function<std::vector<Value>(Value gradient)> rule);

// Extent of a convolution's output along one axis; 0 if the kernel does not fit.
int64_t convolved_extent(int64_t input, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation);

}  // namespace trainer
