// Checks the layers after data sets that cannot be opened.
#include "session/stand_in_shapes.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "data/data_source.h"
#include "data/layer_fields.h"

namespace trainer {
namespace {

constexpr size_t kTrials = 3;
// Large enough for most kernels, with channels that most numbers of groups and slices divide.
constexpr std::array<ItemShape, kTrials> kItems = {{{24, 224, 224}, {60, 256, 240}, {36, 240, 256}}};
constexpr std::array<int64_t, kTrials> kBatches = {8, 12, 10};

int64_t known_or(int64_t known, int64_t stand_in) { return known > 0 ? known : stand_in; }

std::vector<Shape> stand_ins(const caffe::LayerParameter& layer, caffe::Phase phase, size_t trial) {
  const DataSource& source = *find_data_source(layer.type());
  const auto tops = static_cast<size_t>(layer.top_size());
  const int64_t batch = known_or(number_at(layer, source.batch_size), kBatches[trial]);
  const ItemShape& item = kItems[trial];
  if (source.item == nullptr) {
    const std::array<Shape, kTrials> rows = {Shape{batch, item.channels, item.height, item.width},
                                             Shape{batch, item.width}, Shape{batch, item.channels, item.height}};
    return std::vector<Shape>(tops, rows[trial]);
  }
  const ItemShape known = source.item(layer);
  std::vector<Shape> shapes(tops, Shape{batch});
  if (tops > 0)
    shapes[0] = Shape{batch, known_or(known.channels, item.channels), known_or(known.height, item.height),
                      known_or(known.width, item.width)};
  if (tops > 1 && source.labels != nullptr)
    shapes[1] = source.labels(layer, layer.has_phase() ? layer.phase() : phase, shapes[0], item.width);
  return shapes;
}

bool lacks_shapes(const caffe::LayerParameter& layer, const LowerOptions& options) {
  return find_data_source(layer.type()) != nullptr && options.source_shapes(layer).empty();
}

}  // namespace

void check_with_stand_ins(const caffe::NetParameter& net, const Positions& positions, LowerOptions options,
                          Diagnostics* problems) {
  const LowerOptions known = options;
  if (std::none_of(net.layer().begin(), net.layer().end(),
                   [&](const auto& layer) { return lacks_shapes(layer, known); }))
    return;
  std::array<Diagnostics, kTrials> found;
  for (size_t trial = 0; trial < kTrials; ++trial) {
    options.source_shapes = [&](const caffe::LayerParameter& layer) {
      return lacks_shapes(layer, known) ? stand_ins(layer, known.phase, trial) : known.source_shapes(layer);
    };
    lower_net(net, positions, options, &found[trial]);
  }
  for (const Diagnostic& problem : found[0].list()) {
    const bool always =
        std::all_of(found.begin(), found.end(), [&](const Diagnostics& f) { return f.contains(problem); });
    if (always && problem.severity == Diagnostic::kError) problems->add(problem);
  }
}

}  // namespace trainer
