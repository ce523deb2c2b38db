// Convolutions with 3x3 and 5x5 filters by Winograd's method, and their gradients, over channels-last images.
//
// The input gradient is a forward convolution of the output's gradient with flipped filters. The error is about 1e-5 of
// the largest result, because the transforms subtract numbers that are up to 16 times as large as the result.
#include <algorithm>
#include <string>

#include "device/cpu/cpu_kernel.h"
#include "device/cpu/direct/direct.h"
#include "device/cpu/isa.h"
#include "device/cpu/isa/winograd.h"
#include "device/cpu/parallel.h"
#include "runtime/windows.h"

namespace trainer::cpu {
namespace {

constexpr int64_t kMinChannels = 16;
constexpr int kSide = 6;  // of a tile of the input
// Sizes, measured on Zen 4 with 1 MiB of L2 cache per core: the transformed tiles of one thread; those of all threads
// that share sums; the largest sums of which each thread has its own.
constexpr int64_t kOwnBytes = 768 << 10, kTogetherBytes = 4 << 20, kMaxSumsApart = 1 << 20;
// If the transforms of the filters are larger than those of all tiles: the largest transforms of all tiles, and the
// inputs per part of a panel of filters.
constexpr int64_t kMaxTilesTogether = 12 << 20, kInputsTogether = 64, kFloat = sizeof(float);

const WinogradTable& winograd_table() {
  return for_isa(isa_v2::kWinogradTable, isa_v3::kWinogradTable, isa_v4::kWinogradTable);
}

// The input gradient is a forward convolution with flipped filters.
bool is_flipped(OpKind kind) { return kind == OpKind::kConvolutionInputGradient; }

WinogradTiles tiles_of(const ConvolutionGeometry& g, bool flipped) {
  const Windows& w = g.windows;
  const int64_t taps = w.kernel[1], side = kSide + 1 - taps;
  WinogradTiles t{};
  for (int i = 0; i < 2; ++i) {
    t.in[i] = flipped ? w.out[i + 1] : w.in[i + 1];
    t.out[i] = flipped ? w.in[i + 1] : w.out[i + 1];
    t.pad[i] = flipped ? taps - 1 - w.pad[i + 1] : w.pad[i + 1];
    t.tiles[i] = (t.out[i] + side - 1) / side;
  }
  t.inputs = flipped ? g.outputs : g.inputs;
  t.outputs = flipped ? g.inputs : g.outputs;
  t.in_pixel = g.group * t.inputs;
  t.out_pixel = g.group * t.outputs;
  return t;
}

int64_t panels_of(const WinogradTiles& t) { return (t.outputs + winograd_table().width - 1) / winograd_table().width; }

// The number of taps inside the image, over all positions of the window along an axis.
int64_t taps_inside(const Windows& w, int axis) {
  int64_t count = 0;
  for (int64_t o = 0; o < w.out[axis]; ++o) {
    const int64_t first = o - w.pad[axis];
    count += std::max<int64_t>(0, std::min(first + w.kernel[axis], w.in[axis]) - std::max<int64_t>(first, 0));
  }
  return count;
}

// Whether the method saves enough multiplications to pay for the transforms, which take about as long as half of the
// products (measured). Tiles and panels that extend past the image and the filters count in full. A plain convolution
// in bf16 is half as fast again; then the transforms of the filters also count, which matter for few tiles.
bool saves_work(const ConvolutionGeometry& g, const WinogradTiles& t, bool narrow) {
  constexpr double kMaxOfPlain = 2.0 / 3, kMaxOfNarrow = 0.44, kFilterTransform = 8;
  const int64_t plain = taps_inside(g.windows, 1) * taps_inside(g.windows, 2) * t.inputs * t.outputs;
  const int64_t products = kWinogradPlaces * t.inputs * panels_of(t) * winograd_table().width;
  const double tiles = static_cast<double>(t.tiles[0] * t.tiles[1]);
  const double filters = narrow ? kFilterTransform / static_cast<double>(g.batch) : 0;
  const double most = narrow ? kMaxOfNarrow : kMaxOfPlain;
  return (tiles + filters) * static_cast<double>(products) < most * static_cast<double>(plain);
}

template <typename T>
const WinogradImages<T>& winograd_images() {
  return for_isa(isa_v2::kWinogradImages, isa_v3::kWinogradImages, isa_v4::kWinogradImages).of<T>();
}

// The geometry of both kernels.
class Winograd : public CpuKernel {
 protected:
  explicit Winograd(const OpInstance& instance)
      : CpuKernel(instance), g_(convolution_geometry(instance)), table_(winograd_table()) {
    const bool flipped = is_flipped(instance.op->kind);
    const int64_t area = g_.windows.taps(), filter = g_.inputs * area;
    filter_ = g_.windows.kernel[1] == 5 ? 1 : 0;
    t_ = tiles_of(g_, flipped);
    f_ = {t_.inputs, t_.outputs, flipped ? area : filter, flipped ? filter : area, flipped};
    panels_ = panels_of(t_);
    tiles_ = g_.batch * t_.tiles[0] * t_.tiles[1];
  }

