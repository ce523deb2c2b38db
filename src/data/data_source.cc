// The registry of data sources and of their layer types.
#include "data/data_source.h"

#include <algorithm>
#include <vector>

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

}  // namespace trainer
