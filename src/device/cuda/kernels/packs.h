// Packs in device code: loads that may be skipped, stores, and conversions to and from float.
#pragma once

#include "device/cuda/kernels/elements.h"
#include "device/cuda/kernels/pack_layout.h"

namespace trainer::cuda {

__device__ inline uint32_t offset_of(const PackStrides& s, uint32_t n, uint32_t c, uint32_t plane, uint32_t row,
                                     uint32_t column) {
  return n * s.n + c * s.c + plane * s.spatial[0] + row * s.spatial[1] + column * s.spatial[2];
}

// The grid-stride loop over items: for (uint32_t i = first_item(); i < items; i += item_stride()).
__device__ inline uint32_t first_item() { return blockIdx.x * blockDim.x + threadIdx.x; }
__device__ inline uint32_t item_stride() { return gridDim.x * blockDim.x; }

// W elements of T as words: of its 16, 8 or 4 bytes, or of one element, which has the lowest bits of a word.
template <int W, typename T>
struct Pack {
  static constexpr int kElementBits = 8 * static_cast<int>(sizeof(T)), kBytes = W * static_cast<int>(sizeof(T));
  static constexpr int kWords = kBytes < 4 ? 1 : kBytes / 4;
  uint32_t words[kWords];

  __device__ uint32_t bits(int i) const {
    if constexpr (kElementBits == 32) return words[i];
    constexpr int kEach = 32 / kElementBits;
    return words[i / kEach] >> (i % kEach * kElementBits) & ((uint64_t{1} << kElementBits) - 1);
  }
  __device__ void set_bits(int i, uint32_t bits) {
    constexpr int kEach = 32 / kElementBits;
    if (i % kEach == 0) {
      words[i / kEach] = bits;
    } else {
      words[i / kEach] |= bits << (i % kEach * kElementBits);
    }
  }
  // Whether element i, a byte or an int, is `value`, of which `repeated` has copies in all elements of a word.
  __device__ bool is(int i, uint32_t repeated) const {
    constexpr int kEach = 32 / kElementBits;
    constexpr uint32_t kMask = kElementBits == 32 ? ~0u : (1u << (kElementBits % 32)) - 1;
    return ((words[i / kEach] ^ repeated) & kMask << (i % kEach * kElementBits)) == 0;
  }
};

__device__ inline float float_of(uint32_t bits, float) { return __uint_as_float(bits); }
__device__ inline float float_of(uint32_t bits, Bf16) { return __uint_as_float(bits << 16); }
__device__ inline float float_of(uint32_t bits, F16) { return half_to_float(static_cast<unsigned short>(bits)); }
template <int W, typename T>
__device__ inline float value_of(const Pack<W, T>& pack, int i) {
  return float_of(pack.bits(i), T{});
}

__device__ inline uint32_t bits_of(float x, float) { return __float_as_uint(x); }
template <typename T>
__device__ inline uint32_t bits_of(float x, T) {
  T rounded;
  put(&rounded, x);
  return rounded.bits;
}
template <typename T, int W>
__device__ inline Pack<W, T> pack_of(const float (&x)[W]) {
  Pack<W, T> pack;
#pragma unroll
  for (int i = 0; i < W; ++i) pack.set_bits(i, bits_of(x[i], T{}));
  return pack;
}
template <typename T, int W>
__device__ inline Pack<W, T> pack_of_all(uint32_t bits) {
  Pack<W, T> pack;
#pragma unroll
  for (int i = 0; i < W; ++i) pack.set_bits(i, bits);
  return pack;
}

// The unsigned type of a load.
template <int kBytes>
struct Word;
template <>
struct Word<1> {
  using Type = uint8_t;
};
template <>
struct Word<2> {
  using Type = uint16_t;
};
template <>
struct Word<4> {
  using Type = uint32_t;
};

// If `inside`, loads pack `at` of an array that no thread writes; otherwise keeps the pack. The compiler would branch
// around each load and wait for one before the next, and load wide packs of 16-bit elements in parts.
template <int W, typename T>
__device__ inline void load_if(bool inside, const void* from, uint32_t at, Pack<W, T>* pack) {
  constexpr int kBytes = Pack<W, T>::kBytes;
  uint32_t(&words)[Pack<W, T>::kWords] = pack->words;
#ifdef __CUDACC__
  const char* address = static_cast<const char*>(from) + uint64_t{at} * kBytes;
  const int load = inside;
  if constexpr (kBytes == 16) {
    asm("{.reg .pred p; setp.ne.s32 p, %5, 0; @p ld.global.nc.v4.u32 {%0, %1, %2, %3}, [%4];}"
        : "+r"(words[0]), "+r"(words[1]), "+r"(words[2]), "+r"(words[3])
        : "l"(address), "r"(load));
  } else if constexpr (kBytes == 8) {
    asm("{.reg .pred p; setp.ne.s32 p, %3, 0; @p ld.global.nc.v2.u32 {%0, %1}, [%2];}"
        : "+r"(words[0]), "+r"(words[1])
        : "l"(address), "r"(load));
  } else {
    if (inside) words[0] = static_cast<const typename Word<kBytes>::Type*>(from)[at];
  }
#else
  if (inside) memcpy(words, static_cast<const char*>(from) + uint64_t{at} * kBytes, kBytes);
#endif
}

template <int W, typename T>
__device__ inline void store_pack(void* to, uint32_t at, const Pack<W, T>& pack) {
  constexpr int kBytes = Pack<W, T>::kBytes;
  if constexpr (kBytes < 4) {
    static_cast<typename Word<kBytes>::Type*>(to)[at] = static_cast<typename Word<kBytes>::Type>(pack.words[0]);
  } else {
    struct alignas(kBytes < 16 ? kBytes : 16) Aligned {
      Pack<W, T> pack;
    };
    static_cast<Aligned*>(to)[at].pack = pack;
  }
}
template <typename T, int W>
__device__ inline void store_floats(void* to, uint32_t at, const float (&x)[W]) {
  store_pack(to, at, pack_of<T>(x));
}

}  // namespace trainer::cuda
