// ONNX operators that move elements: shapes, axes, parts of arrays.
#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "export/onnx_evaluator.h"

namespace trainer {
namespace {

// An array of `shape` of the same kind as `like`, whose element i is element source(i) of `like`, or 0 if that is < 0.
template <typename Source>
OnnxArray gather_elements(const OnnxArray& like, const Shape& shape, Source source) {
  OnnxArray y = like.integers ? OnnxArray::of_ints(shape) : OnnxArray::of_floats(shape);
  for (int64_t i = 0; i < shape.count(); ++i) {
    const int64_t from = source(i);
    if (from < 0) continue;
    if (like.integers) y.ints[static_cast<size_t>(i)] = like.ints[static_cast<size_t>(from)];
    if (!like.integers) y.floats[static_cast<size_t>(i)] = like.floats[static_cast<size_t>(from)];
  }
  return y;
}

OnnxArray reshaped(OnnxArray x, std::vector<int64_t> dims) {
  x.shape = Shape(std::move(dims));
  TRAINER_ASSERT(static_cast<size_t>(x.shape.count()) == (x.integers ? x.ints.size() : x.floats.size()));
  return x;
}

std::vector<OnnxArray> reshape(const OnnxCall& call) {
  const Shape& from = call.input(0).shape;
  std::vector<int64_t> dims = call.input(1).ints;
  int64_t known = 1, inferred = -1;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 0) dims[i] = from[static_cast<int>(i)];
    if (dims[i] == -1) inferred = static_cast<int64_t>(i);
    if (dims[i] != -1) known *= dims[i];
  }
  if (inferred >= 0) dims[static_cast<size_t>(inferred)] = from.count() / known;
  return {reshaped(call.input(0), dims)};
}

std::vector<OnnxArray> unsqueeze(const OnnxCall& call) {
  std::vector<int64_t> dims = call.input(0).shape.dims();
  for (const int64_t axis : call.input(1).ints) dims.insert(dims.begin() + axis, 1);
  return {reshaped(call.input(0), dims)};
}

std::vector<OnnxArray> squeeze(const OnnxCall& call) {
  std::vector<int64_t> dims = call.input(0).shape.dims();
  TRAINER_ASSERT(call.input(1).ints.size() == 1);
  dims.erase(dims.begin() + call.input(1).ints[0]);
  return {reshaped(call.input(0), dims)};
}

std::vector<OnnxArray> shape_of(const OnnxCall& call) {
  const Shape& shape = call.input(0).shape;
  OnnxArray y = OnnxArray::of_ints(Shape{shape.rank()});
  y.ints = shape.dims();
  return {std::move(y)};
}

std::vector<OnnxArray> transpose(const OnnxCall& call) {
  const OnnxArray& x = call.input(0);
  const std::vector<int64_t> order = call.node.integers("perm", {});
  std::vector<int64_t> dims, strides;
  for (const int64_t axis : order) {
    dims.push_back(x.shape[static_cast<int>(axis)]);
    strides.push_back(x.shape.count(static_cast<int>(axis) + 1));
  }
  return {gather_elements(x, Shape(dims), [&](int64_t i) {
    int64_t at = 0;
    for (size_t axis = dims.size(); axis-- > 0; i /= dims[axis]) at += i % dims[axis] * strides[axis];
    return at;
  })};
}

// The part of x of this extent that begins at `begin` along an axis; beyond x there are zeros.
OnnxArray part(const OnnxArray& x, int axis, int64_t begin, int64_t extent) {
  Shape shape = x.shape;
  shape[axis] = extent;
  const int64_t inner = x.shape.count(axis + 1), from = x.shape[axis];
  return gather_elements(x, shape, [=](int64_t i) {
    const int64_t at = i / inner % extent + begin;
    return at < 0 || at >= from ? -1 : (i / inner / extent * from + at) * inner + i % inner;
  });
}

std::vector<OnnxArray> slice(const OnnxCall& call) {
  OnnxArray y = call.input(0);
  for (size_t i = 0; i < call.input(1).ints.size(); ++i) {
    const int64_t begin = call.input(1).ints[i], end = call.input(2).ints[i];
    y = part(y, call.axis(call.input(3).ints[i]), begin, end - begin);
  }
  return {std::move(y)};
}

std::vector<OnnxArray> split(const OnnxCall& call) {
  std::vector<OnnxArray> parts;
  int64_t begin = 0;
  for (const int64_t extent : call.input(1).ints) {
    parts.push_back(part(call.input(0), call.axis(call.node.integer("axis", 0)), begin, extent));
    begin += extent;
  }
  return parts;
}

std::vector<OnnxArray> pad(const OnnxCall& call) {
  OnnxArray y = call.input(0);
  const int rank = y.shape.rank();
  for (int axis = 0; axis < rank; ++axis) {
    const int64_t before = call.input(1).ints[static_cast<size_t>(axis)],
                  after = call.input(1).ints[static_cast<size_t>(axis + rank)];
    if (before != 0 || after != 0) y = part(y, axis, -before, y.shape[axis] + before + after);
  }
  return {std::move(y)};
}

