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
#include "device/cpu/windows.h"

namespace trainer::cpu {
namespace {

constexpr int64_t kLeastChannels = 16;
constexpr int kSide = 6;  // of a tile of the input
// Measured on Zen 4 with 1 MiB of second-level cache a core: the transformed tiles of one thread, or of all threads
// that work on the same sums; sums that each thread has for itself.
constexpr int64_t kOwnBytes = 768 << 10, kTogetherBytes = 4 << 20, kMostSumsApart = 1 << 20;

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

// T: float or Bf16.
template <typename T>
class Winograd : public BoundKernel {
 public:
  explicit Winograd(const OpInstance& instance)
      : BoundKernel(instance),
        kind_(instance.op->kind),
        epilogue_(instance.op->as<ConvolutionAttributes>().epilogue),
        g_(convolution_geometry(instance)),
        table_(winograd_table()),
        images_(for_isa(isa_v2::kWinogradImages, isa_v3::kWinogradImages, isa_v4::kWinogradImages).template of<T>()) {
    const bool turned = is_turned(kind_);
    const int64_t area = g_.windows.taps(), filter = g_.inputs * area;
    filter_ = g_.windows.kernel[1] == 5 ? 1 : 0;
    t_ = tiles_of(g_, turned);
    f_ = {t_.inputs, t_.outputs, turned ? area : filter, turned ? filter : area, turned};
    panels_ = panels_of(t_);
    tiles_ = g_.batch * t_.tiles[0] * t_.tiles[1];
    // Tiles at a time: their transforms stay in a cache near by, and the filters' are read once for all of them.
    const bool weights = kind_ == OpKind::kConvolutionWeightGradient;
    apart_ = weights && filters_bytes() <= kMostSumsApart;
    const int64_t budget = (weights && !apart_ ? kTogetherBytes : kOwnBytes) / static_cast<int64_t>(sizeof(float));
    const int64_t most = budget / (kWinogradPlaces * (t_.inputs + panels_ * table_.width));
    block_ = std::clamp<int64_t>(most / 12 * 12, 24, 240);
    block_ = std::min(block_, std::max<int64_t>(tiles_, 1));
  }

  int64_t workspace_bytes() const override {
    const bool together = kind_ == OpKind::kConvolutionWeightGradient && !apart_;
    return (apart_ ? threads() : 1) * filters_bytes() + (together ? 1 : threads()) * scratch_bytes();
  }

  void run(const RunContext&) override {
    for (int64_t group = 0; group < g_.group; ++group) {
      if (apart_) {
        run_weight_gradient_apart(group);
      } else if (kind_ == OpKind::kConvolutionWeightGradient) {
        run_weight_gradient(group);
      } else {
        run_forward(group);
      }
    }
  }

 private:
  int64_t filters_bytes() const {
    return aligned(kWinogradPlaces * panels_ * table_.width * t_.inputs * static_cast<int64_t>(sizeof(float)));
  }
  int64_t scratch_bytes() const {
    return aligned(kWinogradPlaces * block_ * (t_.inputs + panels_ * table_.width) * static_cast<int64_t>(sizeof(float)));
  }
  float* filters(int64_t thread = 0) const { return reinterpret_cast<float*>(workspace() + thread * filters_bytes()); }
  float* scratch(int64_t thread) const {
    return reinterpret_cast<float*>(workspace() + (apart_ ? threads() : 1) * filters_bytes() + thread * scratch_bytes());
  }
  int64_t weights_at(int64_t group) const { return group * g_.outputs * g_.filter(); }

  void run_forward(int64_t group) {
    const float* w = input(1) + weights_at(group);
    parallel_ranges(threads(), panels_, kSerialWork, [&](int, int64_t begin, int64_t end) {
      table_.filters[filter_](f_, w, panels_, begin, end, filters());
    });
    const float* bias = optional_input(2);
    const Finish finish{bias == nullptr ? nullptr : bias + group * t_.outputs, epilogue_.relu ? epilogue_.slope : 1.0f};
    const T* x = input<T>(0) + group * t_.inputs;
    T* y = output<T>(0) + group * t_.outputs;
    parallel_ranges(threads(), tiles_, kSerialWork, [&](int thread, int64_t begin, int64_t end) {
      for (int64_t tile = begin; tile < end; tile += block_) {
        images_.forward[filter_](t_, x, filters(), panels_, finish, y, tile, std::min(block_, end - tile), scratch(thread));
      }
    });
  }

