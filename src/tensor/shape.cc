// Shapes, element types and physical orders.
#include "tensor/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace trainer {

int64_t saturating_product(int64_t a, int64_t b) {
  int64_t product;
  return __builtin_mul_overflow(a, b, &product) ? Shape::kUncountable : std::min(product, Shape::kUncountable);
}

int64_t Shape::count(int begin, int end) const {
  int64_t product = 1;
  for (int axis = begin; axis < end; ++axis) product = saturating_product(product, (*this)[axis]);
  return product;
}

std::string Shape::text() const { return dims_.empty() ? "scalar" : fmt::format("{}", fmt::join(dims_, ",")); }

std::string Shape::caffe_text() const {
  std::string out;
  for (int64_t dim : dims_) out += fmt::format("{} ", dim);
  return out + fmt::format("({})", count());
}

std::string check_shape(const Shape& shape) {
  if (shape.rank() > kMostAxes) return fmt::format("{} axes; a blob has at most {}", shape.rank(), kMostAxes);
  for (int axis = 0; axis < shape.rank(); ++axis)
    if (shape[axis] < 1) return fmt::format("axis {} has extent {}", axis, shape[axis]);
  if (shape.count() > kMostElements) return fmt::format("{} has more than {} elements", shape.text(), kMostElements);
  return "";
}

const char* const kShapeRemedy =
    "every extent must be at least 1; for fewer elements use a smaller batch, fewer outputs or smaller images";

int64_t size_of(DType dtype) {
  switch (dtype) {
    case DType::kF32:
    case DType::kS32: return 4;
    case DType::kBF16:
    case DType::kF16: return 2;
    case DType::kU8: return 1;
  }
  return 0;
}

const char* name_of(DType dtype) {
  switch (dtype) {
    case DType::kF32: return "f32";
    case DType::kBF16: return "bf16";
    case DType::kF16: return "f16";
    case DType::kS32: return "s32";
    case DType::kU8: return "u8";
  }
  return "?";
}

const char* name_of(MemoryFormat order) { return order == MemoryFormat::kRowMajor ? "row-major" : "channels-last"; }

std::vector<int64_t> TensorDesc::strides() const {
  const int rank = shape.rank();
  std::vector<int64_t> strides(static_cast<size_t>(rank));
  int64_t next = 1;
  auto place = [&](int axis) {
    strides[static_cast<size_t>(axis)] = next;
    next = saturating_product(next, shape[axis]);
  };
  if (order == MemoryFormat::kChannelsLast && rank >= 3) {
    place(1);
    for (int axis = rank - 1; axis >= 2; --axis) place(axis);
    place(0);
  } else {
    for (int axis = rank - 1; axis >= 0; --axis) place(axis);
  }
  return strides;
}

bool orders_coincide(const Shape& shape) { return shape.rank() < 3 || shape[1] == 1 || shape.count(2) == 1; }

}  // namespace trainer
