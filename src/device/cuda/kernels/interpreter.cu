// Evaluates the nodes of small maps in order.
#include "device/cuda/kernels/interpreter.h"

#include <algorithm>

#include "device/cuda/kernels/elements.h"
#include "device/cuda/kernels/launch.h"
#include "device/cuda/preludes/draws.h"
#include "device/cuda/preludes/functions.h"

namespace trainer::cuda {
namespace {

using Join = InterpretedMap::Join;

struct Coordinates {
  int at[InterpretedMap::kMaxDims];
};
__device__ inline Coordinates coordinates_of(const InterpretedMap& a, int element) {
  Coordinates c;
  for (int dim = a.dims - 1; dim >= 0; --dim) {
    c.at[dim] = element % a.extents[dim];
    element /= a.extents[dim];
  }
  return c;
}
__device__ inline int offset_of(const InterpretedMap& a, const InterpretedMap::Stream& stream, const Coordinates& c) {
  int offset = 0;
  for (int dim = 0; dim < a.dims; ++dim) offset += c.at[dim] * stream.strides[dim];
  return offset;
}

// `values`: the results of earlier steps. The arguments of a function are at s.a, s.b and s.c.
__device__ inline float value_of(const InterpretedMap& map, const InterpretedMap::Step& s, const float* values,
                                 const Coordinates& at) {
  const float &a = values[s.a], &b = values[s.b], &c = values[s.c], k = s.k;
  if (s.fn == Fn::kPowerConstant) return fn::common_power(a, k);
#define TRAINER_FUNCTION(name, function, text, arguments, cost, range, value, ...) \
  case Fn::k##name: return value;
  switch (s.fn) {
    case Fn::kInput: return load(map.streams[s.a].base, map.streams[s.a].type, offset_of(map, map.streams[s.a], at));
    case Fn::kConstant: return k;
    case Fn::kIndex: return static_cast<float>(offset_of(map, map.streams[s.a], at));
    case Fn::kSegment: return 0;  // refused
    case Fn::kUniform:
      return uniform(map.keys[s.b], *map.pass, static_cast<unsigned>(offset_of(map, map.streams[s.a], at)));
    case Fn::kNormal:
      return normal(map.keys[s.b], *map.pass, static_cast<unsigned>(offset_of(map, map.streams[s.a], at)));
#include "ops/functions.def"
  }
  return 0;
}

__device__ inline void store_at(const InterpretedMap& a, const InterpretedMap::Result& result, const Coordinates& c,
                                float x) {
  const InterpretedMap::Stream& stream = a.streams[result.stream];
  store(stream.base, stream.type, offset_of(a, stream, c), x);
}
__device__ inline float joined(Join join, float a, float b) {
  return join == Join::kMax ? Max::join(a, b) : Sum::join(a, b);
}

// `a.lanes` threads of a block compute one element of the results.
__device__ inline void interpret_map(const InterpretedMap& a, float (&shared)[kBlockThreads]) {
  const int thread = static_cast<int>(threadIdx.x), lane = thread % a.lanes, rows = kBlockThreads / a.lanes;
  float* const mine = shared + thread;
  for (int first = static_cast<int>(blockIdx.x) * rows; first < a.kept; first += static_cast<int>(gridDim.x) * rows) {
    const int kept = first + thread / a.lanes;
    float sums[InterpretedMap::kMaxStreams];
    for (int i = 0; i < a.result_count; ++i) sums[i] = a.results[i].join == Join::kMax ? Max::start() : Sum::start();
    for (int element = lane; kept < a.kept && element < a.summed; element += a.lanes) {
      const Coordinates c = coordinates_of(a, kept * a.summed + element);
      float v[InterpretedMap::kMaxSteps];
      for (int i = 0; i < a.step_count; ++i) v[i] = value_of(a, a.steps[i], v, c);
      for (int i = 0; i < a.result_count; ++i) {
        const InterpretedMap::Result& result = a.results[i];
        if (result.join == Join::kStore) {
          store_at(a, result, c, v[result.step]);
        } else {
          sums[i] = joined(result.join, sums[i], v[result.step]);
        }
      }
    }
    for (int i = 0; i < a.result_count; ++i) {
      const InterpretedMap::Result& result = a.results[i];
      if (result.join == Join::kStore) continue;
      *mine = sums[i];
      __syncthreads();
      for (int half = a.lanes / 2; half > 0; half /= 2) {
        if (lane < half) *mine = joined(result.join, *mine, mine[half]);
        __syncthreads();
      }
      if (lane == 0 && kept < a.kept) store_at(a, result, coordinates_of(a, kept * a.summed), *mine);
    }
  }
}

template <int kMaps>
__global__ void __launch_bounds__(kBlockThreads) interpret(const __grid_constant__ InterpretedMaps<kMaps> a) {
  __shared__ float shared[kBlockThreads];
  for (int i = 0; i < a.count; ++i) {
    if (i > 0) __syncthreads();  // a map may read the results of those before it
    interpret_map(a.maps[i], shared);
  }
}

template <int kMaps>
cudaError_t launch(std::span<const InterpretedMap> maps, int64_t blocks, cudaStream_t stream) {
  InterpretedMaps<kMaps> a;
  a.count = static_cast<int64_t>(maps.size());
  std::copy(maps.begin(), maps.end(), a.maps);
  return launch_kernel(interpret<kMaps>, grid_of(blocks, kBlockThreads), a, stream);
}

}  // namespace

cudaError_t launch_interpreter(std::span<const InterpretedMap> maps, cudaStream_t stream) {
  if (maps.size() > 1) return launch<kMaxInterpretedMaps>(maps, 1, stream);
  return launch<1>(maps, ceil_div(maps[0].kept, kBlockThreads / maps[0].lanes), stream);
}

}  // namespace trainer::cuda
