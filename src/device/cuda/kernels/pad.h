// Pads images with few channels: writes pixels of 16 bytes, zeros after their channels. It reads any order and float
// type.
#pragma once

#include "device/cuda/kernels/arguments.h"

namespace trainer::cuda {

constexpr int64_t kPixelBytes = 16;

struct PadArguments {
  const void* from = nullptr;
  void* to = nullptr;  // channels-last
  ElementType from_type = ElementType::kF32, to_type = ElementType::kF32;
  int32_t channels = 0;                       // of the source
  int64_t images = 0, pixels = 0;             // pixels of an image
  int64_t image = 0, pixel = 0, channel = 0;  // strides of the source, in elements
};

PadArguments pad_arguments(const OpInstance& instance, const Addresses& at);

cudaError_t launch_pad(const PadArguments& arguments, cudaStream_t stream);

}  // namespace trainer::cuda
