// Convolution and its two gradients: tiled matrix products that gather their operands from the tensors, and for groups
// of few channels one thread per element.
//
// The elements of a filter are numbered by taps first and input channels second, so that reads of channels-last images
// are dense.
#include "device/cuda/kernels/convolution.h"

#include "device/cuda/kernels/launch.h"
#include "device/cuda/kernels/tiles.h"

namespace trainer::cuda {
namespace {

// The input position that output `o` reads at tap `k`; false if that is padding.
__device__ inline bool input_of(const Windows& w, const Spatial& o, const Spatial& k, Spatial* i) {
  bool inside = true;
  for (int axis = 0; axis < 3; ++axis) {
    i->at[axis] = o.at[axis] * w.stride[axis] - w.pad[axis] + k.at[axis] * w.dilation[axis];
    inside = inside && i->at[axis] >= 0 && i->at[axis] < w.in[axis];
  }
  return inside;
}

// The output that reads input `i` at tap `k`; false if there is none.
__device__ inline bool output_of(const Windows& w, const Spatial& i, const Spatial& k, Spatial* o) {
  bool inside = true;
  for (int axis = 0; axis < 3; ++axis) {
    const int64_t at = i.at[axis] + w.pad[axis] - k.at[axis] * w.dilation[axis];
    o->at[axis] = at / w.stride[axis];
    inside = inside && at >= 0 && o->at[axis] * w.stride[axis] == at && o->at[axis] < w.out[axis];
  }
  return inside;
}

__device__ inline float biased(const ConvolutionArguments& a, float sum, int64_t channel) {
  return with_epilogue(a.epilogue, a.bias == nullptr ? sum : sum + a.bias[channel]);
}
__device__ inline float weight(const ConvolutionArguments& a, int64_t o, int64_t c, const Spatial& tap) {
  return load(a.w, a.w_type, offset_of(a.w_strides, o, c, tap));
}

// In the products, batches are groups.
//
// Rows: output positions; columns: output channels; depth: the filter.
struct ForwardProduct {
  const ConvolutionArguments& a;

  __device__ int64_t batches() const { return a.group; }
  __device__ int64_t rows() const { return a.batch * volume_of(a.windows.out); }
  __device__ int64_t columns() const { return a.outputs; }
  __device__ int64_t depth_begin(int64_t) const { return 0; }
  __device__ int64_t depth_end(int64_t) const { return a.inputs * volume_of(a.windows.kernel); }
  __device__ bool left_is_dense_along_depth() const { return a.x_strides.c == 1; }
  __device__ bool right_is_dense_along_depth() const { return true; }
  __device__ float left(int64_t group, int64_t row, int64_t depth) const {
    const int64_t area = volume_of(a.windows.out);
    Spatial in;
    const Spatial tap = spatial_of(depth / a.inputs, a.windows.kernel);
    if (!input_of(a.windows, spatial_of(row % area, a.windows.out), tap, &in)) return 0;
    return load(a.x, a.x_type, offset_of(a.x_strides, row / area, group * a.inputs + depth % a.inputs, in));
  }
  __device__ float right(int64_t group, int64_t depth, int64_t column) const {
    return weight(a, group * a.outputs + column, depth % a.inputs, spatial_of(depth / a.inputs, a.windows.kernel));
  }
  __device__ void store(int64_t group, int64_t row, int64_t column, float sum) const {
    const int64_t area = volume_of(a.windows.out), o = group * a.outputs + column;
    const int64_t at = offset_of(a.y_strides, row / area, o, spatial_of(row % area, a.windows.out));
    cuda::store(a.y, a.y_type, at, biased(a, sum, o));
  }
};

// Rows: input positions; columns: input channels; depth: taps, and output channels within a tap.
struct InputGradientProduct {
  const ConvolutionArguments& a;

  __device__ int64_t batches() const { return a.group; }
  __device__ int64_t rows() const { return a.batch * volume_of(a.windows.in); }
  __device__ int64_t columns() const { return a.inputs; }
  __device__ int64_t depth_begin(int64_t) const { return 0; }
  __device__ int64_t depth_end(int64_t) const { return a.outputs * volume_of(a.windows.kernel); }
  __device__ bool left_is_dense_along_depth() const { return a.y_strides.c == 1; }
  __device__ bool right_is_dense_along_depth() const { return false; }
  __device__ float left(int64_t group, int64_t row, int64_t depth) const {
    const int64_t area = volume_of(a.windows.in);
    Spatial out;
    const Spatial tap = spatial_of(depth / a.outputs, a.windows.kernel);
    if (!output_of(a.windows, spatial_of(row % area, a.windows.in), tap, &out)) return 0;
    return load(a.y, a.y_type, offset_of(a.y_strides, row / area, group * a.outputs + depth % a.outputs, out));
  }
  __device__ float right(int64_t group, int64_t depth, int64_t column) const {
    return weight(a, group * a.outputs + depth % a.outputs, column, spatial_of(depth / a.outputs, a.windows.kernel));
  }
  __device__ void store(int64_t group, int64_t row, int64_t column, float sum) const {
    const int64_t area = volume_of(a.windows.in), c = group * a.inputs + column;
    const int64_t at = offset_of(a.x_strides, row / area, c, spatial_of(row % area, a.windows.in));
    cuda::store(a.x, a.x_type, at, biased(a, sum, c));
  }
};

// The arguments of a weight gradient and its number of parts.
struct WeightGradient {
  ConvolutionArguments a;
  int64_t parts;