std::vector<OnnxArray> concat(const OnnxCall& call) {
  const int axis = call.axis(call.node.integer("axis", 0));
  Shape shape = call.input(0).shape;
  for (size_t i = 1; i < call.inputs.size(); ++i) shape[axis] += call.input(i).shape[axis];
  OnnxArray y = call.input(0).integers ? OnnxArray::of_ints(shape) : OnnxArray::of_floats(shape);
  const int64_t outer = shape.count(0, axis), row = shape.count(axis);
  int64_t begin = 0;
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    const OnnxArray& x = call.input(i);
    const int64_t each = x.shape.count(axis);
    for (int64_t o = 0; o < outer; ++o) {
      if (x.integers) std::copy_n(x.ints.begin() + o * each, each, y.ints.begin() + o * row + begin);
      if (!x.integers) std::copy_n(x.floats.begin() + o * each, each, y.floats.begin() + o * row + begin);
    }
    begin += each;
  }
  return {std::move(y)};
}

std::vector<OnnxArray> tile(const OnnxCall& call) {
  OnnxArray y = call.input(0);
  for (int axis = 0; axis < y.shape.rank(); ++axis) {
    const int64_t extent = y.shape[axis], inner = y.shape.count(axis + 1);
    Shape shape = y.shape;
    shape[axis] *= call.input(1).ints[static_cast<size_t>(axis)];
    const int64_t large = shape[axis];
    y = gather_elements(y, shape, [=](int64_t i) {
      return (i / inner / large * extent + i / inner % large % extent) * inner + i % inner;
    });
  }
  return {std::move(y)};
}

// Rows of the first input.
std::vector<OnnxArray> gather(const OnnxCall& call) {
  const OnnxArray &x = call.input(0), &indices = call.input(1);
  const int64_t inner = x.shape.count(1);
  std::vector<int64_t> dims = indices.shape.dims();
  dims.insert(dims.end(), x.shape.dims().begin() + 1, x.shape.dims().end());
  return {gather_elements(x, Shape(dims),
                          [&](int64_t i) { return indices.ints[static_cast<size_t>(i / inner)] * inner + i % inner; })};
}

// The values of one line along an axis, and where they are in an array.
struct Line {
  int64_t begin, step, count;
};
Line line_of(const Shape& shape, int axis, int64_t number) {
  const int64_t inner = shape.count(axis + 1);
  return {number / inner * shape[axis] * inner + number % inner, inner, shape[axis]};
}

std::vector<OnnxArray> arg_max(const OnnxCall& call) {
  const OnnxArray& x = call.input(0);
  const int axis = call.axis(call.node.integer("axis", 0));
  const bool last = call.node.integer("select_last_index", 0) != 0;
  Shape shape = x.shape;
  shape[axis] = 1;
  OnnxArray y = OnnxArray::of_ints(shape);
  for (size_t n = 0; n < y.ints.size(); ++n) {
    const Line line = line_of(x.shape, axis, static_cast<int64_t>(n));
    const auto at = [&](int64_t i) { return x.floats[static_cast<size_t>(line.begin + i * line.step)]; };
    for (int64_t i = 1; i < line.count; ++i) {
      if (at(i) > at(y.ints[n]) || (last && at(i) == at(y.ints[n]))) y.ints[n] = i;
    }
  }
  return {std::move(y)};
}

// The largest values and their indices, of equal values the lower index first.
std::vector<OnnxArray> top_k(const OnnxCall& call) {
  const OnnxArray& x = call.input(0);
  const int axis = call.axis(call.node.integer("axis", -1));
  Shape shape = x.shape;
  shape[axis] = call.input(1).ints.at(0);
  OnnxArray values = OnnxArray::of_floats(shape), indices = OnnxArray::of_ints(shape);
  for (int64_t n = 0; n < shape.count() / shape[axis]; ++n) {
    const Line line = line_of(x.shape, axis, n), to = line_of(shape, axis, n);
    const auto at = [&](int64_t i) { return x.floats[static_cast<size_t>(line.begin + i * line.step)]; };
    std::vector<int64_t> order(static_cast<size_t>(line.count));
    std::iota(order.begin(), order.end(), int64_t{0});
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return at(a) > at(b); });
    for (int64_t k = 0; k < to.count; ++k) {
      const auto target = static_cast<size_t>(to.begin + k * to.step);
      indices.ints[target] = order[static_cast<size_t>(k)];
      values.floats[target] = at(order[static_cast<size_t>(k)]);
    }
  }
  return {std::move(values), std::move(indices)};
}

}  // namespace

void add_array_operators(OnnxOperators* operators) {
  OnnxOperators& all = *operators;
  all["Reshape"] = reshape;
  all["Unsqueeze"] = unsqueeze;
  all["Squeeze"] = squeeze;
  all["Shape"] = shape_of;
  all["Transpose"] = transpose;
  all["Slice"] = slice;
  all["Split"] = split;
  all["Pad"] = pad;
  all["Concat"] = concat;
  all["Tile"] = tile;
  all["Gather"] = gather;
  all["ArgMax"] = arg_max;
  all["TopK"] = top_k;
}

}  // namespace trainer
