// Convolutions of 3x3 and 5x5 by Winograd's method, with their gradients, over channels-last images.
//
// The input gradient is a forward convolution of the output's gradient with the filters turned. Results differ from a
// plain sum by about 1e-5 of the largest: the transforms subtract numbers up to 16 times as large as the result.
#include <algorithm>
#include <string>

#include "device/cpu/bound_kernel.h"
#include "device/cpu/direct/direct.h"
#include "device/cpu/isa.h"
#include "device/cpu/isa/winograd.h"
#include "device/cpu/parallel.h"
#include "runtime/windows.h"

namespace trainer::cpu {
namespace {

constexpr int64_t kLeastChannels = 16;
constexpr int kSide = 6;  // of a tile of the input
// Measured on Zen 4 with 1 MiB of second-level cache a core: the transformed tiles of one thread, or of all threads
// that work on the same sums; sums that each thread has for itself.
constexpr int64_t kOwnBytes = 768 << 10, kTogetherBytes = 4 << 20, kMostSumsApart = 1 << 20;
// Transforms of all tiles, where the filters' are larger; then so many inputs of a panel of filters at a time.
constexpr int64_t kMostTilesTogether = 12 << 20, kInputsTogether = 64, kFloat = sizeof(float);

const WinogradTable& winograd_table() {
  return for_isa(isa_v2::kWinogradTable, isa_v3::kWinogradTable, isa_v4::kWinogradTable);
}

// The input gradient is a forward convolution from the output's side.
bool is_turned(OpKind kind) { return kind == OpKind::kConvolutionInputGradient; }

WinogradTiles tiles_of(const ConvolutionGeometry& g, bool turned) {
  const Windows& w = g.windows;
  const int64_t taps = w.kernel[1], side = kSide + 1 - taps;
  WinogradTiles t{};
  for (int i = 0; i < 2; ++i) {
    t.in[i] = turned ? w.out[i + 1] : w.in[i + 1];
    t.out[i] = turned ? w.in[i + 1] : w.out[i + 1];
    t.pad[i] = turned ? taps - 1 - w.pad[i + 1] : w.pad[i + 1];
    t.tiles[i] = (t.out[i] + side - 1) / side;
  }
  t.inputs = turned ? g.outputs : g.inputs;
  t.outputs = turned ? g.inputs : g.outputs;
  t.in_pixel = g.group * t.inputs;
  t.out_pixel = g.group * t.outputs;
  return t;
}

int64_t panels_of(const WinogradTiles& t) { return (t.outputs + winograd_table().width - 1) / winograd_table().width; }

// Taps of an image that lie inside it, over all places of a window along an axis.
int64_t taps_inside(const Windows& w, int axis) {
  int64_t count = 0;
  for (int64_t o = 0; o < w.out[axis]; ++o) {
    const int64_t first = o - w.pad[axis];
    count += std::max<int64_t>(0, std::min(first + w.kernel[axis], w.in[axis]) - std::max<int64_t>(first, 0));
  }
  return count;
}

// Whether enough multiplications are saved for an image, tiles and panels that hang over included, to pay for the
// transforms: measured, they take about as long as half of the products.
// A plain sum of bf16 is half as fast again; there it counts, too, that a batch of few tiles must pay for
// the filters' transforms.
bool saves_work(const ConvolutionGeometry& g, const WinogradTiles& t, bool narrow) {
  constexpr double kMostOfPlain = 2.0 / 3, kMostOfNarrow = 0.44, kFilterTransform = 8;
  const int64_t plain = taps_inside(g.windows, 1) * taps_inside(g.windows, 2) * t.inputs * t.outputs;
  const int64_t products = kWinogradPlaces * t.inputs * panels_of(t) * winograd_table().width;
  const double tiles = static_cast<double>(t.tiles[0] * t.tiles[1]);
  const double filters = narrow ? kFilterTransform / static_cast<double>(g.batch) : 0;
  const double most = narrow ? kMostOfNarrow : kMostOfPlain;
  return (tiles + filters) * static_cast<double>(products) < most * static_cast<double>(plain);
}

template <typename T>
const WinogradImages<T>& winograd_images() {
  return for_isa(isa_v2::kWinogradImages, isa_v3::kWinogradImages, isa_v4::kWinogradImages).of<T>();
}

// What both kernels know of the tiles.
class Winograd : public BoundKernel {
 protected:
  explicit Winograd(const OpInstance& instance)
      : BoundKernel(instance), g_(convolution_geometry(instance)), table_(winograd_table()) {
    const bool turned = is_turned(instance.op->kind);
    const int64_t area = g_.windows.taps(), filter = g_.inputs * area;
    filter_ = g_.windows.kernel[1] == 5 ? 1 : 0;
    t_ = tiles_of(g_, turned);
    f_ = {t_.inputs, t_.outputs, turned ? area : filter, turned ? filter : area, turned};
    panels_ = panels_of(t_);
    tiles_ = g_.batch * t_.tiles[0] * t_.tiles[1];
  }

