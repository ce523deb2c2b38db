// Packs of neighboring channels in channels-last tensors, which a thread loads and stores at once, up to 16 bytes of
// the element type. A pack of one channel has any order and alignment.
//
// Offsets count packs in 32 bits, so a tensor has at most 2^31 elements. Unsigned sums may wrap: only positions inside
// the tensor are used.
#pragma once

#include "device/cuda/kernels/arguments.h"

namespace trainer::cuda {

constexpr int64_t kMaxPackedElements = INT32_MAX;
constexpr int kPackBytes = 16;

constexpr int bytes_of(ElementType type) {
  return type == ElementType::kU8 ? 1 : type == ElementType::kBF16 || type == ElementType::kF16 ? 2 : 4;
}

// A tensor [N,C,extents] that a kernel accesses in packs. The stride of an axis with one element has no meaning.
struct PackedTensor {
  const void* data = nullptr;
  ElementType type = ElementType::kF32;
  Strides strides;
  const int64_t (&extents)[3];
};

inline bool has_packs_of(const PackedTensor& tensor, int64_t channels, int width) {
  const Strides& s = tensor.strides;
  if (s.c != 1 || channels % width != 0 || s.n % width != 0) return false;
  for (int axis = 0; axis < 3; ++axis) {
    if (tensor.extents[axis] > 1 && s.spatial[axis] % width != 0) return false;
  }
  return reinterpret_cast<uintptr_t>(tensor.data) % static_cast<uintptr_t>(width * bytes_of(tensor.type)) == 0;
}

// The channels of 16 bytes of `type`, or 1 if one of the tensors does not have such packs.
template <typename... Tensors>
int pack_width(ElementType type, int64_t channels, const Tensors&... tensors) {
  const int width = kPackBytes / bytes_of(type);
  return (has_packs_of(tensors, channels, width) && ...) ? width : 1;
}

struct PackStrides {
  uint32_t n = 0, c = 0, spatial[3] = {0, 0, 0};
};
constexpr PackStrides pack_strides(const Strides& strides, int width) {
  const auto packs = [width](int64_t stride) { return static_cast<uint32_t>(stride / width); };
  return {packs(strides.n),
          width == 1 ? static_cast<uint32_t>(strides.c) : 1,
          {packs(strides.spatial[0]), packs(strides.spatial[1]), packs(strides.spatial[2])}};
}

}  // namespace trainer::cuda
