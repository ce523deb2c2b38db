// The description of a tensor without its data: logical shape, element type, physical order.
//
// Shapes use Caffe's axes (N, C, spatial...). The physical order is the layout of a dense tensor in memory; it never
// changes the meaning of an index. A rank-0 shape is a scalar with one element.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace trainer {

// The product of counts and extents, capped at Shape::kUncountable.
int64_t saturating_product(int64_t a, int64_t b);

class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) : dims_(dims) {}
  explicit Shape(std::vector<int64_t> dims) : dims_(std::move(dims)) {}

  int rank() const { return static_cast<int>(dims_.size()); }
  int64_t operator[](int axis) const { return dims_[static_cast<size_t>(axis)]; }
  int64_t& operator[](int axis) { return dims_[static_cast<size_t>(axis)]; }
  const std::vector<int64_t>& dims() const { return dims_; }

  // The cap of count(): far above any tensor on any device, yet the byte counts of thousands of tensors still sum to
  // less than 2^63.
  static constexpr int64_t kUncountable = int64_t{1} << 48;

  int64_t count() const { return count(0, rank()); }
  // Product of the dims [begin, end), capped at kUncountable; 1 if the range is empty.
  int64_t count(int begin, int end) const;
  int64_t count(int begin) const { return count(begin, rank()); }

  bool operator==(const Shape& other) const { return dims_ == other.dims_; }
  bool operator!=(const Shape& other) const { return dims_ != other.dims_; }

  // "64,20,24,24"; "scalar" for rank 0.
  std::string text() const;
  // Caffe's form: "64 20 24 24 (737280)".
  std::string caffe_text() const;

 private:
  std::vector<int64_t> dims_;
};

// A blob has at most 2^31 - 1 elements, as in Caffe. Intermediate values of a graph may have more.
constexpr int64_t kMostElements = 2147483647;
constexpr int kMostAxes = 32;

// The reason why no blob can have this shape, or "": extents below 1, more than kMostAxes axes or kMostElements
// elements.
std::string check_shape(const Shape& shape);
// The remedy to print with that reason.
extern const char* const kShapeRemedy;

enum class DType : uint8_t { kF32, kBF16, kF16, kS32, kU8 };
int64_t size_of(DType dtype);
const char* name_of(DType dtype);

// kChannelsLast keeps axis 0 outermost and moves axis 1 innermost: N,H,W,C. It equals row-major if axis 1, or every
// axis after it, has extent 1. Ranks below 3 only use kRowMajor.
enum class MemoryFormat : uint8_t { kRowMajor, kChannelsLast };
const char* name_of(MemoryFormat order);

struct TensorDesc {
  Shape shape;
  DType dtype = DType::kF32;
  MemoryFormat order = MemoryFormat::kRowMajor;

  int64_t bytes() const { return shape.count() * size_of(dtype); }
  // The distance in elements between neighbors along each logical axis.
  std::vector<int64_t> strides() const;
};

// True if both orders put every element of `shape` at the same offset.
bool orders_coincide(const Shape& shape);
// True if the bytes of `desc` are in `format`, by its attribute or because both formats coincide.
inline bool has_format(const TensorDesc& desc, MemoryFormat format) {
  return desc.order == format || orders_coincide(desc.shape);
}

}  // namespace trainer
