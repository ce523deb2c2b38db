// For metrics of how the scores of each class rank the items: items of the class should have larger scores than the
// others.
#pragma once

#include <cstdint>
#include <vector>

#include "layers/layer.h"

namespace trainer {

// Items with equal scores of a class, by whether the label is this class.
struct Tie {
  int64_t positives = 0, negatives = 0;
};

// A number for the ties of a class, from the largest score to the smallest; NaN if it is not defined for these labels.
using RankingMeasure = double (*)(const std::vector<Tie>& ties);

// Lowers a layer whose result is that of `measure` for two classes or one column of scores, and else the mean over the
// classes for which it is defined. The table has it for each class, in the column `name`. All scores stay in memory, 4
// bytes each, until the end of the test.
void lower_ranking(LayerContext& context, const char* name, RankingMeasure measure);

}  // namespace trainer
