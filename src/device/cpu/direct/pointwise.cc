// Convolutions with 1x1 filters, and their gradients: matrix products over channels-last pixels.
//
// The next block of pixels is prefetched while one is multiplied. Results that are too large for the caches use
// non-temporal stores. A stride skips pixels: the others are gathered block by block, and the input gradient of skipped
// pixels is an empty sum. For bf16 there is only the weight gradient.
#include <algorithm>
#include <string>

#include "device/cpu/cpu_kernel.h"
#include "device/cpu/direct/direct.h"
#include "device/cpu/epilogue.h"
#include "device/cpu/isa.h"
#include "device/cpu/isa/pointwise.h"
#include "device/cpu/parallel.h"
#include "runtime/windows.h"

namespace trainer::cpu {
namespace {

constexpr int64_t kFloat = sizeof(float);
// Sizes: a thread's block of pixels; the packed pixels that all threads share; those of a thread with its own sums; the
// largest sums of which each thread has its own.
constexpr int64_t kBlockBytes = 128 << 10, kTogetherBytes = 2 << 20, kOwnBytes = 512 << 10, kMaxSumsApart = 512 << 10;

int64_t groups_of(int64_t count, int64_t size) { return (count + size - 1) / size; }

const PointwiseTable& pointwise_table() {
  return for_isa(isa_v2::kPointwiseTable, isa_v3::kPointwiseTable, isa_v4::kPointwiseTable);
}

// The geometry of both kernels.
class Pointwise : public CpuKernel {
 protected:
  explicit Pointwise(const OpInstance& instance)
      : CpuKernel(instance),
        g_(convolution_geometry(instance)),
        table_(pointwise_table()),
        pixels_(g_.batch * g_.windows.out_count()) {
    for (int64_t stride : g_.windows.stride) strided_ = strided_ || stride != 1;
  }

  int64_t weights_at(int64_t group) const { return group * g_.outputs * g_.inputs; }

  // Calls body(i, offset of the input pixel) for the output pixels i of [begin, end).
  template <typename Body>
  void each_pixel(int64_t begin, int64_t end, const Body& body) const {
    const Windows& w = g_.windows;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t column = i % w.out[2], row = i / w.out[2] % w.out[1], depth = i / (w.out[2] * w.out[1]) % w.out[0];
      const int64_t n = i / w.out_count();
      const int64_t pixel =
          ((n * w.in[0] + depth * w.stride[0]) * w.in[1] + row * w.stride[1]) * w.in[2] + column * w.stride[2];
      body(i, pixel * g_.in_channels());
    }
  }
  // The input pixels of the output pixels [begin, end), with a distance of `pixel_elements`. If the stride skips
  // pixels, they are copied to `to`.
  template <typename T>
  const T* gathered(const T* x, int64_t begin, int64_t end, T* to, int64_t* pixel_elements) const {
    *pixel_elements = strided_ ? g_.inputs : g_.in_channels();
    if (!strided_) return x + begin * g_.in_channels();
    each_pixel(begin, end,
               [&](int64_t i, int64_t at) { std::copy_n(x + at, g_.inputs, to + (i - begin) * g_.inputs); });
    return to;
  }
  // The memory of the pixels [begin, end) of a tensor with `pixel_elements` contiguous elements per pixel.
  template <typename T>
  static NextRead next_read(const T* tensor, int64_t begin, int64_t end, int64_t pixel_elements) {
    const int64_t elements = std::max<int64_t>(end - begin, 0) * pixel_elements;
    return {reinterpret_cast<const float*>(tensor + begin * pixel_elements),
            elements * static_cast<int64_t>(sizeof(T)) / kFloat};
  }

  ConvolutionGeometry g_;
  const PointwiseTable& table_;
  int64_t pixels_;
  bool strided_ = false;
};

// The forward pass or the input gradient: the product of each block of pixels with the packed filters.
class PointwiseProduct : public Pointwise {
 public:
  explicit PointwiseProduct(const OpInstance& instance)
      : Pointwise(instance),
        forward_(instance.op->kind == OpKind::kConvolution),
        epilogue_(instance.op->as<ConvolutionAttributes>().epilogue) {
    block_ = std::clamp<int64_t>(kBlockBytes / (kFloat * steps()) / 12 * 12, 24, 192);
    block_ = std::min(block_, std::max<int64_t>(pixels_, 1));
  }

