// Arguments of the kernels that only move elements: kReorder, kPermute, kSlice, kPad, kConcat (a launch for each input)
// and kReshape; and of the one that brings a few bytes of the host's.
#pragma once

#include "device/cuda/kernels/arguments.h"

namespace trainer::cuda {

constexpr int kCopyDims = 8;

// A strided block of elements of 1, 2 or 4 bytes to another place. The extents are those of the result; strides are in
// elements; axes in any sequence. Along the axis `padded`, where there is one, the source lies in [begin, end) of the
// result, and zeros around it. The ops:
//   kReorder           the axes of the value with both tensors' strides
//   kPermute           the result's axes i with from_strides of the source's axis axes[i]
//   kSlice             the result's axes; `from` is the first element taken
//   kPad               the result's axes, padded = axis
//   kConcat            the axes of one input; `to` is where it begins in the result
struct CopyArguments {
  const void* from = nullptr;  // the source's first element
  void* to = nullptr;          // the result's first element
  int element_bytes = 4;
  int dims = 0;
  int64_t extents[kCopyDims] = {}, from_strides[kCopyDims] = {}, to_strides[kCopyDims] = {};
  int padded = -1;
  int64_t begin = 0, end = 0;
};

// The same elements in logical row-major sequence from one dense tensor to another; each side with its own axes
// (outermost first) and its own order.
struct ReshapeArguments {
  const void* from = nullptr;
  void* to = nullptr;
  int element_bytes = 4;
  int from_dims = 0, to_dims = 0;
  int64_t from_extents[kCopyDims] = {}, from_strides[kCopyDims] = {};
  int64_t to_extents[kCopyDims] = {}, to_strides[kCopyDims] = {};
};

constexpr int64_t kMostSentBytes = 256;

// Bytes that travel with the launch, which has read them when it returns.
struct SendArguments {
  void* to = nullptr;
  int64_t count = 0;
  uint8_t bytes[kMostSentBytes] = {};
};

inline int64_t count_of(const CopyArguments& a) {
  int64_t count = 1;
  for (int i = 0; i < a.dims; ++i) count *= a.extents[i];
  return count;
}

// The same copy with as few axes as describe it, in the sequence in which the result lies (innermost last).
inline CopyArguments simplified(const CopyArguments& given) {
  CopyArguments a = given;
  a.dims = 0;
  a.padded = -1;
  for (int i = 0; i < given.dims; ++i) {
    if (given.extents[i] == 1 && i != given.padded) continue;
    int at = a.dims++;
    for (; at > 0 && a.to_strides[at - 1] < given.to_strides[i]; --at) {
      a.extents[at] = a.extents[at - 1];
      a.from_strides[at] = a.from_strides[at - 1];
      a.to_strides[at] = a.to_strides[at - 1];
      if (a.padded == at - 1) a.padded = at;
    }
    a.extents[at] = given.extents[i];
    a.from_strides[at] = given.from_strides[i];
    a.to_strides[at] = given.to_strides[i];
    if (i == given.padded) a.padded = at;
  }
  // Joins an axis with the one inside it where they lie alike on both sides.
  int kept = 0;
  for (int i = 1; i < a.dims; ++i) {
    const int64_t inner = a.extents[i];
    const bool alike =
        a.from_strides[kept] == a.from_strides[i] * inner && a.to_strides[kept] == a.to_strides[i] * inner;
    if (alike && i != a.padded) {
      a.extents[kept] *= inner;
      if (kept == a.padded) a.begin *= inner, a.end *= inner;
    } else {
      ++kept;
      a.extents[kept] = inner;
      if (i == a.padded) a.padded = kept;
    }
    a.from_strides[kept] = a.from_strides[i];
    a.to_strides[kept] = a.to_strides[i];
  }
  if (a.dims > 0) a.dims = kept + 1;
  return a;
}

// The same simplified copy of elements up to 16 bytes wide, where runs and addresses divide by them.
inline CopyArguments widened(const CopyArguments& given) {
  CopyArguments a = given;
  const int last = a.dims - 1;
  if (last < 0 || a.from_strides[last] != 1 || a.to_strides[last] != 1) return a;
  const auto is_even = [&a, last] {
    const auto addresses = reinterpret_cast<uintptr_t>(a.from) | reinterpret_cast<uintptr_t>(a.to);
    if (addresses % static_cast<uintptr_t>(2 * a.element_bytes) != 0 || a.extents[last] % 2 != 0) return false;
    if (a.padded == last && (a.begin % 2 != 0 || a.end % 2 != 0)) return false;
    for (int i = 0; i < last; ++i) {
      if (a.from_strides[i] % 2 != 0 || a.to_strides[i] % 2 != 0) return false;
    }
    return true;
  };
  while (a.element_bytes < 16 && is_even()) {
    a.element_bytes *= 2;
    a.extents[last] /= 2;
    if (a.padded == last) a.begin /= 2, a.end /= 2;
    for (int i = 0; i < last; ++i) a.from_strides[i] /= 2, a.to_strides[i] /= 2;
  }
  return a;
}

constexpr int kCopyTile = 32, kCopyTileThreads = 8;  // a block of 32 * 8 threads moves a tile of 32 * 32 elements
constexpr int64_t kLeastTransposed = 8;              // extents below leave most of a tile's threads idle

// Whether the source of a simplified copy is dense along an axis other than the result's innermost: tiles that turn in
// shared memory read and write dense runs. That axis moves to the last but one.
inline bool transposes(CopyArguments* a) {
  const int last = a->dims - 1;
  if (last < 1 || a->to_strides[last] != 1 || a->from_strides[last] == 1) return false;
  if (a->extents[last] < kLeastTransposed) return false;
  for (int i = 0; i < last; ++i) {
    if (a->from_strides[i] != 1 || a->extents[i] < kLeastTransposed) continue;
    const auto swap = [i, last](int64_t* values) {
      const int64_t value = values[i];
      values[i] = values[last - 1];
      values[last - 1] = value;
    };
    swap(a->extents);
    swap(a->from_strides);
    swap(a->to_strides);
    if (a->padded == i) {
      a->padded = last - 1;
    } else if (a->padded == last - 1) {
      a->padded = i;
    }
    return true;
  }
  return false;
}

inline Grid grid_of_transposition(const CopyArguments& a) {
  int64_t tiles = 1;
  for (int i = 0; i < a.dims; ++i) tiles *= i < a.dims - 2 ? a.extents[i] : ceiling_of(a.extents[i], kCopyTile);
  return grid_of(tiles, kCopyTile, kCopyTileThreads);
}

// A reshape as a strided copy, or false where some axis of one side does not divide into axes of the other.
inline bool as_copy(const ReshapeArguments& a, CopyArguments* copy) {
  *copy = {};
  copy->from = a.from;
  copy->to = a.to;
  copy->element_bytes = a.element_bytes;
  // From the innermost axes: what is left of the axis at hand of each side, and the step along it.
  int i = a.from_dims, j = a.to_dims;
  int64_t from_left = 1, to_left = 1, from_stride = 0, to_stride = 0;
  for (;;) {
    while (from_left == 1 && i > 0) --i, from_left = a.from_extents[i], from_stride = a.from_strides[i];
    while (to_left == 1 && j > 0) --j, to_left = a.to_extents[j], to_stride = a.to_strides[j];
    if (from_left == 1 && to_left == 1) return true;
    const int64_t extent = from_left < to_left ? from_left : to_left;
    if (extent < 2 || from_left % extent != 0 || to_left % extent != 0 || copy->dims == kCopyDims) return false;
    copy->extents[copy->dims] = extent;
    copy->from_strides[copy->dims] = from_stride;
    copy->to_strides[copy->dims] = to_stride;
    ++copy->dims;
    from_left /= extent;
    to_left /= extent;
    from_stride *= extent;
    to_stride *= extent;
  }
}

}  // namespace trainer::cuda
