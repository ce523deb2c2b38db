// A confusion matrix as inline SVG: a cell for each label (row) and predicted class (column), darker for a larger share
// of its row. The page's CSS has the colors of the classes "right" and "wrong", and of "low" and "high", the counts on
// pale and on dark cells.
#pragma once

#include <string>
#include <vector>

#include "trainer/events.h"

namespace trainer {

// To 20 classes with counts, to 40 with names and a tooltip for each cell. More classes make a picture without text, of
// at most 100 rows: a cell of it may have several classes.
std::string heat_map(const ConfusionMatrix& matrix, const std::vector<std::string>& class_names);

}  // namespace trainer
