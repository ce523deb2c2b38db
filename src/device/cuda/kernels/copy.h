// Kernels that copy elements: kReorder, kPermute, kSlice, kPad, kConcat and kReshape; and the kernel that copies a few
// bytes from the host.
#pragma once

#include <cstddef>
#include <vector>

#include "device/cuda/kernels/arguments.h"

namespace trainer::cuda {

constexpr int kCopyDims = 8;

// Copies a strided block of elements of 1, 2 or 4 bytes. The extents are those of the result, strides are in elements,
// and axes have any order. If there is an axis `padded`, the source covers [begin, end) of the result along it, and the
// rest is zero. The ops:
//   kReorder           the tensor's axes, with the strides of both orders
//   kPermute           axis i of the result with the stride of axis axes[i] of the source
//   kSlice             the axes of one result; `from` is the first element of the slice
//   kPad               the result's axes, padded = axis
//   kConcat            the axes of one input; `to` is its first element in the result
struct CopyArguments {
  const void* from = nullptr;  // the source's first element
  void* to = nullptr;          // the result's first element
  int element_bytes = 4;
  int dims = 0;
  int64_t extents[kCopyDims] = {}, from_strides[kCopyDims] = {}, to_strides[kCopyDims] = {};
  int padded = -1;
  int64_t begin = 0, end = 0;
};

// Copies the elements of a dense tensor, in logical row-major order, to a dense tensor of another shape. Each side has
// its own axes (outermost first) and strides.
struct ReshapeArguments {
  const void* from = nullptr;
  void* to = nullptr;
  int element_bytes = 4;
  int from_dims = 0, to_dims = 0;
  int64_t from_extents[kCopyDims] = {}, from_strides[kCopyDims] = {};
  int64_t to_extents[kCopyDims] = {}, to_strides[kCopyDims] = {};
};

constexpr int64_t kMaxInlineBytes = 256;

// Bytes of the host that are part of the launch: the host may change its own when the launch returns.
struct InlineCopyArguments {
  void* to = nullptr;
  int64_t count = 0;
  uint8_t bytes[kMaxInlineBytes] = {};
};

inline int64_t count_of(const CopyArguments& a) {
  int64_t count = 1;
  for (int i = 0; i < a.dims; ++i) count *= a.extents[i];
  return count;
}

// The same copy with as few axes as possible, in the memory order of the result (innermost last).
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
  // Merges an axis with the next inner axis if both are contiguous on both sides.
  int kept = 0;
  for (int i = 1; i < a.dims; ++i) {
    const int64_t inner = a.extents[i];
    const bool contiguous =
        a.from_strides[kept] == a.from_strides[i] * inner && a.to_strides[kept] == a.to_strides[i] * inner;
    if (contiguous && i != a.padded) {
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

// A simplified copy with elements of up to 16 bytes, as wide as extents, strides and addresses permit.
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

constexpr int kCopyTile = 32;          // a thread block copies a tile of 32 * 32 elements
constexpr int64_t kMinTransposed = 8;  // a smaller extent leaves most threads of a tile idle

// Whether the source of a simplified copy is dense along an axis other than the result's innermost. Then tiles that are
// transposed in shared memory make reads and writes coalesced. Moves that axis to the last but one.
inline bool transposes(CopyArguments* a) {
  const int last = a->dims - 1;
  if (last < 1 || a->to_strides[last] != 1 || a->from_strides[last] == 1) return false;
  if (a->extents[last] < kMinTransposed) return false;
  for (int i = 0; i < last; ++i) {
    if (a->from_strides[i] != 1 || a->extents[i] < kMinTransposed) continue;
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

inline int64_t tiles_of(const CopyArguments& a) {
  int64_t tiles = 1;
  for (int i = 0; i < a.dims; ++i) tiles *= i < a.dims - 2 ? a.extents[i] : ceil_div(a.extents[i], kCopyTile);
  return tiles;
}

// Copies that one launch makes. A thread block makes units of one copy after the other: tiles, or as many elements as
// it has threads.
struct CopyLaunch {
  static constexpr int kMaxCopies = 16;

  int count = 0;  // at least one
  CopyArguments copies[kMaxCopies];
  bool transposed[kMaxCopies] = {};  // by tiles
  int64_t ends[kMaxCopies] = {};     // units up to the end of each copy

  void add(const CopyArguments& given) {
    CopyArguments a = simplified(given);
    transposed[count] = transposes(&a);
    if (!transposed[count]) a = widened(a);
    const int64_t units = transposed[count] ? tiles_of(a) : ceil_div(count_of(a), kBlockThreads);
    ends[count] = count == 0 ? units : ends[count - 1] + units;
    copies[count++] = a;
  }
};
static_assert(sizeof(CopyLaunch) <= 4096, "CUDA limits the arguments of a kernel to 4 KB");

// Turns a reshape into a strided copy; false if some axis of one side does not split into axes of the other.
inline bool as_copy(const ReshapeArguments& a, CopyArguments* copy) {
  *copy = {};
  copy->from = a.from;
  copy->to = a.to;
  copy->element_bytes = a.element_bytes;
  // From the innermost axes outwards: the remaining extent of the current axis on each side, and the stride along it.
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

ReshapeArguments reshape_arguments(const OpInstance& instance, const Addresses& at);
// The launches of a kReorder, kPermute, kSlice, kPad or kConcat.
std::vector<CopyLaunch> copy_launches(const OpInstance& instance, const Addresses& at);

cudaError_t launch_copies(const CopyLaunch& copies, cudaStream_t stream);
cudaError_t launch_reshape(const ReshapeArguments& arguments, cudaStream_t stream);
cudaError_t launch_inline_copy(const InlineCopyArguments& arguments, cudaStream_t stream);

}  // namespace trainer::cuda
