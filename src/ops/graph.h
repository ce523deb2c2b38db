// The graph of primitive operations that a net is lowered to: SSA values, about twenty kinds of op, and states.
//
// Each value has one producer. Shapes and axes are logical, as in Caffe; the physical order of a value is an attribute
// that the compiler assigns. Ops hold no device code; devices implement the kinds declared here. The operands and
// results of each kind (shapes in brackets; S..., T... and K... are spatial extents):
//
//   kSource                       -> [any]: the caller fills it before the pass
//   kStateRead                    -> [state]: the state at the start of the pass
//   kMap                          see ops/map.h
//   kConvolution                  x [N,C,S...], w [O,C/group,K...], bias [O] (optional) -> y [N,O,T...]
//   kConvolutionInputGradient     g [N,O,T...], w, bias [C] (optional) -> [N,C,S...]; also computes Deconvolution
//   kConvolutionWeightGradient    x [N,C,S...], g [N,O,T...] -> [O,C/group,K...]
//   kMatmul                       a [M,K], b [K,N], bias [N] (optional) -> [M,N]; attributes say if a or b is stored
//                                 transposed. a [B,M,K], b [B,K,N] -> [B,M,N]: B products, without bias
//   kMaxPool                      x [N,C,S...] -> y [N,C,T...], winner [N,C,T...] u8 or s32: the row-major offset of
//                                 the first maximum in its window; kNoWinnerU8 or kNoWinnerS32 if there is none
//   kMaxPoolGradient              g [N,C,T...], winner -> [N,C,S...]
//   kSumPool                      x [N,C,S...] -> [N,C,T...]: sums over each window, clipped to the input
//   kSumPoolGradient              g [N,C,T...] -> [N,C,S...]: the transpose
//   kLrn                          x [N,C,S...] -> y = x * (k + alpha/n * sum of x^2 over n channels)^-beta
//   kLrnGradient                  x, g -> gradient of x
//   kRecurrence                   p [T,N,G*H], w [G*H,H], cont [T,N], h_0 [N,H] -> h [T,N,H]; kLstm also takes
//                                 c_0 [N,H] and returns c [T,N,H] and gates [T,N,4H].
//                                 With s_t = p_t + cont_t * h_{t-1} * w^T:
//                                   kTanh (G = 1): h_t = tanh(s_t)
//                                   kLstm (G = 4): i, o = sigmoid(s), f = cont * sigmoid(s), g = tanh(s) of the four
//                                   blocks of s_t; c_t = f * c_{t-1} + i * g; h_t = o * tanh(c_t)
//                                 As in Caffe, h_0, c_0 and cont take no gradient, and the derivative of f with respect
//                                 to its sum is f * (1 - f), also for cont other than 0 and 1
//   kRecurrenceGradient           kTanh: g [T,N,H], w, cont, h -> gradient of p
//                                 kLstm: g [T,N,H], w, cont, c_0, c, gates -> gradient of p
//   kReshape                      x -> the same elements in logical row-major sequence
//   kPermute                      x -> logical axes reordered: axis i of the result is axis axes[i] of x
//   kSlice                        x -> the range [begin, end) of one axis, whole or in consecutive parts
//   kPad                          x -> the transpose of kSlice: zeros around x. pad_channels adds pads and slices that
//                                 also change the float type and the order
//   kConcat                       x... -> joined along an axis
//   kReorder                      x -> the same value in another physical order, float type or both; only the compiler
//                                 inserts it, with another type only for devices that pack filters
//   kOpaque                       an irregular op with its own rules (ops/opaque.h)
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "ops/map.h"
#include "tensor/shape.h"

namespace trainer {

enum class OpKind : uint8_t {
  kSource,
  kStateRead,
  kMap,
  kConvolution,
  kConvolutionInputGradient,
  kConvolutionWeightGradient,
  kMatmul,
  kMaxPool,
  kMaxPoolGradient,
  kSumPool,
  kSumPoolGradient,
  kLrn,
  kLrnGradient,
  kRecurrence,
  kRecurrenceGradient,
  kReshape,
  kPermute,
  kSlice,
  kPad,
  kConcat,
  kReorder,
  kOpaque,
};
constexpr int kOpKinds = static_cast<int>(OpKind::kOpaque) + 1;
const char* name_of(OpKind kind);

// The part of an iteration that an op belongs to; `trainer time` reports each part.
enum class Pass : uint8_t { kForward, kBackward, kUpdate };

// Applied to the result of a convolution or matmul before it is stored: a relu with this slope, or nothing.
struct Epilogue {
  bool relu = false;
  float slope = 0;
};

// One entry per spatial axis.
struct ConvolutionAttributes {
  int64_t group = 1;
  std::vector<int64_t> stride, pad, dilation;
  Epilogue epilogue;
};
struct MatmulAttributes {
  bool transpose_a = false, transpose_b = false;  // a is stored as [..., K,M]; b is stored as [..., N,K]
  Epilogue epilogue;
};
// Window o covers [o * stride - pad, o * stride - pad + kernel) of the input, clipped to it.
struct PoolAttributes {
  std::vector<int64_t> kernel, stride, pad;
};
struct LrnAttributes {
  int64_t size = 5;
  float alpha = 1, beta = 0.75f, k = 1;
};
enum class Cell : uint8_t { kTanh, kLstm };
struct RecurrenceAttributes {
  Cell cell = Cell::kTanh;
};
struct PermuteAttributes {
  std::vector<int> axes;
};
// kSlice: the range of x, whose extent is `extent`; the results' extents divide it into parts. kPad: the range that x
// takes in the result, whose extent is `extent`.
struct SliceAttributes {
  int axis = 0;
  int64_t begin = 0, end = 0, extent = 0;
};
struct ConcatAttributes {
  int axis = 0;
};
struct IndexAttributes {  // kSource, kStateRead: position in Graph::sources or Graph::states
  int index = 0;
};
class OpaqueOp;
struct OpaqueAttributes {
  std::shared_ptr<const OpaqueOp> op;
};
struct NoAttributes {};  // kReshape, kReorder: the result's shape and order define the op

using Attributes = std::variant<NoAttributes, IndexAttributes, MapBody, ConvolutionAttributes, MatmulAttributes,
                                PoolAttributes, LrnAttributes, RecurrenceAttributes, PermuteAttributes, SliceAttributes,
                                ConcatAttributes, OpaqueAttributes>;

// The share of an op's cost that is attributed to a layer; fused ops have several.
struct LayerShare {
  int layer = -1;  // index in the net; -1: no layer
  Pass pass = Pass::kForward;
  double weight = 1;
};

struct Op {
  OpKind kind = OpKind::kSource;
  std::vector<int> inputs;   // value ids
  std::vector<int> outputs;  // value ids
  Attributes attributes;
  std::vector<LayerShare> shares;