  // Tiles at a time whose transforms are within a budget: the filters' are read once for all of them.
  int64_t block_within(int64_t bytes) const {
    const int64_t most = bytes / (kFloat * kWinogradPlaces * (t_.inputs + panels_ * table_.width));
    return std::min(std::clamp<int64_t>(most / 12 * 12, 24, 240), std::max<int64_t>(tiles_, 1));
  }
  // Floats of U of a panel.
  int64_t panel_floats(int64_t inputs) const { return kWinogradPlaces * inputs * table_.width; }
  // V of all tiles by parts of the inputs, [part][place][tile][kInputsTogether], the last part the narrower: what is
  // multiplied by a part of a panel lies together.
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

// Forward, or the input gradient. Either U of all filters is made and the threads take blocks of tiles, or, where it is
// the larger, V of all tiles and they take panels of filters. T: float or Bf16.
template <typename T>
class WinogradProduct : public Winograd {
 public:
  explicit WinogradProduct(const OpInstance& instance)
      : Winograd(instance),
        epilogue_(instance.op->as<ConvolutionAttributes>().epilogue),
        by_panels_(filters_bytes() > std::max(tiles_bytes(), kOwnBytes) && tiles_bytes() <= kMostTilesTogether &&
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
  Finish finish(int64_t group) const {
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
        images_.output[filter_](t_, m, outputs, count * outputs, finish(group), tile, tile + count, y(group));
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
        Finish whole = finish(group);
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

// The filters' gradient. Few sums: each thread has its own. Many and few tiles: all tiles are transformed, and each
// thread makes a part of the sums after the other. Otherwise the threads transform a block of tiles together and share
// its products out. T: float or Bf16.
template <typename T>
class WinogradWeightGradient : public Winograd {
 public:
  explicit WinogradWeightGradient(const OpInstance& instance) : Winograd(instance) {
    apart_ = filters_bytes() <= kMostSumsApart;
    block_ = tiles_;
    at_once_ = !apart_ && has_whole_vectors() && scratch_bytes() <= std::min(filters_bytes(), kMostTilesTogether);
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
  // A dy A^T of a block of tiles, behind their V.
  float* gradient_at(float* v, int64_t count) const { return v + kWinogradPlaces * count * t_.inputs; }
  const float* gradient_at(const float* v, int64_t count, int64_t panel, int64_t place) const {
    return v + kWinogradPlaces * count * t_.inputs + (panel * kWinogradPlaces + place) * count * table_.width;
  }
  // Of `count` tiles from `tile` on, those in [first, end).
  void transform_gradient(int64_t group, int64_t tile, int64_t count, int64_t first, int64_t end, float* v) const {
    const int64_t width = table_.width;
    images_.gradient[filter_](t_, input<T>(1) + group * t_.outputs, panels_, tile + first, tile + end,
                              kWinogradPlaces * count * width, count * width, gradient_at(v, count) + first * width);
  }
  void transform(int64_t group, int64_t tile, int64_t count, int64_t first, int64_t end, float* v) const {
    images_.input[filter_](t_, x(group), tile + first, tile + end, t_.inputs, count * t_.inputs, v + first * t_.inputs);
    transform_gradient(group, tile, count, first, end, v);
  }
  // Units are panels by place; those of a place lie together to read its tiles once.
  void add_units(const float* v, int64_t count, int64_t begin, int64_t end, float* sums) const {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t place = unit / panels_, panel = unit % panels_;
      table_.multiply(v + place * count * t_.inputs, 1, t_.inputs, gradient_at(v, count, panel, place), count,
                      t_.inputs, sums + panel * panel_floats(t_.inputs) + place * t_.inputs * table_.width,
                      table_.width, true);
    }
  }
  void finish(int64_t group, int64_t begin, int64_t end) const {
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
      finish(group, panels_ * thread / team, panels_ * (thread + 1) / team);
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
      finish(group, panels_ * thread / team, panels_ * (thread + 1) / team);
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
  if (std::min(g.inputs, g.outputs) < kLeastChannels) return "fewer than 16 channels a group";
  const bool narrow = operands.x->dtype == DType::kBF16;
  if (!saves_work(g, tiles_of(g, is_turned(instance.op->kind)), narrow))
    return "too few multiplications would be saved";
  return "";
}

std::unique_ptr<Kernel> create_winograd_direct(const OpInstance& instance) {
  return instance.op->kind == OpKind::kConvolutionWeightGradient ? create<WinogradWeightGradient>(instance)
                                                                 : create<WinogradProduct>(instance);
}

}  // namespace trainer::cpu
