// Fillers as ops, with the distributions of layers/shared/filler.h.
#include "layers/shared/random_fill.h"

#include <cmath>

#include "layers/shared/filler.h"

namespace trainer {
namespace {

// Interpolation weights, the same in every pass: they decrease from the middle of the last two axes.
Value bilinear(Graph& graph, const Shape& shape) {
  const float factor = std::ceil(static_cast<float>(shape[3]) / 2);
  const float middle = (static_cast<float>(shape[3]) - 1) / (2 * factor);
  const Value x = index_along(graph, shape, 3) / factor - middle;
  const Value y = index_along(graph, shape, 2) / factor - middle;
  return (1.0f - abs(x)) * (1.0f - abs(y));
}

}  // namespace

Value random_fill(LayerContext& context, const caffe::FillerParameter& filler, const Shape& shape,
                  const std::string& purpose) {
  Graph& graph = context.graph();
  const uint64_t key = context.random_key(purpose);
  const std::string& type = filler.type();
  if (type == "uniform") return random_uniform(graph, shape, key) * (filler.max() - filler.min()) + filler.min();
  if (type == "gaussian") {
    const Value dense = random_normal(graph, shape, key) * filler.std() + filler.mean();
    if (filler.sparse() < 0) return dense;
    const float share = static_cast<float>(filler.sparse()) / static_cast<float>(shape[0]);
    const Value drawn = random_uniform(graph, shape, context.random_key(purpose + " sparse"));
    return dense * greater(constant(graph, Shape{}, share), drawn);
  }
  if (type == "positive_unitball") {
    const Value drawn = random_uniform(graph, shape, key);
    std::vector<int> row = all_axes(shape);
    if (!row.empty()) row.erase(row.begin());
    return drawn / sum(drawn, row);
  }
  if (type == "xavier") {
    const float bound = std::sqrt(3.0f / fan_of(filler, shape));
    return (random_uniform(graph, shape, key) * 2.0f - 1.0f) * bound;
  }
  if (type == "msra") return random_normal(graph, shape, key) * std::sqrt(2.0f / fan_of(filler, shape));
  if (type == "bilinear") return bilinear(graph, shape);
  return constant(graph, shape, filler.value());
}

}  // namespace trainer
