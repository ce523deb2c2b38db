// ONNX operators that sum along axes: products of matrices, reductions, Softmax, recurrences.
#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "export/onnx_evaluator.h"

namespace trainer {
namespace {

// y (m, n) = a (m, k) * b (k, n), both row-major.
void multiply(const float* a, const float* b, float* y, int64_t m, int64_t k, int64_t n) {
  std::vector<double> row(static_cast<size_t>(n));
  for (int64_t i = 0; i < m; ++i) {
    std::fill(row.begin(), row.end(), 0);
    for (int64_t j = 0; j < k; ++j) {
      const double factor = static_cast<double>(a[i * k + j]);
      for (int64_t l = 0; l < n; ++l) row[static_cast<size_t>(l)] += factor * static_cast<double>(b[j * n + l]);
    }
    std::copy(row.begin(), row.end(), y + i * n);
  }
}

// Both have the same leading axes, or the second is one matrix.
std::vector<OnnxArray> matmul(const OnnxCall& call) {
  const OnnxArray &a = call.input(0), &b = call.input(1);
  const int rank = a.shape.rank(), rank_b = b.shape.rank();
  TRAINER_ASSERT(rank_b >= 2 && (rank_b == 2 || rank_b == rank));
  const int64_t k = b.shape[rank_b - 2], n = b.shape[rank_b - 1];
  TRAINER_ASSERT(a.shape[rank - 1] == k);
  std::vector<int64_t> dims = a.shape.dims();
  dims.back() = n;
  OnnxArray y = OnnxArray::of_floats(Shape(dims));
  const int64_t matrices = rank_b == 2 ? 1 : a.shape.count(0, rank - 2), m = a.shape.count() / k / matrices;
  for (int64_t i = 0; i < matrices; ++i)
    multiply(a.floats.data() + i * m * k, b.floats.data() + i * k * n, y.floats.data() + i * m * n, m, k, n);
  return {std::move(y)};
}

// x * W or x * W^T, plus a row.
std::vector<OnnxArray> gemm(const OnnxCall& call) {
  const OnnxArray &x = call.input(0), &w = call.input(1);
  const bool transposed = call.node.integer("transB", 0) != 0;
  const int64_t rows = x.shape[0], inputs = x.shape[1], outputs = w.shape[transposed ? 0 : 1];
  TRAINER_ASSERT(w.shape[transposed ? 1 : 0] == inputs);
  OnnxArray y = OnnxArray::of_floats(Shape{rows, outputs});
#pragma omp parallel for
  for (int64_t o = 0; o < outputs; ++o) {
    for (int64_t row = 0; row < rows; ++row) {
      double sum = call.has(2) ? static_cast<double>(call.input(2).floats[static_cast<size_t>(o)]) : 0;
      for (int64_t i = 0; i < inputs; ++i)
        sum += static_cast<double>(x.floats[static_cast<size_t>(row * inputs + i)]) *
               static_cast<double>(w.floats[static_cast<size_t>(transposed ? o * inputs + i : i * outputs + o)]);
      y.floats[static_cast<size_t>(row * outputs + o)] = static_cast<float>(sum);
    }
  }
  return {std::move(y)};
}

// The sums over `axes` in double precision, and their shape with extent 1 there.
std::vector<double> sums_over(const OnnxCall& call, const std::vector<int64_t>& axes, Shape* kept) {
  const OnnxArray& x = call.input(0);
  *kept = x.shape;
  for (const int64_t axis : axes) (*kept)[call.axis(axis)] = 1;
  std::vector<double> sums(static_cast<size_t>(kept->count()));
  for (int64_t i = 0; i < x.shape.count(); ++i) {
    int64_t rest = i, at = 0, stride = 1;
    for (int axis = x.shape.rank() - 1; axis >= 0; --axis) {
      if ((*kept)[axis] > 1) at += rest % x.shape[axis] * stride;
      rest /= x.shape[axis];
      stride *= (*kept)[axis];
    }
    sums[static_cast<size_t>(at)] += static_cast<double>(x.floats[static_cast<size_t>(i)]);
  }
  return sums;
}

std::vector<OnnxArray> reduced(const OnnxCall& call, const std::vector<int64_t>& axes, bool mean) {
  Shape kept;
  const std::vector<double> sums = sums_over(call, axes, &kept);
  OnnxArray y = OnnxArray::of_floats(kept);
  const double divisor =
      mean ? static_cast<double>(call.input(0).shape.count()) / static_cast<double>(kept.count()) : 1;
  for (size_t i = 0; i < sums.size(); ++i) y.floats[i] = static_cast<float>(sums[i] / divisor);
  if (call.node.integer("keepdims", 1) == 0) {
    std::vector<int64_t> dims;
    for (int axis = 0; axis < kept.rank(); ++axis) {
      const bool removed = std::any_of(axes.begin(), axes.end(), [&](int64_t each) { return call.axis(each) == axis; });
      if (!removed) dims.push_back(kept[axis]);
    }
    y.shape = Shape(dims);
  }
  return {std::move(y)};
}

std::vector<OnnxArray> reduce_sum(const OnnxCall& call) { return reduced(call, call.input(1).ints, false); }
std::vector<OnnxArray> reduce_mean(const OnnxCall& call) { return reduced(call, call.node.integers("axes", {}), true); }

std::vector<OnnxArray> softmax(const OnnxCall& call) {
  const OnnxArray& x = call.input(0);
  const int axis = call.axis(call.node.integer("axis", -1));
  const int64_t inner = x.shape.count(axis + 1), extent = x.shape[axis];
  OnnxArray y = OnnxArray::of_floats(x.shape);
  for (int64_t line = 0; line < x.shape.count() / extent; ++line) {
    const auto at = [&](int64_t i) { return static_cast<size_t>((line / inner * extent + i) * inner + line % inner); };
    float largest = x.floats[at(0)];
    for (int64_t i = 1; i < extent; ++i) largest = std::max(largest, x.floats[at(i)]);
    double sum = 0;
    for (int64_t i = 0; i < extent; ++i) sum += std::exp(static_cast<double>(x.floats[at(i)] - largest));
    for (int64_t i = 0; i < extent; ++i)
      y.floats[at(i)] = static_cast<float>(std::exp(static_cast<double>(x.floats[at(i)] - largest)) / sum);
  }
  return {std::move(y)};
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// The recurrences of LSTM and RNN: X (T, N, D), W (1, gates * H, D), R (1, gates * H, H), B (1, 2 * gates * H), and the
// initial states (1, N, H), which may be left out. `step` computes h and c of one unit from its sums.
template <typename Step>
std::vector<OnnxArray> recurrence(const OnnxCall& call, int64_t gates, Step step) {
  const OnnxArray &x = call.input(0), &w = call.input(1), &r = call.input(2);
  const int64_t steps = x.shape[0], items = x.shape[1], inputs = x.shape[2], hidden = r.shape[2];
  OnnxArray all = OnnxArray::of_floats(Shape{steps, 1, items, hidden}),
            h = OnnxArray::of_floats(Shape{1, items, hidden}), c = h;
  if (call.has(5)) h.floats = call.input(5).floats;
  if (call.has(6)) c.floats = call.input(6).floats;
  for (int64_t t = 0; t < steps; ++t) {
    const std::vector<float> before = h.floats;
    for (int64_t unit = 0; unit < items * hidden; ++unit) {
      const int64_t item = unit / hidden, j = unit % hidden;
      std::array<double, 4> sums{};
      for (int64_t gate = 0; gate < gates; ++gate) {
        const int64_t row = gate * hidden + j;
        double sum = 0;
        if (call.has(3))
          for (const int64_t bias : {row, gates * hidden + row})
            sum += static_cast<double>(call.input(3).floats[static_cast<size_t>(bias)]);
        for (int64_t i = 0; i < inputs; ++i)
          sum += static_cast<double>(w.floats[static_cast<size_t>(row * inputs + i)]) *
                 static_cast<double>(x.floats[static_cast<size_t>((t * items + item) * inputs + i)]);
        for (int64_t i = 0; i < hidden; ++i)
          sum += static_cast<double>(r.floats[static_cast<size_t>(row * hidden + i)]) *
                 static_cast<double>(before[static_cast<size_t>(item * hidden + i)]);
        sums[static_cast<size_t>(gate)] = sum;
      }
      const auto at = static_cast<size_t>(unit);
      step(sums, h.floats[at], c.floats[at]);
      all.floats[static_cast<size_t>(t * items * hidden) + at] = h.floats[at];
    }
  }
  return {std::move(all), std::move(h), std::move(c)};
}

// Gates i, o, f, c.
std::vector<OnnxArray> lstm(const OnnxCall& call) {
  return recurrence(call, 4, [](const std::array<double, 4>& sums, float& h, float& c) {
    const double next = sigmoid(sums[2]) * static_cast<double>(c) + sigmoid(sums[0]) * std::tanh(sums[3]);
    c = static_cast<float>(next);
    h = static_cast<float>(sigmoid(sums[1]) * std::tanh(next));
  });
}

std::vector<OnnxArray> rnn(const OnnxCall& call) {
  return recurrence(
      call, 1, [](const std::array<double, 4>& sums, float& h, float&) { h = static_cast<float>(std::tanh(sums[0])); });
}

}  // namespace

void add_product_operators(OnnxOperators* operators) {
  OnnxOperators& all = *operators;
  all["MatMul"] = matmul;
  all["Gemm"] = gemm;
  all["ReduceSum"] = reduce_sum;
  all["ReduceMean"] = reduce_mean;
  all["Softmax"] = softmax;
  all["LSTM"] = lstm;
  all["RNN"] = rnn;
}

}  // namespace trainer
