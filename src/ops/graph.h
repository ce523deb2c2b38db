// The graph of primitive operations that a net is lowered to: SSA values, about twenty kinds of op, states.
//
// A value is produced once. Meaning is logical: shapes and axes are Caffe's; the physical order of a value is an
// attribute that the compiler assigns. Ops carry no device code: devices implement what is declared here.
// Operands and results of each kind (shapes in brackets, S... are spatial extents):
//
//   kSource                       -> [any]              filled from outside before the pass
//   kStateRead                    -> [state]            the state as it was at the start of the pass
//   kMap                          see ops/map.h
//   kConvolution                  x [N,C,S...], w [O,C/group,K...], bias [O] (optional) -> y [N,O,T...]
//   kConvolutionInputGradient     g [N,O,T...], w, bias [C] (optional)  -> [N,C,S...]  also Deconvolution
//   kConvolutionWeightGradient    x [N,C,S...], g [N,O,T...]            -> [O,C/group,K...]
//   kMatmul                       a [M,K], b [K,N], bias [N] (optional) -> [M,N]       stored transposed by attribute;
//                                 a [B,M,K], b [B,K,N] -> [B,M,N]: B products, without bias
//   kMaxPool                      x [N,C,S...] -> y [N,C,T...], winner [N,C,T...] u8 or s32: the row-major offset
//                                 within the window of its first maximum, kNoWinner of the dtype where none
//   kMaxPoolGradient              g [N,C,T...], winner -> [N,C,S...]
//   kSumPool, kSumPoolGradient    x [N,C,S...] -> [N,C,T...] sums over the window clipped to the input; transpose
//   kLrn                          x [N,C,S...] -> y = x * (k + alpha/n * sum of x^2 over n channels)^-beta
//   kLrnGradient                  x, g -> gradient of x
//   kRecurrence                   p [T,N,GH], w [GH,H], cont [T,N], h_0 [N,H], of an LSTM c_0 [N,H] -> h [T,N,H], of an
//   LSTM
//                                 c [T,N,H] and gates [T,N,4H]. With s_t = p_t + cont_t * h_{t-1} * w^T:
//                                 kTanh (G 1): h = tanh(s); kLstm (G 4): gates i, f, o = sigmoid(s), f times cont, g =
//                                 tanh(s); c_t = f * c_{t-1} + i * g, h = o * tanh(c). As in Caffe, h_0, c_0 and cont
//                                 take no gradient, and where cont is neither 0 nor 1 that of f is by f * (1 - f), cont
//                                 included
//   kRecurrenceGradient           kTanh: g [T,N,H], w, cont, h -> gradient of p; kLstm: g, w, cont, c_0, c, gates ->
//   the same kReshape                      x -> the same elements in logical row-major sequence kPermute x -> logical
//   axes reordered: result axis i is x's axis axes[i] kSlice, kPad                  x -> [begin, end) of one axis; and
//   its transpose: zeros around x kConcat                       x... -> joined along an axis kReorder x -> the same
//   value in another physical order (placed by the compiler only) kOpaque                       an irregular op that
//   brings its own rules (ops/opaque.h)
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

// Which stretch of an iteration an op belongs to; `time` reports by it.
enum class Pass : uint8_t { kForward, kBackward, kUpdate };

// Applied to the result of a convolution or matmul before it is stored: relu(x) with this slope.
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
  bool transpose_a = false, transpose_b = false;  // a is stored [.. K,M]; b is stored [.. N,K]
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
// kSlice: the range taken. kPad: where x lies in the result, whose extent is `extent`.
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
struct NoAttributes {};  // kReshape, kReorder: all is in the result's shape and order

using Attributes = std::variant<NoAttributes, IndexAttributes, MapBody, ConvolutionAttributes, MatmulAttributes,
                                PoolAttributes, LrnAttributes, RecurrenceAttributes, PermuteAttributes, SliceAttributes,
                                ConcatAttributes, OpaqueAttributes>;

// Part of an op's cost that a layer answers for: fused ops have several.
struct LayerShare {
  int layer = -1;  // index in the net; -1 for what belongs to none
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

// Gradients of `inputs` from the gradient of the value that carries the rule; an empty Value means none.
struct CustomGradient {
  std::vector<Value> inputs;
  std::function<std::vector<Value>(Value gradient)> rule;
};

struct ValueInfo {
  TensorDesc desc;
  int producer = -1;  // op
  std::string name;   // the blob it is, where it is one
  bool stop_gradient = false;
  std::shared_ptr<CustomGradient> custom_gradient;
};

enum class StateOwner : uint8_t { kModel, kNet, kSolver };

// Memory that outlives a pass. `name` identifies it across programs ("conv1/0"). Writes happen, in order, at
// the end of the pass.
struct StateInfo {
  std::string name;
  Shape shape;
  StateOwner owner = StateOwner::kModel;
};
struct StateWrite {
  int state;
  int value;
};

// A value that comes from outside: a top of a data or input layer, or a scalar the loop sets.
struct SourceInfo {
  std::string name;
  int value = -1;
  int layer = -1;
  int top = -1;
  // How the batches lie where that is settled; else the compiler chooses.
  std::optional<MemoryFormat> order = std::nullopt;
};

class Graph {
 public:
  Graph() = default;
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  Graph(Graph&&) = delete;

  // Appends an op whose results have these shapes; returns its results. The op is attributed to the current
  // layer and pass.
  std::vector<Value> add(OpKind kind, Attributes attributes, const std::vector<Value>& inputs,
                         const std::vector<TensorDesc>& results);
  Value add_one(OpKind kind, Attributes attributes, const std::vector<Value>& inputs, const Shape& shape);

  Value add_source(const std::string& name, const Shape& shape, int top = -1);
  // Reading the same state twice gives the same value.
  Value read_state(const StateInfo& state);
  void write_state(const std::string& name, Value value);

  // Ops added from here on belong to this layer and pass.
  void set_context(int layer, Pass pass) { layer_ = layer, pass_ = pass; }
  int context_layer() const { return layer_; }
  Pass context_pass() const { return pass_; }

  Value value(int id) { return Value(this, id); }
  // The op that makes a value.
  const Op& producer(int value) const { return ops[static_cast<size_t>(values[static_cast<size_t>(value)].producer)]; }
  const TensorDesc& desc(int value) const { return values[static_cast<size_t>(value)].desc; }

  // Deques: references to ops and values stay good while more are added.
  std::deque<Op> ops;  // in an order in which they can run
  std::deque<ValueInfo> values;
  std::vector<StateInfo> states;
  std::vector<StateWrite> writes;
  std::vector<SourceInfo> sources;

 private:
  int layer_ = -1;
  Pass pass_ = Pass::kForward;
};

// Which physical orders an op can take for its operands and results of rank >= 3.
enum class OrderRule : uint8_t {
  kRowMajor,      // all of them row-major: what a reshape or an opaque op needs
  kChannelsLast,  // channels-last preferred: convolution, pooling, lrn
  kUniform,       // any, the same for all that have the domain's extents: maps, concat, slice
};
OrderRule order_rule(const Op& op);

constexpr int kNoWinnerU8 = 255;
constexpr int kNoWinnerS32 = -1;

}  // namespace trainer
