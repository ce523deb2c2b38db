// ONNX operators that compute each element by itself.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "export/onnx_evaluator.h"

namespace trainer {
namespace {

Shape broadcast(const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  std::vector<int64_t> dims;
  for (int axis = 0; axis < rank; ++axis) {
    const int in_a = axis - (rank - a.rank()), in_b = axis - (rank - b.rank());
    const int64_t da = in_a < 0 ? 1 : a[in_a], db = in_b < 0 ? 1 : b[in_b];
    TRAINER_ASSERT(da == db || da == 1 || db == 1);
    dims.push_back(da == 1 ? db : da);
  }
  return Shape(dims);
}

// The index in an array of shape `from` for each element of `to`, with which it broadcasts.
class BroadcastIndex {
 public:
  BroadcastIndex(const Shape& from, const Shape& to) : to_(to) {
    int64_t stride = 1;
    steps_.assign(static_cast<size_t>(to.rank()), 0);
    for (int axis = to.rank() - 1, in = from.rank() - 1; in >= 0; --axis, --in) {
      if (from[in] > 1) steps_[static_cast<size_t>(axis)] = stride;
      stride *= from[in];
    }
  }
  size_t operator[](int64_t index) const {
    int64_t at = 0;
    for (int axis = to_.rank() - 1; axis >= 0; --axis) {
      at += index % to_[axis] * steps_[static_cast<size_t>(axis)];
      index /= to_[axis];
    }
    return static_cast<size_t>(at);
  }

 private:
  const Shape& to_;
  std::vector<int64_t> steps_;
};

template <typename Function>
std::vector<OnnxArray> unary(const OnnxCall& call, Function function) {
  OnnxArray y = OnnxArray::of_floats(call.input(0).shape);
  for (size_t i = 0; i < y.floats.size(); ++i)
    y.floats[i] = static_cast<float>(function(static_cast<double>(call.input(0).floats[i])));
  return {std::move(y)};
}

template <typename Function>
OnnxArray combine(const OnnxArray& a, const OnnxArray& b, Function function) {
  const Shape shape = broadcast(a.shape, b.shape);
  OnnxArray y = OnnxArray::of_floats(shape);
  const BroadcastIndex in_a(a.shape, shape), in_b(b.shape, shape);
  for (int64_t i = 0; i < shape.count(); ++i)
    y.floats[static_cast<size_t>(i)] =
        static_cast<float>(function(static_cast<double>(a.floats[in_a[i]]), static_cast<double>(b.floats[in_b[i]])));
  return y;
}

template <typename Function>
std::vector<OnnxArray> binary(const OnnxCall& call, Function function) {
  return {combine(call.input(0), call.input(1), function)};
}

std::vector<OnnxArray> greater(const OnnxCall& call) {
  const OnnxArray y = combine(call.input(0), call.input(1), [](double a, double b) { return a > b ? 1.0 : 0.0; });
  OnnxArray truth = OnnxArray::of_ints(y.shape);
  truth.ints.assign(y.floats.begin(), y.floats.end());
  return {std::move(truth)};
}

std::vector<OnnxArray> maximum(const OnnxCall& call) {
  OnnxArray y = call.input(0);
  for (size_t i = 1; i < call.inputs.size(); ++i)
    y = combine(y, call.input(i), [](double a, double b) { return std::max(a, b); });
  return {std::move(y)};
}

std::vector<OnnxArray> clip(const OnnxCall& call) {
  const double low = call.input(1).floats.at(0), high = call.input(2).floats.at(0);
  return unary(call, [=](double x) { return std::min(std::max(x, low), high); });
}

std::vector<OnnxArray> cast(const OnnxCall& call) {
  const OnnxArray& x = call.input(0);
  const bool to_floats = call.node.integer("to", 0) == static_cast<int64_t>(OnnxType::kFloat);
  OnnxArray y = to_floats ? OnnxArray::of_floats(x.shape) : OnnxArray::of_ints(x.shape);
  if (to_floats && x.integers) y.floats.assign(x.ints.begin(), x.ints.end());
  if (to_floats && !x.integers) y.floats = x.floats;
  if (!to_floats && x.integers) y.ints = x.ints;
  if (!to_floats && !x.integers) {
    for (size_t i = 0; i < y.ints.size(); ++i) y.ints[i] = static_cast<int64_t>(x.floats[i]);
  }
  return {std::move(y)};
}

std::vector<OnnxArray> identity(const OnnxCall& call) { return {call.input(0)}; }

std::vector<OnnxArray> leaky_relu(const OnnxCall& call) {
  const double slope = call.node.number("alpha", 0.01f);
  return unary(call, [=](double x) { return x < 0 ? slope * x : x; });
}

std::vector<OnnxArray> elu(const OnnxCall& call) {
  const double alpha = call.node.number("alpha", 1);
  return unary(call, [=](double x) { return x < 0 ? alpha * std::expm1(x) : x; });
}

std::vector<OnnxArray> hard_sigmoid(const OnnxCall& call) {
  const double alpha = call.node.number("alpha", 0.2f), beta = call.node.number("beta", 0.5f);
  return unary(call, [=](double x) { return std::max(0.0, std::min(1.0, alpha * x + beta)); });
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// log(1 + e^x), for large x too.
double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

}  // namespace

void add_elementwise_operators(OnnxOperators* operators) {
  OnnxOperators& all = *operators;
  all["Identity"] = identity;
  all["Cast"] = cast;
  all["Clip"] = clip;
  all["Max"] = maximum;
  all["Greater"] = greater;
  all["LeakyRelu"] = leaky_relu;
  all["Elu"] = elu;
  all["HardSigmoid"] = hard_sigmoid;
  all["Relu"] = [](const OnnxCall& call) { return unary(call, [](double x) { return x < 0 ? 0 : x; }); };
  all["Abs"] = [](const OnnxCall& call) { return unary(call, [](double x) { return std::abs(x); }); };
  all["Exp"] = [](const OnnxCall& call) { return unary(call, [](double x) { return std::exp(x); }); };
  all["Log"] = [](const OnnxCall& call) { return unary(call, [](double x) { return std::log(x); }); };
  all["Sqrt"] = [](const OnnxCall& call) { return unary(call, [](double x) { return std::sqrt(x); }); };
  all["Erf"] = [](const OnnxCall& call) { return unary(call, [](double x) { return std::erf(x); }); };
  all["Tanh"] = [](const OnnxCall& call) { return unary(call, [](double x) { return std::tanh(x); }); };
  all["Sigmoid"] = [](const OnnxCall& call) { return unary(call, sigmoid); };
  all["Softplus"] = [](const OnnxCall& call) { return unary(call, softplus); };
  all["Add"] = [](const OnnxCall& call) { return binary(call, [](double a, double b) { return a + b; }); };
  all["Sub"] = [](const OnnxCall& call) { return binary(call, [](double a, double b) { return a - b; }); };
  all["Mul"] = [](const OnnxCall& call) { return binary(call, [](double a, double b) { return a * b; }); };
  all["Div"] = [](const OnnxCall& call) { return binary(call, [](double a, double b) { return a / b; }); };
  all["Pow"] = [](const OnnxCall& call) { return binary(call, [](double a, double b) { return std::pow(a, b); }); };
  all["PRelu"] = [](const OnnxCall& call) {
    return binary(call, [](double x, double slope) { return x < 0 ? slope * x : x; });
  };
}

}  // namespace trainer
