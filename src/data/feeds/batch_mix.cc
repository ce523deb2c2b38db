// Mixes rows in place, span by span from the last row on: only a span of one row is copied.
#include "data/feeds/batch_mix.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "data/data_source.h"
#include "data/layer_fields.h"
#include "data/pictures/steps/fields.h"
#include "data/pictures/vectorized.h"

namespace trainer {

namespace {

constexpr uint32_t kFewestClasses = 2;

bool mixes(const caffe::LayerParameter& layer, caffe::Phase phase) {
  return phase == caffe::TRAIN && layer.transform_param().has_mix();
}

void check_alpha(const caffe::MixParameter& mix, const char* field, bool given, float value, SourceContext& context) {
  if (given && !(value > 0 && std::isfinite(value)))
    context.error_in(mix, field, fmt::format("{} is {}", field, value), "it must be a finite number above 0");
}

void report_unknown_classes(SourceContext& context) {
  context.error_in(context.layer().transform_param().mix(), "",
                   "mix needs the number of classes, which the data set does not give", "set it: mix { classes: 10 }");
}

// The logarithm of a draw from Gamma(shape, 1): Marsaglia and Tsang, "A simple method for generating gamma variables",
// ACM TOMS 26 (3), 2000. Draws for small shapes underflow; their logarithms do not.
double draw_log_gamma(double shape, Draws& draws) {
  const auto positive_unit = [&] { return (draws.bits() + 0.5) * 0x1p-32; };
  const auto normal = [&] {
    const double radius = std::sqrt(-2 * std::log(positive_unit()));
    return radius * std::cos(2 * 3.14159265358979323846 * positive_unit());
  };
  // A draw for shape + 1, times u^(1 / shape).
  if (shape < 1) return draw_log_gamma(shape + 1, draws) + std::log(positive_unit()) / shape;
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = normal(), root = 1 + c * x, v = root * root * root;
    if (v > 0 && std::log(positive_unit()) < 0.5 * x * x + d - d * v + d * std::log(v)) return std::log(d * v);
  }
}

TRAINER_VECTORIZED void add_weighted(float* out, const float* other, int64_t count, float own, float added) {
  for (int64_t i = 0; i < count; ++i) out[i] = other[i] * added + out[i] * own;
}

// out = keep * out + (1 - keep) * other
void blend(float* out, const float* other, int64_t count, double keep) {
  if (keep == 0) {
    std::memcpy(out, other, static_cast<size_t>(count) * sizeof(float));
    return;
  }
  add_weighted(out, other, count, static_cast<float>(keep), static_cast<float>(1 - keep));
}

// Mixes `count` values from `first` on of all rows.
void mix_span(const BatchBuffer& batch, size_t top, int64_t first, int64_t count, double keep) {
  constexpr int64_t kMost = 1024;
  std::array<float, kMost> last;
  const int64_t rows = batch.layout[top].shape[0];
  for (const int64_t end = first + count; first < end; first += kMost) {
    const int64_t part = std::min(kMost, end - first);
    std::copy_n(batch.row(top, rows - 1) + first, part, last.data());
    for (int64_t r = rows - 1; r > 0; --r) blend(batch.row(top, r) + first, batch.row(top, r - 1) + first, part, keep);
    blend(batch.row(top, 0) + first, last.data(), part, keep);
  }
}

}  // namespace

void check_mix(SourceContext& context, bool names_classes) {
  const caffe::LayerParameter& layer = context.layer();
  if (!layer.transform_param().has_mix()) return;
  const caffe::MixParameter& mix = layer.transform_param().mix();
  check_alpha(mix, "mixup", mix.has_mixup(), mix.mixup(), context);
  check_alpha(mix, "cutmix", mix.has_cutmix(), mix.cutmix(), context);
  if (!mix.has_mixup() && !mix.has_cutmix())
    context.error_in(mix, "", "mix has neither mixup nor cutmix", "give one or both, for example mix { mixup: 0.2 }");
  check_between(mix, "probability", 0, 1, context);
  check_between(mix, "cutmix_probability", 0, 1, context);
  if (mix.has_cutmix_probability() && mix.has_mixup() != mix.has_cutmix())
    context.error_in(mix, "cutmix_probability", "cutmix_probability decides between mixup and cutmix",
                     "give both of them, or remove it");
  if (mix.has_classes() && mix.classes() < kFewestClasses)
    context.error_in(mix, "classes", fmt::format("classes is {}", mix.classes()),
                     fmt::format("it must be at least {}", kFewestClasses));
  if (!mix.has_classes() && !names_classes) report_unknown_classes(context);
  if (layer.top_size() == 1)
    context.error_in(mix, "", "mix changes the labels, but the layer has no top for them", "add a second top");
  const std::string batch_size = find_data_source(layer.type())->batch_size;
  if (number_at(layer, batch_size) == 1)
    context.error(batch_size, "batch_size is 1, but mix needs the other items of a batch", "make it 2 or more");
}

