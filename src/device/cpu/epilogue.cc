// Bias and relu in one pass over a result.
#include "device/cpu/epilogue.h"

#include "device/cpu/parallel.h"

namespace trainer::cpu {
namespace {

float get(float value) { return value; }
float get(Bf16 value) { return to_float(value); }
void put(float* to, float value) { *to = value; }
void put(Bf16* to, float value) { *to = to_bf16(value); }

}  // namespace

template <typename T>
void apply_epilogue_to_rows(int threads, int64_t rows, int64_t columns, const float* bias, const Epilogue& epilogue,
                            T* y) {
  if (bias == nullptr && !epilogue.relu) return;
  parallel_ranges(threads, rows, columns, [&](int, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      T* row = y + i * columns;
      if (bias != nullptr) {
        for (int64_t j = 0; j < columns; ++j) put(row + j, get(row[j]) + bias[j]);
      }
      if (epilogue.relu) {
        for (int64_t j = 0; j < columns; ++j) put(row + j, with_relu(epilogue, get(row[j])));
      }
    }
  });
}

template void apply_epilogue_to_rows(int, int64_t, int64_t, const float*, const Epilogue&, float*);
template void apply_epilogue_to_rows(int, int64_t, int64_t, const float*, const Epilogue&, Bf16*);

void apply_epilogue_to_planes(int threads, int64_t planes, int64_t channels, int64_t count, const float* bias,
                              const Epilogue& epilogue, float* y) {
  if (bias == nullptr && !epilogue.relu) return;
  parallel_ranges(threads, planes, count, [&](int, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float* plane = y + i * count;
      const float shift = bias == nullptr ? 0 : bias[i % channels];
      for (int64_t j = 0; j < count; ++j) plane[j] = with_relu(epilogue, plane[j] + shift);
    }
  });
}

}  // namespace trainer::cpu
