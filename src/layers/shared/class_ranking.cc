// Keeps the scores of a test and ranks them for each class.
#include "layers/shared/class_ranking.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "layers/shared/metric_scores.h"

namespace trainer {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

// Replaces the scores of an item by the logarithms of p / (1 - p), p being their softmax. They have the order of p, but
// differ where p rounds to 1.
void to_log_odds(std::vector<double>* row) {
  const size_t best = static_cast<size_t>(std::max_element(row->begin(), row->end()) - row->begin());
  const double largest = (*row)[best];
  double others = 0;  // the sum of e^(score - largest) without the best class, whose term is 1
  for (size_t c = 0; c < row->size(); ++c) {
    (*row)[c] -= largest;
    if (c != best) others += std::exp((*row)[c]);
  }
  for (size_t c = 0; c < row->size(); ++c)
    (*row)[c] -= std::log(c == best ? others : 1 + (others - std::exp((*row)[c])));
}

class ClassRanking : public Metric {
 public:
  ClassRanking(const char* name, RankingMeasure measure, int64_t columns, bool softmax, std::optional<int> ignore)
      : name_(name), measure_(measure), softmax_(softmax), ignore_(ignore), columns_(static_cast<size_t>(columns)) {}

  // Rows of scores, and the label of each row.
  void add(std::span<const std::vector<float>> pass) override {
    const size_t columns = columns_.size();
    std::vector<double> row;
    for (size_t i = 0; i < pass[1].size(); ++i) {
      if (!label_counts(pass[1][i], ignore_)) continue;
      labels_.push_back(pass[1][i]);
      const auto begin = pass[0].begin() + static_cast<std::ptrdiff_t>(i * columns);
      row.assign(begin, begin + static_cast<std::ptrdiff_t>(columns));
      if (softmax_) to_log_odds(&row);
      for (size_t c = 0; c < columns; ++c) {
        columns_[c].push_back(static_cast<float>(row[c]));
        has_order_ = has_order_ && !std::isnan(row[c]);
      }
    }
  }

  MetricResult result() const override {
    MetricResult result;
    result.items = std::ssize(labels_);
    const size_t columns = columns_.size();
    if (columns == 1) {
      result.values.emplace_back("", measure_of(0, 1));
      return result;
    }
    ClassTable table;
    table.columns = {name_};
    double sum = 0;
    int64_t defined = 0;
    for (size_t c = 0; c < columns; ++c) {
      const double number = measure_of(c, static_cast<float>(c));
      table.cells.push_back(number);
      if (std::isnan(number)) continue;
      sum += number;
      ++defined;
    }
    result.values.emplace_back("", columns == 2 ? table.cells[1] : sum / static_cast<double>(defined));
    result.table = std::move(table);
    return result;
  }

 private:
  double measure_of(size_t column, float label) const {
    if (!has_order_) return kUndefined;
    const std::vector<float>& scores = columns_[column];
    std::vector<std::pair<float, bool>> items;
    items.reserve(scores.size());
    for (size_t i = 0; i < scores.size(); ++i) items.emplace_back(scores[i], labels_[i] == label);
    std::sort(items.begin(), items.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    std::vector<Tie> ties;
    for (size_t i = 0; i < items.size(); ++i) {
      if (i == 0 || items[i].first != items[i - 1].first) ties.emplace_back();
      ++(items[i].second ? ties.back().positives : ties.back().negatives);
    }
    return measure_(ties);
  }

  const char* const name_;
  const RankingMeasure measure_;
  const bool softmax_;
  const std::optional<int> ignore_;
  std::vector<std::vector<float>> columns_;
  std::vector<float> labels_;
  bool has_order_ = true;  // no score is NaN
};

}  // namespace

void lower_ranking(LayerContext& context, const char* name, RankingMeasure measure) {
  const MetricScores scores = metric_scores(context, true);
  const Value rows = rows_along(scores.scores, scores.labelled.axis);
  const int64_t columns = rows.shape()[1];
  const bool softmax = columns > 1 && !are_probabilities(context);
  const std::optional<int> ignore = scores.ignore;
  count_checked(context, scores, ClassSum::kAny,
                [=] { return std::make_unique<ClassRanking>(name, measure, columns, softmax, ignore); },
                {rows, scores.labelled.labels});
}

}  // namespace trainer