Shape class_labels(const caffe::LayerParameter& layer, caffe::Phase phase, const Shape& items, int64_t unknown) {
  if (!mixes(layer, phase)) return {items[0]};
  const uint32_t classes = layer.transform_param().mix().classes();
  return {items[0], classes > 0 ? classes : unknown};
}

double draw_beta(double alpha, Draws& draws) {
  const double x = draw_log_gamma(alpha, draws), y = draw_log_gamma(alpha, draws);
  return 1 / (1 + std::exp(y - x));
}

double CutBox::kept_area(int64_t height, int64_t width) const {
  return 1 - static_cast<double>((y2 - y1) * (x2 - x1)) / static_cast<double>(height * width);
}

CutBox cut_box(double keep, int64_t center_y, int64_t center_x, int64_t height, int64_t width) {
  const double ratio = 0.5 * std::sqrt(1 - keep);
  const auto half_height = static_cast<int64_t>(ratio * static_cast<double>(height)),
             half_width = static_cast<int64_t>(ratio * static_cast<double>(width));
  return {std::max<int64_t>(center_y - half_height, 0), std::max<int64_t>(center_x - half_width, 0),
          std::min(center_y + half_height, height), std::min(center_x + half_width, width)};
}

void mix_rows(const BatchBuffer& batch, size_t top, double keep) {
  mix_span(batch, top, 0, batch.layout[top].shape.count(1), keep);
}

void cut_rows(const BatchBuffer& batch, size_t top, const CutBox& box) {
  const Shape& shape = batch.layout[top].shape;
  const int64_t height = shape[2], width = shape[3];
  // Values of a pixel that follow each other, and planes of them.
  const bool interleaved = batch.layout[top].order == MemoryFormat::kChannelsLast;
  const int64_t values = interleaved ? shape[1] : 1, planes = interleaved ? 1 : shape[1];
  for (int64_t plane = 0; plane < planes; ++plane) {
    for (int64_t y = box.y1; y < box.y2; ++y)
      mix_span(batch, top, ((plane * height + y) * width + box.x1) * values, (box.x2 - box.x1) * values, 0);
  }
}

std::optional<BatchMix> BatchMix::make(SourceContext& context, const std::vector<std::string>& class_names) {
  if (!mixes(context.layer(), context.options().phase) || context.options().in_order) return std::nullopt;
  const caffe::MixParameter& mix = context.layer().transform_param().mix();
  const auto named = static_cast<int64_t>(class_names.size());
  if (!mix.has_classes() && named == 0) report_unknown_classes(context);
  if (mix.has_classes() && mix.classes() < named)
    context.error_in(mix, "classes", fmt::format("classes is {}, but the data has {}", mix.classes(), named),
                     "remove it, or make it larger");
  if (!mix.has_classes() && named > 0 && named < kFewestClasses)
    context.error_in(mix, "", fmt::format("the data has {} class, and mix needs {}", named, kFewestClasses),
                     "add classes, or remove mix");
  return BatchMix(context, mix.has_classes() ? mix.classes() : named);
}

BatchMix::BatchMix(const SourceContext& context, int64_t classes)
    : mixup_(static_cast<double>(context.layer().transform_param().mix().mixup())),
      cutmix_(static_cast<double>(context.layer().transform_param().mix().cutmix())),
      probability_(static_cast<double>(context.layer().transform_param().mix().probability())),
      cutmix_probability_(static_cast<double>(context.layer().transform_param().mix().cutmix_probability())),
      classes_(classes),
      key_(context.random_key("mix")) {}

void BatchMix::write_label(float label, float* row) const {
  const double whole = std::trunc(static_cast<double>(label));
  if (!(whole == static_cast<double>(label) && whole >= 0 && whole < static_cast<double>(classes_)))
    throw data_error(
        "its label is {}, but mix has the classes 0 to {}. Correct the record, or give mix and the net more classes "
        "(classes, num_output)",
        label, classes_ - 1);
  std::fill(row, row + classes_, 0.0f);
  row[static_cast<size_t>(whole)] = 1;
}

void BatchMix::apply(const BatchBuffer& batch, uint64_t epoch, uint64_t position) const {
  Draws draws(key_, epoch, position);
  if (!draws.chance(probability_)) return;
  const bool cut = cutmix_ > 0 && (mixup_ == 0 || draws.chance(cutmix_probability_));
  double keep = draw_beta(cut ? cutmix_ : mixup_, draws);
  if (cut) {
    const int64_t height = batch.layout[0].shape[2], width = batch.layout[0].shape[3];
    const int64_t y = draws.below(height), x = draws.below(width);
    const CutBox box = cut_box(keep, y, x, height, width);
    cut_rows(batch, 0, box);
    keep = box.kept_area(height, width);
  } else {
    mix_rows(batch, 0, keep);
  }
  mix_rows(batch, 1, keep);
}

}  // namespace trainer
