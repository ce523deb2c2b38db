// Applies the epilogue (bias and relu) of a matrix product or convolution if the library does not.
#pragma once

#include <cstdint>

#include "ops/graph.h"
#include "tensor/bf16.h"

namespace trainer::cpu {

// As the function relu of maps, the result is not -0.
inline float with_relu(const Epilogue& epilogue, float value) {
  return epilogue.relu && !(value > 0) ? epilogue.slope * value + 0.0f : value;
}

// For rows of `columns` values with one bias per column; `bias` may be null. T: float or Bf16.
template <typename T>
void apply_epilogue_to_rows(int threads, int64_t rows, int64_t columns, const float* bias, const Epilogue& epilogue,
                            T* y);
extern template void apply_epilogue_to_rows(int, int64_t, int64_t, const float*, const Epilogue&, float*);
extern template void apply_epilogue_to_rows(int, int64_t, int64_t, const float*, const Epilogue&, Bf16*);

// For row-major images: `planes` planes of `count` values, with bias[i % channels] for plane i.
void apply_epilogue_to_planes(int threads, int64_t planes, int64_t channels, int64_t count, const float* bias,
                              const Epilogue& epilogue, float* y);

}  // namespace trainer::cpu