  int64_t workspace_bytes() const override { return filters_bytes() + threads() * scratch_bytes(); }

  void run(const RunContext&) override {
    for (int64_t group = 0; group < g_.group; ++group) run_group(group);
  }

 private:
  // The depth and the columns of the product.
  int64_t steps() const { return forward_ ? g_.inputs : g_.outputs; }
  int64_t columns() const { return forward_ ? g_.outputs : g_.inputs; }
  int64_t panels() const { return groups_of(columns(), table_.width); }

  int64_t filters_bytes() const { return aligned(panels() * table_.width * steps() * kFloat); }
  int64_t scratch_bytes() const {
    return aligned(((strided_ ? block_ * g_.inputs : 0) + (spread() ? spread_floats() : 0)) * kFloat);
  }
  float* filters() const { return reinterpret_cast<float*>(workspace()); }
  float* scratch(int64_t thread) const {
    return reinterpret_cast<float*>(workspace() + filters_bytes() + thread * scratch_bytes());
  }

  // Rows with a distance of a multiple of 4 KiB map to the same few sets of the L1 cache. Then the block is copied,
  // with each row offset by a line.
  bool spread() const { return g_.group * steps() % 1024 == 0; }
  int64_t spread_floats() const { return block_ * (steps() + 16); }
  const float* spread_out(const float* x, int64_t count, int64_t pixel, float* to, int64_t* pixel_floats) const {
    *pixel_floats = steps() + 16;
    for (int64_t i = 0; i < count; ++i) std::copy_n(x + i * pixel, steps(), to + i * *pixel_floats);
    return to;
  }

  void run_group(int64_t group) const {
    const float* w = input(1) + weights_at(group);
    parallel_ranges(threads(), panels(), steps() * table_.width, [&](int, int64_t begin, int64_t end) {
      table_.pack_panels(w, forward_ ? 1 : g_.inputs, forward_ ? g_.inputs : 1, steps(), columns(), begin, end,
                         filters());
    });
    if (strided_ && !forward_ && group == 0) fill_skipped();
    const float* from = input(0) + group * steps();
    float* to = output(0) + group * columns();
    const float* bias = optional_input(2);
    if (bias != nullptr) bias += group * columns();
    const int64_t from_pixel = g_.group * steps(), to_pixel = g_.group * columns();
    const bool gathers = strided_ && forward_, scatters = strided_ && !forward_, spreads = !gathers && spread();
    const bool around = !scatters && to_pixel % 16 == 0 && leaves_caches(to, pixels_ * to_pixel);
    parallel_ranges(threads(), pixels_, kSerialWork, [&](int thread, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i += block_) {
        const int64_t stop = std::min(end, i + block_);
        int64_t pixel_floats = from_pixel;
        const float* x = from + i * from_pixel;
        if (gathers) x = gathered(from, i, stop, scratch(thread), &pixel_floats);
        if (spreads) x = spread_out(x, stop - i, from_pixel, scratch(thread), &pixel_floats);
        float* y = scatters ? scratch(thread) + (spreads ? spread_floats() : 0) : to + i * to_pixel;
        const NextRead next = gathers ? NextRead{} : next_read(from, stop, std::min(end, stop + block_), from_pixel);
        table_.multiply(x, pixel_floats, filters(), steps(), columns(), stop - i, bias, slope(), y,
                        scatters ? columns() : to_pixel, around, next);
        if (!scatters) continue;
        each_pixel(i, stop,
                   [&](int64_t pixel, int64_t at) { std::copy_n(y + (pixel - i) * columns(), columns(), to + at); });
      }
    });
  }
  float slope() const { return epilogue_.relu ? epilogue_.slope : 1.0f; }

  // Input pixels that the stride skips: the epilogue of an empty sum.
  void fill_skipped() const {
    const int64_t channels = g_.in_channels(), pixels = g_.batch * g_.windows.in_count();
    parallel_ranges(threads(), pixels, channels, [&](int, int64_t begin, int64_t end) {
      std::fill(output(0) + begin * channels, output(0) + end * channels, 0.0f);
    });
    apply_epilogue_to_rows(threads(), pixels, channels, optional_input(2), epilogue_, output(0));
  }

