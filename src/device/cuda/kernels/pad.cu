// A thread pads a pixel.
#include "device/cuda/kernels/pad.h"

#include "device/cuda/kernels/elements.h"
#include "device/cuda/kernels/launch.h"

namespace trainer::cuda {
namespace {

template <typename T>
struct alignas(kPixelBytes) Pixel {
  static constexpr int kChannels = kPixelBytes / sizeof(T);
  T channels[kChannels];
};

template <typename T>
__global__ void __launch_bounds__(kBlockThreads) pad_pixels(const __grid_constant__ PadArguments a) {
  for (int64_t i = first_element(); i < a.images * a.pixels; i += grid_stride()) {
    const int64_t at = i / a.pixels * a.image + i % a.pixels * a.pixel;
    Pixel<T> pixel;
#pragma unroll
    for (int c = 0; c < Pixel<T>::kChannels; ++c)
      put(&pixel.channels[c], c < a.channels ? load(a.from, a.from_type, at + c * a.channel) : 0.0f);
    static_cast<Pixel<T>*>(a.to)[i] = pixel;
  }
}

}  // namespace

cudaError_t launch_pad(const PadArguments& a, cudaStream_t stream) {
  const Grid grid = grid_of_elements(a.images * a.pixels);
  switch (a.to_type) {
    case ElementType::kF32: return launch_kernel(pad_pixels<float>, grid, a, stream);
    case ElementType::kBF16: return launch_kernel(pad_pixels<Bf16>, grid, a, stream);
    case ElementType::kF16: return launch_kernel(pad_pixels<F16>, grid, a, stream);
    default: return cudaErrorInvalidValue;
  }
}

}  // namespace trainer::cuda