  template <typename T>
  const T& as() const {
    return std::get<T>(attributes);
  }
  template <typename T>
  T& as() {
    return std::get<T>(attributes);
  }
  Pass pass() const { return shares.empty() ? Pass::kForward : shares.front().pass; }
};

class Graph;

// A handle to a value of a graph; cheap to copy. Arithmetic on handles is in ops/math.h.
class Value {
 public:
  Value() = default;
  Value(Graph* graph, int id) : graph_(graph), id_(id) {}
  explicit operator bool() const { return graph_ != nullptr; }
  Graph* graph() const { return graph_; }
  int id() const { return id_; }
  const Shape& shape() const;
  DType dtype() const;
  bool operator==(const Value& other) const { return graph_ == other.graph_ && id_ == other.id_; }

 private:
  Graph* graph_ = nullptr;
  int id_ = -1;
};

// Computes the gradients of `inputs` from the gradient of the value that carries the rule; an empty Value means none.
struct CustomGradient {
  std::vector<Value> inputs;
  std::function<std::vector<Value>(Value gradient)> rule;
};

struct ValueInfo {
  TensorDesc desc;
  int producer = -1;  // op
  std::string name;   // name of its blob; empty if it is none
  bool stop_gradient = false;
  std::shared_ptr<CustomGradient> custom_gradient;
};

enum class StateOwner : uint8_t { kModel, kNet, kSolver };

// Memory that outlives a pass. `name` identifies it across programs ("conv1/0"). Writes take effect in order at the end
// of the pass.
struct StateInfo {
  std::string name;
  Shape shape;
  StateOwner owner = StateOwner::kModel;
};
struct StateWrite {
  int state;
  int value;
};

// A value that the caller provides: a top of a data or input layer, or a scalar that the training loop sets.
struct SourceInfo {
  std::string name;
  int value = -1;
  int layer = -1;
  int top = -1;
  // The physical order of the batches, if it is fixed; otherwise the compiler chooses it.
  std::optional<MemoryFormat> order = std::nullopt;
};

class Graph {
 public:
  Graph() = default;
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  Graph(Graph&&) = delete;

  // Appends an op with results of these descriptors and returns the results. The op belongs to the current layer and
  // pass.
  std::vector<Value> add(OpKind kind, Attributes attributes, const std::vector<Value>& inputs,
                         const std::vector<TensorDesc>& results);
  Value add_one(OpKind kind, Attributes attributes, const std::vector<Value>& inputs, const Shape& shape);

  Value add_source(const std::string& name, const Shape& shape, int top = -1);
  // Returns the same value for every read of the same state.
  Value read_state(const StateInfo& state);
  void write_state(const std::string& name, Value value);

  // Ops added after this call belong to this layer and pass.
  void set_context(int layer, Pass pass) { layer_ = layer, pass_ = pass; }
  int context_layer() const { return layer_; }
  Pass context_pass() const { return pass_; }

  Value value(int id) { return Value(this, id); }
  // The op that produces a value.
  const Op& producer(int value) const { return ops[static_cast<size_t>(values[static_cast<size_t>(value)].producer)]; }
  const TensorDesc& desc(int value) const { return values[static_cast<size_t>(value)].desc; }

  // Deques: references to ops and values stay valid when more are added.
  std::deque<Op> ops;  // in topological order
  std::deque<ValueInfo> values;
  std::vector<StateInfo> states;
  std::vector<StateWrite> writes;
  std::vector<SourceInfo> sources;

 private:
  int layer_ = -1;
  Pass pass_ = Pass::kForward;
};

// The physical orders that an op accepts for its operands and results of rank >= 3.
enum class OrderRule : uint8_t {
  kRowMajor,      // all row-major: reshape, opaque ops
  kChannelsLast,  // channels-last preferred: convolution, pooling, lrn
  kUniform,       // any order, the same for all operands and results: maps, concat, slice
};
OrderRule order_rule(const Op& op);

constexpr int kNoWinnerU8 = 255;
constexpr int kNoWinnerS32 = -1;

}  // namespace trainer