  // The number of tiles per block whose transforms fit in `bytes`. The filters are read once per block.
  int64_t block_within(int64_t bytes) const {
    const int64_t most = bytes / (kFloat * kWinogradPlaces * (t_.inputs + panels_ * table_.width));
    return std::min(std::clamp<int64_t>(most / 12 * 12, 24, 240), std::max<int64_t>(tiles_, 1));
  }
  // The floats of U per panel.
  int64_t panel_floats(int64_t inputs) const { return kWinogradPlaces * inputs * table_.width; }
  // Computes V of all tiles by parts of the inputs: [part][position][tile][kInputsTogether]; the last part may be
  // narrower. The values that are multiplied by a part of a panel are contiguous.
  template <typename T>
  void input_by_parts(const WinogradImages<T>& images, const T* x, int64_t begin, int64_t end, float* v) const {
    WinogradTiles part = t_;
    for (int64_t first = 0; first < t_.inputs; first += kInputsTogether) {
      part.inputs = std::min(kInputsTogether, t_.inputs - first);
      images.input[filter_](part, x + first, begin, end, part.inputs, tiles_ * part.inputs,
                            part_of(v, first) + begin * part.inputs);
    }
  }
  template <typename Pointer>
  Pointer part_of(Pointer v, int64_t first) const {
    return v + kWinogradPlaces * tiles_ * first;
  }
  bool has_whole_vectors() const { return t_.inputs % 16 == 0 && t_.outputs % 16 == 0; }

  int64_t filters_bytes() const { return aligned(panels_ * panel_floats(t_.inputs) * kFloat); }
  int64_t weights_at(int64_t group) const { return group * g_.outputs * g_.filter(); }
  float* at(int64_t bytes) const { return reinterpret_cast<float*>(workspace() + bytes); }

  ConvolutionGeometry g_;
  const WinogradTable& table_;
  WinogradTiles t_{};
  WinogradFilters f_{};
  int filter_ = 0;
  int64_t panels_ = 1, tiles_ = 0;
};

// The forward pass or the input gradient. Either U of all filters is computed and the threads share blocks of tiles,
// or, if U is larger, V of all tiles is computed and the threads share panels of filters. T: float or Bf16.
template <typename T>
class WinogradProduct : public Winograd {
 public:
  explicit WinogradProduct(const OpInstance& instance)
      : Winograd(instance),
        epilogue_(instance.op->as<ConvolutionAttributes>().epilogue),
        by_panels_(filters_bytes() > std::max(tiles_bytes(), kOwnBytes) && tiles_bytes() <= kMaxTilesTogether &&
                   panels_ >= 2 * threads() && has_whole_vectors()),
        block_(by_panels_ ? tiles_ : block_within(kOwnBytes)) {}

  int64_t workspace_bytes() const override {
    return (by_panels_ ? tiles_bytes() : filters_bytes()) + threads() * scratch_bytes();
  }

  void run(const RunContext&) override {
    for (int64_t group = 0; group < g_.group; ++group) by_panels_ ? run_by_panels(group) : run_by_tiles(group);
  }