  bool forward_;
  Epilogue epilogue_;
  int64_t block_ = 1;
};

// The product of the output's gradient and the input, both packed by blocks of pixels. T: float or Bf16.
template <typename T>
class PointwiseWeightGradient : public Pointwise {
 public:
  explicit PointwiseWeightGradient(const OpInstance& instance) : Pointwise(instance), packing_(table_.sums.of<T>()) {
    apart_ = sums_bytes() <= kMaxSumsApart;
    const int64_t floats = strips() * table_.rows + panels() * table_.width;
    block_ = std::clamp<int64_t>((apart_ ? kOwnBytes : kTogetherBytes) / (kFloat * floats) / 8 * 8, 32, 512) * kPixels;
    block_ = std::min(block_, std::max<int64_t>(pixels_, 1));
  }

  int64_t workspace_bytes() const override {
    return apart_ ? threads() * (sums_bytes() + scratch_bytes()) : sums_bytes() + scratch_bytes();
  }

  void run(const RunContext&) override {
    for (int64_t group = 0; group < g_.group; ++group) run_group(group);
  }

 private:
  static constexpr int64_t kPixels = kFloat / static_cast<int64_t>(sizeof(T));  // per word
  static int64_t words_of(int64_t pixels) { return groups_of(pixels, kPixels); }

  int64_t panels() const { return groups_of(g_.inputs, table_.width); }
  int64_t strips() const { return groups_of(g_.outputs, table_.rows); }
  int64_t sums_bytes() const { return aligned(panels() * table_.width * strips() * table_.rows * kFloat); }
  int64_t gathered_floats() const { return strided_ ? words_of(block_) * g_.inputs : 0; }
  // Copied pixels, followed by packed pixels.
  int64_t scratch_bytes() const {
    return aligned((gathered_floats() + words_of(block_) * (strips() * table_.rows + panels() * table_.width)) *
                   kFloat);
  }
  float* sums(int64_t thread) const { return reinterpret_cast<float*>(workspace() + thread * sums_bytes()); }
  float* scratch(int64_t thread) const {
    return reinterpret_cast<float*>(workspace() + (apart_ ? threads() : 1) * sums_bytes() + thread * scratch_bytes());
  }