  // The threads transform a block of tiles together, then share its products out by place.
  void run_weight_gradient(int64_t group) {
    const T* x = input<T>(0) + group * t_.inputs;
    const T* gradient = input<T>(1) + group * t_.outputs;
    float* sums = filters();
    float* v = scratch(0);
    float* d = v + kWinogradPlaces * block_ * t_.inputs;
    const int64_t units = kWinogradPlaces * panels_;
#pragma omp parallel num_threads(threads())
    {
      const int64_t team = omp_get_num_threads(), thread = omp_get_thread_num();
      const int64_t first_unit = units * thread / team, end_unit = units * (thread + 1) / team;
      const int64_t unit_floats = t_.inputs * table_.width;
      std::fill(sums + first_unit * unit_floats, sums + end_unit * unit_floats, 0.0f);
      for (int64_t tile = 0; tile < tiles_; tile += block_) {
        const int64_t count = std::min(block_, tiles_ - tile);
        images_.transform[filter_](t_, x, gradient, panels_, tile, count, count * thread / team, count * (thread + 1) / team, v, d);
#pragma omp barrier
        table_.add_products(v, d, panels_, t_.inputs, count, first_unit, end_unit, sums);
#pragma omp barrier
      }
      table_.filter_gradient[filter_](f_, sums, panels_, panels_ * thread / team, panels_ * (thread + 1) / team,
                                      output(0) + weights_at(group));
    }
  }

  // Each thread has sums of its own, which are few.
  void run_weight_gradient_apart(int64_t group) {
    const T* x = input<T>(0) + group * t_.inputs;
    const T* gradient = input<T>(1) + group * t_.outputs;
    const int64_t units = kWinogradPlaces * panels_, sums = units * t_.inputs * table_.width;
#pragma omp parallel num_threads(threads())
    {
      const int64_t team = omp_get_num_threads(), thread = omp_get_thread_num();
      float* own = filters(thread);
      float* v = scratch(thread);
      float* d = v + kWinogradPlaces * block_ * t_.inputs;
      std::fill_n(own, sums, 0.0f);
      const int64_t end = tiles_ * (thread + 1) / team;
      for (int64_t tile = tiles_ * thread / team; tile < end; tile += block_) {
        const int64_t count = std::min(block_, end - tile);
        images_.transform[filter_](t_, x, gradient, panels_, tile, count, 0, count, v, d);
        table_.add_products(v, d, panels_, t_.inputs, count, 0, units, own);
      }
#pragma omp barrier
      const int64_t first = sums * thread / team, last = sums * (thread + 1) / team;
      for (int64_t other = 1; other < team; ++other) {
        const float* from = filters(other);
        for (int64_t i = first; i < last; ++i) filters()[i] += from[i];
      }
#pragma omp barrier
      table_.filter_gradient[filter_](f_, filters(), panels_, panels_ * thread / team, panels_ * (thread + 1) / team,
                                      output(0) + weights_at(group));
    }
  }

  OpKind kind_;
  Epilogue epilogue_;
  ConvolutionGeometry g_;
  const WinogradTable& table_;
  const WinogradImages<T>& images_;
  WinogradTiles t_{};
  WinogradFilters f_{};
  int filter_ = 0;
  bool apart_ = false;
  int64_t panels_ = 1, tiles_ = 0, block_ = 1;
};

}  // namespace

std::string refuse_winograd_direct(const OpInstance& instance) {
  const ConvolutionOperands operands = convolution_operands(instance);
  const std::string reason = refuse_images(operands);
  if (!reason.empty()) return reason;
  if (operands.x->dtype != operands.y->dtype) return "input and output have different types";
  const ConvolutionGeometry g = convolution_geometry(instance);
  const Windows& w = g.windows;
  const int64_t taps = w.kernel[1];
  if (operands.x->shape.rank() != 4 || w.kernel[2] != taps || (taps != 3 && taps != 5)) return "the kernel is not 3x3 or 5x5";
  for (int i = 1; i < 3; ++i) {
    if (w.stride[i] != 1 || w.dilation[i] != 1) return "stride or dilation is not 1";
    if (w.pad[i] >= taps) return "the padding is as wide as the kernel";
  }
  if (std::min(g.inputs, g.outputs) < kLeastChannels) return "fewer than 16 channels a group";
  const bool narrow = operands.x->dtype == DType::kBF16;
  if (!saves_work(g, tiles_of(g, is_turned(instance.op->kind)), narrow)) return "too few multiplications would be saved";
  return "";
}

std::unique_ptr<Kernel> create_winograd_direct(const OpInstance& instance) {
  if (convolution_operands(instance).x->dtype == DType::kBF16) return std::make_unique<Winograd<Bf16>>(instance);
  return std::make_unique<Winograd<float>>(instance);
}

}  // namespace trainer::cpu
