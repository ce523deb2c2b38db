// The scores and labels of a metric, as metric_param describes them.
#pragma once

#include <optional>

#include "layers/layer.h"
#include "layers/shared/class_scores.h"

namespace trainer {

struct MetricScores {
  LabelledScores labelled;
  Value scores;               // bottom 0, without gradient
  std::optional<int> ignore;  // the label of items that do not count
};

// Joins the bottoms by metric_param and sets the top, if there is one. With `one_column`, scores of one class are those
// of class 1 of two classes.
MetricScores metric_scores(LayerContext& context, bool one_column = false);

// Whether metric_param.input says that the scores are probabilities.
bool are_probabilities(LayerContext& context);
// The scores as probabilities, by metric_param.input.
Value metric_probabilities(LayerContext& context, const MetricScores& scores);

// What the probabilities of the classes of an item have to add up to.
enum class ClassSum { kAny, kOne };
// LayerContext::count for a layer that reads metric_param.input. If the scores are said to be probabilities, those of
// items that count are checked: a config_error says what they are instead.
void count_checked(LayerContext& context, const MetricScores& scores, ClassSum sum_of_classes,
                   std::function<std::unique_ptr<Metric>()> make, std::vector<Value> values);

// The elements of x as (items, extent of the axis).
Value rows_along(Value x, int axis);

// Sets the top, if there is one, to the number of items that count.
void set_counted_items(LayerContext& context, Value count);

inline bool label_counts(float label, std::optional<int> ignore) {
  return !ignore || label != static_cast<float>(*ignore);
}

// NaN if `whole` is 0.
inline double share_of(int64_t part, int64_t whole) { return static_cast<double>(part) / static_cast<double>(whole); }

}  // namespace trainer
