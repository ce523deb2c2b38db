// The registry of data sources and of their layer types.
#include "data/data_source.h"

#include <algorithm>
#include <vector>

#include "data/layer_fields.h"
#include "layers/layer.h"

namespace trainer {

namespace {

std::vector<DataSource>& registry() {
  static std::vector<DataSource> sources;
  return sources;
}

void lower(LayerContext& context) {
  const std::vector<Shape> shapes = context.source_shapes();
  for (int i = 0; i < context.tops(); ++i) context.set_top(i, context.source(i, shapes.at(static_cast<size_t>(i))));
}

}  // namespace

SourceRegistration::SourceRegistration(const DataSource& source) {
  registry().push_back(source);
  LayerRegistration(LayerType{.type = source.type,
                              .summary = source.summary,
                              .min_bottoms = 0,
                              .max_bottoms = 0,
                              .min_tops = source.min_tops,
                              .max_tops = source.max_tops,
                              .lower = lower,
                              .example = source.example,
                              .data_source = true});
}

const DataSource* find_data_source(const std::string& layer_type) {
  const std::vector<DataSource>& sources = registry();
  const auto found =
      std::find_if(sources.begin(), sources.end(), [&](const DataSource& source) { return source.type == layer_type; });
  return found == sources.end() ? nullptr : &*found;
}

std::unique_ptr<BatchFeed> open_feed(const caffe::LayerParameter& layer, const StreamOptions& options,
                                     const Positions& positions, Diagnostics* diagnostics) {
  const DataSource* source = find_data_source(layer.type());
  TRAINER_ASSERT(source != nullptr);
  SourceContext context(layer, options, positions, diagnostics, false);
  source->check(context);
  if (context.failed()) {
    const bool opens = options.images == nullptr && blank_text(layer, source->source).empty();
    if (opens) context.attempt(source->source, [&] { source->probe(layer); });
    return nullptr;
  }
  std::unique_ptr<BatchFeed> feed;
  context.attempt(source->source, [&] { feed = source->open(context); });
  return context.failed() ? nullptr : std::move(feed);
}

}  // namespace trainer