  __device__ int64_t filter() const { return a.inputs * volume_of(a.windows.kernel); }
  __device__ int64_t positions() const { return a.batch * volume_of(a.windows.out); }
  __device__ int64_t begin(int64_t part) const { return positions() * part / parts; }
  // At an output position: the gradient of output channel `o`, and the input that it reads from `channel` at `tap`.
  __device__ float gradient(int64_t position, int64_t o) const {
    const int64_t area = volume_of(a.windows.out);
    return load(a.y, a.y_type, offset_of(a.y_strides, position / area, o, spatial_of(position % area, a.windows.out)));
  }
  __device__ float input(int64_t position, int64_t channel, const Spatial& tap) const {
    const int64_t area = volume_of(a.windows.out);
    Spatial in;
    if (!input_of(a.windows, spatial_of(position % area, a.windows.out), tap, &in)) return 0;
    return load(a.x, a.x_type, offset_of(a.x_strides, position / area, channel, in));
  }
  __device__ void store(int64_t o, int64_t element, float sum) const {
    const int64_t at = offset_of(a.w_strides, o, element % a.inputs, spatial_of(element / a.inputs, a.windows.kernel));
    cuda::store(a.w, a.w_type, at, sum);
  }
  __device__ void store_part(int64_t part, int64_t o, int64_t element, float sum) const {
    if (parts == 1) {
      store(o, element, sum);
    } else {
      a.partial[(part * a.group * a.outputs + o) * filter() + element] = sum;
    }
  }
};

// Batches: the groups of each part; rows: output channels; columns: the filter; depth: output positions.
struct WeightGradientProduct {
  const WeightGradient& w;