 private:
  int64_t tiles_bytes() const { return aligned(kWinogradPlaces * tiles_ * t_.inputs * kFloat); }
  int64_t scratch_bytes() const {
    return aligned((by_panels_ ? panel_floats(kInputsTogether) + kWinogradPlaces * tiles_ * table_.width
                               : kWinogradPlaces * block_ * (t_.inputs + panels_ * table_.width)) *
                   kFloat);
  }
  float* scratch(int64_t thread) const {
    return at((by_panels_ ? tiles_bytes() : filters_bytes()) + thread * scratch_bytes());
  }
  const T* x(int64_t group) const { return input<T>(0) + group * t_.inputs; }
  const float* weights(int64_t group) const { return input(1) + weights_at(group); }
  T* y(int64_t group) const { return output<T>(0) + group * t_.outputs; }
  ChannelEpilogue epilogue(int64_t group) const {
    const float* bias = optional_input(2);
    return {bias == nullptr ? nullptr : bias + group * t_.outputs, epilogue_.relu ? epilogue_.slope : 1.0f};
  }

  void run_by_tiles(int64_t group) const {
    const int64_t width = table_.width, outputs = panels_ * width;
    float* u = at(0);
    parallel_ranges(threads(), panels_, kSerialWork, [&](int, int64_t begin, int64_t end) {
      for (int64_t panel = begin; panel < end; ++panel)
        table_.filters[filter_](f_, weights(group), panel, 0, t_.inputs, u + panel * panel_floats(t_.inputs));
    });
    parallel_ranges(threads(), tiles_, kSerialWork, [&](int thread, int64_t begin, int64_t end) {
      for (int64_t tile = begin; tile < end; tile += block_) {
        const int64_t count = std::min(block_, end - tile);
        float* v = scratch(thread);
        float* m = v + kWinogradPlaces * count * t_.inputs;
        images_.input[filter_](t_, x(group), tile, tile + count, t_.inputs, count * t_.inputs, v);
        for (int64_t place = 0; place < kWinogradPlaces; ++place) {
          for (int64_t panel = 0; panel < panels_; ++panel) {
            table_.multiply(v + place * count * t_.inputs, t_.inputs, 1,
                            u + panel * panel_floats(t_.inputs) + place * t_.inputs * width, t_.inputs, count,
                            m + place * count * outputs + panel * width, outputs, false);
          }
        }
        images_.output[filter_](t_, m, outputs, count * outputs, epilogue(group), tile, tile + count, y(group));
      }
    });
  }

  void run_by_panels(int64_t group) const {
    const int64_t width = table_.width;
    float* v = at(0);
#pragma omp parallel num_threads(threads())
    {
      const int64_t team = omp_get_num_threads(), thread = omp_get_thread_num();
      input_by_parts(images_, x(group), tiles_ * thread / team, tiles_ * (thread + 1) / team, v);
      float* u = scratch(thread);
      float* m = u + panel_floats(kInputsTogether);
#pragma omp barrier
      for (int64_t panel = panels_ * thread / team; panel < panels_ * (thread + 1) / team; ++panel) {
        for (int64_t first = 0; first < t_.inputs; first += kInputsTogether) {
          const int64_t count = std::min(kInputsTogether, t_.inputs - first);
          table_.filters[filter_](f_, weights(group), panel, first, first + count, u);
          for (int64_t place = 0; place < kWinogradPlaces; ++place) {
            table_.multiply(part_of(v, first) + place * tiles_ * count, count, 1, u + place * count * width, count,
                            tiles_, m + place * tiles_ * width, width, first > 0);
          }
        }
        WinogradTiles part = t_;
        part.outputs = std::min(width, t_.outputs - panel * width);
        ChannelEpilogue whole = epilogue(group);
        if (whole.bias != nullptr) whole.bias += panel * width;
        images_.output[filter_](part, m, width, tiles_ * width, whole, 0, tiles_, y(group) + panel * width);
      }
    }
  }

  const WinogradImages<T>& images_ = winograd_images<T>();
  Epilogue epilogue_;
  bool by_panels_;
  int64_t block_;
};

// The gradient of the filters. With few sums, each thread has its own. With many sums and few tiles, all tiles are
// transformed and each thread computes parts of the sums. Otherwise the threads transform a block of tiles together and
// share its products. T: float or Bf16.
template <typename T>
class WinogradWeightGradient : public Winograd {
 public:
  explicit WinogradWeightGradient(const OpInstance& instance) : Winograd(instance) {
    apart_ = filters_bytes() <= kMaxSumsApart;
    block_ = tiles_;
    at_once_ = !apart_ && has_whole_vectors() && scratch_bytes() <= std::min(filters_bytes(), kMaxTilesTogether);
    if (!at_once_) block_ = block_within(apart_ ? kOwnBytes : kTogetherBytes);
  }