  // Either the threads pack each block of pixels together and share its products, or each thread has its own pixels and
  // its own sums.
  void run_group(int64_t group) const {
    const T* x = input<T>(0) + group * g_.inputs;
    const T* gradient = input<T>(1) + group * g_.outputs;
    const int64_t units = strips() * panels(), unit_floats = table_.rows * table_.width;
#pragma omp parallel num_threads(threads())
    {
      const int64_t team = omp_get_num_threads(), thread = omp_get_thread_num();
      const int64_t first = units * thread / team, end = units * (thread + 1) / team;
      if (apart_) {
        std::fill_n(sums(thread), units * unit_floats, 0.0f);
        const int64_t stop = pixels_ * (thread + 1) / team;
        for (int64_t i = pixels_ * thread / team; i < stop; i += block_) {
          const int64_t count = std::min(block_, stop - i);
          pack(x, gradient, i, count, 0, words_of(count), scratch(thread));
          add(x, gradient, i + count, std::min(stop, i + count + block_), words_of(count), 0, units, scratch(thread),
              sums(thread));
        }
#pragma omp barrier
        for (int64_t other = 1; other < team; ++other) {
          for (int64_t i = first * unit_floats; i < end * unit_floats; ++i) sums(0)[i] += sums(other)[i];
        }
      } else {
        std::fill(sums(0) + first * unit_floats, sums(0) + end * unit_floats, 0.0f);
        for (int64_t i = 0; i < pixels_; i += block_) {
          const int64_t count = std::min(block_, pixels_ - i), next = i + count,
                        ahead = std::min(block_, pixels_ - next);
          const int64_t words = words_of(count);
          pack(x, gradient, i, count, words * thread / team, words * (thread + 1) / team, scratch(0));
#pragma omp barrier
          add(x, gradient, next + ahead * thread / team, next + ahead * (thread + 1) / team, words, first, end,
              scratch(0), sums(0));
#pragma omp barrier
        }
      }
#pragma omp barrier
      unpack(g_.outputs * thread / team, g_.outputs * (thread + 1) / team, output(0) + weights_at(group));
    }
  }
  // Packs the words [first, end) of the pixels [begin, begin + count).
  void pack(const T* x, const T* gradient, int64_t begin, int64_t count, int64_t first, int64_t end, float* to) const {
    float* strips_at = to + gathered_floats();
    const int64_t words = words_of(count), first_pixel = first * kPixels, end_pixel = std::min(end * kPixels, count);
    packing_.pack_strips(gradient + begin * g_.out_channels(), g_.out_channels(), g_.outputs, count, words, first, end,
                         strips_at);
    int64_t pixel = 0;
    T* copies = reinterpret_cast<T*>(to) + first_pixel * g_.inputs;
    const T* from = gathered(x, begin + first_pixel, begin + end_pixel, copies, &pixel);
    packing_.pack_pixels(from - first_pixel * pixel, pixel, g_.inputs, count, words, first, end, panels_of(to));
  }
  // Adds the products of `words` packed words, and prefetches the pixels [next, next_end).
  void add(const T* x, const T* gradient, int64_t next, int64_t next_end, int64_t words, int64_t first, int64_t end,
           float* packed, float* to) const {
    const NextRead reads[2] = {next_read(gradient, next, next_end, g_.out_channels()),
                               strided_ ? NextRead{} : next_read(x, next, next_end, g_.in_channels())};
    packing_.add_products(packed + gathered_floats(), panels_of(packed), strips(), words, first, end, to, reads);
  }
  float* panels_of(float* scratch) const {
    return scratch + gathered_floats() + words_of(block_) * strips() * table_.rows;
  }
  // Rows [begin, end) of the weights from the sums [panel][output][width].
  void unpack(int64_t begin, int64_t end, float* to) const {
    const int64_t outputs = strips() * table_.rows;
    for (int64_t o = begin; o < end; ++o) {
      for (int64_t panel = 0; panel < panels(); ++panel) {
        std::copy_n(sums(0) + (panel * outputs + o) * table_.width,
                    std::min(table_.width, g_.inputs - panel * table_.width),
                    to + o * g_.inputs + panel * table_.width);
      }
    }
  }

  const PointwiseSums<T>& packing_;
  int64_t block_ = 1;
  bool apart_ = false;
};

}  // namespace

std::string refuse_pointwise_direct(const OpInstance& instance) {
  const ConvolutionOperands operands = convolution_operands(instance);
  std::string reason = refuse_images(operands);
  const bool narrow = operands.x->dtype == DType::kBF16 && operands.y->dtype == DType::kBF16 &&
                      instance.op->kind == OpKind::kConvolutionWeightGradient;
  if (reason.empty() && !narrow) reason = refuse_bf16(instance);
  if (!reason.empty()) return reason;
  if (narrow && (pointwise_table().sums.bf16.add_products == nullptr || !__builtin_cpu_supports("avx512bf16")))
    return "the processor multiplies no bf16";
  const ConvolutionGeometry g = convolution_geometry(instance);
  if (g.windows.taps() != 1) return "the kernel is larger than a pixel";
  for (int64_t pad : g.windows.pad) {
    if (pad != 0) return "the input is padded";
  }
  if (std::min(g.inputs, g.outputs) < 16) return "fewer than 16 channels a group";
  if (g.batch * g.windows.out_count() < 64) return "fewer than 64 pixels";
  return "";
}

std::unique_ptr<Kernel> create_pointwise_direct(const OpInstance& instance) {
  if (instance.op->kind != OpKind::kConvolutionWeightGradient) return std::make_unique<PointwiseProduct>(instance);
  if (instance.inputs[0].dtype == DType::kBF16) return std::make_unique<PointwiseWeightGradient<Bf16>>(instance);
  return std::make_unique<PointwiseWeightGradient<float>>(instance);
}

}  // namespace trainer::cpu