  __device__ int64_t batches() const { return w.parts * w.a.group; }
  __device__ int64_t rows() const { return w.a.outputs; }
  __device__ int64_t columns() const { return w.filter(); }
  __device__ int64_t depth_begin(int64_t batch) const { return w.begin(batch / w.a.group); }
  __device__ int64_t depth_end(int64_t batch) const { return w.begin(batch / w.a.group + 1); }
  __device__ bool left_is_dense_along_depth() const { return w.a.y_strides.c != 1; }
  __device__ bool right_is_dense_along_depth() const { return w.a.x_strides.c != 1; }
  __device__ float left(int64_t batch, int64_t row, int64_t depth) const {
    return w.gradient(depth, batch % w.a.group * w.a.outputs + row);
  }
  __device__ float right(int64_t batch, int64_t depth, int64_t column) const {
    const int64_t channel = batch % w.a.group * w.a.inputs + column % w.a.inputs;
    return w.input(depth, channel, spatial_of(column / w.a.inputs, w.a.windows.kernel));
  }
  __device__ void store(int64_t batch, int64_t row, int64_t column, float sum) const {
    w.store_part(batch / w.a.group, batch % w.a.group * w.a.outputs + row, column, sum);
  }
};

__global__ void __launch_bounds__(kBlockThreads) convolution(const __grid_constant__ ConvolutionArguments a) {
  make_tiles(ForwardProduct{a});
}
__global__ void __launch_bounds__(kBlockThreads) input_gradient(const __grid_constant__ ConvolutionArguments a) {
  make_tiles(InputGradientProduct{a});
}
__global__ void __launch_bounds__(kBlockThreads) weight_gradient(const __grid_constant__ WeightGradient w) {
  make_tiles(WeightGradientProduct{w});
}

__global__ void __launch_bounds__(kBlockThreads) narrow_convolution(const __grid_constant__ ConvolutionArguments a) {
  const int64_t channels = a.group * a.outputs, taps = volume_of(a.windows.kernel);
  const int64_t count = a.batch * channels * volume_of(a.windows.out);
  for (int64_t e = first_element(); e < count; e += grid_stride()) {
    const TensorIndex out = index_of(e, channels, a.windows.out, a.y_strides);
    const int64_t first = out.c / a.outputs * a.inputs;
    float sum = 0;
    for (int64_t k = 0; k < taps; ++k) {
      const Spatial tap = spatial_of(k, a.windows.kernel);
      Spatial in;
      if (!input_of(a.windows, out.spatial, tap, &in)) continue;
      for (int64_t c = 0; c < a.inputs; ++c)
        sum += load(a.x, a.x_type, offset_of(a.x_strides, out.n, first + c, in)) * weight(a, out.c, c, tap);
    }
    store(a.y, a.y_type, offset_of(a.y_strides, out), biased(a, sum, out.c));
  }
}

__global__ void __launch_bounds__(kBlockThreads) narrow_input_gradient(const __grid_constant__ ConvolutionArguments a) {
  const int64_t channels = a.group * a.inputs, taps = volume_of(a.windows.kernel);
  const int64_t count = a.batch * channels * volume_of(a.windows.in);
  for (int64_t e = first_element(); e < count; e += grid_stride()) {
    const TensorIndex in = index_of(e, channels, a.windows.in, a.x_strides);
    const int64_t first = in.c / a.inputs * a.outputs;
    float sum = 0;
    for (int64_t k = 0; k < taps; ++k) {
      const Spatial tap = spatial_of(k, a.windows.kernel);
      Spatial out;
      if (!output_of(a.windows, in.spatial, tap, &out)) continue;
      for (int64_t o = first; o < first + a.outputs; ++o)
        sum += load(a.y, a.y_type, offset_of(a.y_strides, in.n, o, out)) * weight(a, o, in.c % a.inputs, tap);
    }
    store(a.x, a.x_type, offset_of(a.x_strides, in), biased(a, sum, in.c));
  }
}

// A block computes one filter element of blockDim.x output channels. The threads along y share the output positions.
__global__ void __launch_bounds__(kBlockThreads) narrow_weight_gradient(const __grid_constant__ WeightGradient w) {
  __shared__ float sums[kBlockThreads];
  const ConvolutionArguments& a = w.a;
  const int64_t channels = a.group * a.outputs, filter = w.filter();
  const int64_t across = (channels + blockDim.x - 1) / blockDim.x, items = w.parts * filter * across;
  const int x = static_cast<int>(threadIdx.x), y = static_cast<int>(threadIdx.y), width = static_cast<int>(blockDim.x);
  for (int64_t item = blockIdx.x; item < items; item += gridDim.x) {
    const int64_t o = item % across * width + x, element = item / across % filter, part = item / across / filter;
    const Spatial tap = spatial_of(element / a.inputs, a.windows.kernel);
    const int64_t channel = o / a.outputs * a.inputs + element % a.inputs;
    float sum = 0;
    if (o < channels) {
      const int64_t end = w.begin(part + 1);
      for (int64_t position = w.begin(part) + y; position < end; position += blockDim.y)
        sum += w.input(position, channel, tap) * w.gradient(position, o);
    }
    sums[y * width + x] = sum;
    __syncthreads();
    for (int half = static_cast<int>(blockDim.y) / 2; half > 0; half /= 2) {
      if (y < half) sums[y * width + x] += sums[(y + half) * width + x];
      __syncthreads();
    }
    if (y == 0 && o < channels) w.store_part(part, o, element, sums[x]);
  }
}

__global__ void __launch_bounds__(kBlockThreads) add_parts(const __grid_constant__ WeightGradient w) {
  const int64_t filter = w.filter(), weights = w.a.group * w.a.outputs * filter;
  for (int64_t i = first_element(); i < weights; i += grid_stride()) {
    float sum = 0;
    for (int64_t part = 0; part < w.parts; ++part) sum += w.a.partial[part * weights + i];
    w.store(i / filter, i % filter, sum);
  }
}

}  // namespace

cudaError_t launch_convolution(const ConvolutionArguments& a, cudaStream_t stream) {
  return launch_kernel(is_tiled(a) ? convolution : narrow_convolution, grid_of_convolution(a), a, stream);
}

cudaError_t launch_convolution_input_gradient(const ConvolutionArguments& a, cudaStream_t stream) {
  return launch_kernel(is_input_gradient_tiled(a) ? input_gradient : narrow_input_gradient, grid_of_input_gradient(a),
                       a, stream);
}

cudaError_t launch_convolution_weight_gradient(const ConvolutionArguments& a, cudaStream_t stream) {
  const WeightGradient w{a, weight_gradient_parts(a)};
  const cudaError_t queued =
      launch_kernel(is_tiled(a) ? weight_gradient : narrow_weight_gradient, grid_of_weight_gradient(a), w, stream);
  if (queued != cudaSuccess || w.parts == 1) return queued;
  return launch_kernel(add_parts, grid_of_elements(weights_of(a)), w, stream);
}

}  // namespace trainer::cuda