  int64_t workspace_bytes() const override {
    if (at_once_) return scratch_bytes() + threads() * part_bytes();
    return apart_ ? threads() * (filters_bytes() + scratch_bytes()) : filters_bytes() + scratch_bytes();
  }

  void run(const RunContext&) override {
    for (int64_t group = 0; group < g_.group; ++group) {
      if (apart_) {
        run_apart(group);
      } else if (at_once_) {
        run_at_once(group);
      } else {
        run_together(group);
      }
    }
  }

 private:
  // V and A dy A^T of a block of tiles.
  int64_t scratch_bytes() const {
    return aligned(kWinogradPlaces * block_ * (t_.inputs + panels_ * table_.width) * kFloat);
  }
  int64_t part_bytes() const { return aligned(panel_floats(kInputsTogether) * kFloat); }
  float* scratch(int64_t thread) const {
    return at_once_ ? at(0) : at((apart_ ? threads() : 1) * filters_bytes() + thread * scratch_bytes());
  }
  float* sums(int64_t thread) const {
    return at_once_ ? at(scratch_bytes() + thread * part_bytes()) : at(thread * filters_bytes());
  }
  float* weights(int64_t group) const { return output(0) + weights_at(group); }

  const T* x(int64_t group) const { return input<T>(0) + group * t_.inputs; }
  // A dy A^T of a block of tiles, stored after their V.
  float* gradient_at(float* v, int64_t count) const { return v + kWinogradPlaces * count * t_.inputs; }
  const float* gradient_at(const float* v, int64_t count, int64_t panel, int64_t place) const {
    return v + kWinogradPlaces * count * t_.inputs + (panel * kWinogradPlaces + place) * count * table_.width;
  }
  // Transforms the tiles [first, end) of the `count` tiles from `tile`.
  void transform_gradient(int64_t group, int64_t tile, int64_t count, int64_t first, int64_t end, float* v) const {
    const int64_t width = table_.width;
    images_.gradient[filter_](t_, input<T>(1) + group * t_.outputs, panels_, tile + first, tile + end,
                              kWinogradPlaces * count * width, count * width, gradient_at(v, count) + first * width);
  }
  void transform(int64_t group, int64_t tile, int64_t count, int64_t first, int64_t end, float* v) const {
    images_.input[filter_](t_, x(group), tile + first, tile + end, t_.inputs, count * t_.inputs, v + first * t_.inputs);
    transform_gradient(group, tile, count, first, end, v);
  }
  // A unit is a panel at a position of a tile. The units of a position are adjacent, so that its tiles are read once.
  void add_units(const float* v, int64_t count, int64_t begin, int64_t end, float* sums) const {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t place = unit / panels_, panel = unit % panels_;
      table_.multiply(v + place * count * t_.inputs, 1, t_.inputs, gradient_at(v, count, panel, place), count,
                      t_.inputs, sums + panel * panel_floats(t_.inputs) + place * t_.inputs * table_.width,
                      table_.width, true);
    }
  }
  void transform_sums(int64_t group, int64_t begin, int64_t end) const {
    for (int64_t panel = begin; panel < end; ++panel)
      table_.filter_gradient[filter_](f_, sums(0) + panel * panel_floats(t_.inputs), panel, 0, t_.inputs,
                                      weights(group));
  }

  void run_at_once(int64_t group) const {
    const int64_t parts = (t_.inputs + kInputsTogether - 1) / kInputsTogether, units = parts * panels_;
#pragma omp parallel num_threads(threads())
    {
      const int64_t team = omp_get_num_threads(), thread = omp_get_thread_num();
      const int64_t begin = tiles_ * thread / team, end = tiles_ * (thread + 1) / team;
      float* v = scratch(0);
      input_by_parts(images_, x(group), begin, end, v);
      transform_gradient(group, 0, tiles_, begin, end, v);
#pragma omp barrier
      for (int64_t unit = units * thread / team; unit < units * (thread + 1) / team; ++unit) {
        const int64_t panel = unit / parts, first = unit % parts * kInputsTogether;
        const int64_t count = std::min(kInputsTogether, t_.inputs - first);
        for (int64_t place = 0; place < kWinogradPlaces; ++place) {
          table_.multiply(part_of(v, first) + place * tiles_ * count, 1, count, gradient_at(v, tiles_, panel, place),
                          tiles_, count, sums(thread) + place * count * table_.width, table_.width, false);
        }
        table_.filter_gradient[filter_](f_, sums(thread), panel, first, first + count, weights(group));
      }
    }
  }

  void run_together(int64_t group) const {
    const int64_t units = kWinogradPlaces * panels_;
    parallel_ranges(threads(), filters_bytes() / kFloat, 1,
                    [&](int, int64_t begin, int64_t end) { std::fill(sums(0) + begin, sums(0) + end, 0.0f); });
#pragma omp parallel num_threads(threads())
    {
      const int64_t team = omp_get_num_threads(), thread = omp_get_thread_num();
      for (int64_t tile = 0; tile < tiles_; tile += block_) {
        const int64_t count = std::min(block_, tiles_ - tile);
        transform(group, tile, count, count * thread / team, count * (thread + 1) / team, scratch(0));
#pragma omp barrier
        add_units(scratch(0), count, units * thread / team, units * (thread + 1) / team, sums(0));
#pragma omp barrier
      }
      transform_sums(group, panels_ * thread / team, panels_ * (thread + 1) / team);
    }
  }

  void run_apart(int64_t group) const {
    const int64_t units = kWinogradPlaces * panels_, floats = panels_ * panel_floats(t_.inputs);
#pragma omp parallel num_threads(threads())
    {
      const int64_t team = omp_get_num_threads(), thread = omp_get_thread_num();
      std::fill_n(sums(thread), floats, 0.0f);
      const int64_t end = tiles_ * (thread + 1) / team;
      for (int64_t tile = tiles_ * thread / team; tile < end; tile += block_) {
        const int64_t count = std::min(block_, end - tile);
        transform(group, tile, count, 0, count, scratch(thread));
        add_units(scratch(thread), count, 0, units, sums(thread));
      }
#pragma omp barrier
      for (int64_t other = 1; other < team; ++other) {
        const float* from = sums(other);
        for (int64_t i = floats * thread / team; i < floats * (thread + 1) / team; ++i) sums(0)[i] += from[i];
      }
#pragma omp barrier
      transform_sums(group, panels_ * thread / team, panels_ * (thread + 1) / team);
    }
  }

  const WinogradImages<T>& images_ = winograd_images<T>();
  int64_t block_ = 1;
  bool apart_ = false, at_once_ = false;
};

template <template <typename> class Kernel>
std::unique_ptr<trainer::Kernel> create(const OpInstance& instance) {
  if (convolution_operands(instance).x->dtype == DType::kBF16) return std::make_unique<Kernel<Bf16>>(instance);
  return std::make_unique<Kernel<float>>(instance);
}

}  // namespace

std::string refuse_winograd_direct(const OpInstance& instance) {
  const ConvolutionOperands operands = convolution_operands(instance);
  const std::string reason = refuse_images(operands);
  if (!reason.empty()) return reason;
  if (operands.x->dtype != operands.y->dtype) return "input and output have different types";
  const ConvolutionGeometry g = convolution_geometry(instance);
  const Windows& w = g.windows;
  const int64_t taps = w.kernel[1];
  if (operands.x->shape.rank() != 4 || w.kernel[2] != taps || (taps != 3 && taps != 5))
    return "the kernel is not 3x3 or 5x5";
  for (int i = 1; i < 3; ++i) {
    if (w.stride[i] != 1 || w.dilation[i] != 1) return "stride or dilation is not 1";
    if (w.pad[i] >= taps) return "the padding is as wide as the kernel";
  }
  if (std::min(g.inputs, g.outputs) < kMinChannels) return "fewer than 16 channels a group";
  const bool narrow = operands.x->dtype == DType::kBF16;
  if (!saves_work(g, tiles_of(g, is_flipped(instance.op->kind)), narrow))
    return "too few multiplications would be saved";
  return "";
}

std::unique_ptr<Kernel> create_winograd_direct(const OpInstance& instance) {
  return instance.op->kind == OpKind::kConvolutionWeightGradient ? create<WinogradWeightGradient>(instance)
                                                                 : create<WinogradProduct>(instance);
}

}  // namespace trainer::cpu
