// The results of a test for the tests of what shows them.
#pragma once

#include <limits>

#include "trainer/events.h"

namespace trainer::test {

// 20 records of three classes, of which the last has no record; two layers with equal matrices; a table of a metric.
inline TestResult small_result() {
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  TestResult result;
  result.iteration = 1500;
  result.loss = 0.75;
  result.outputs = {
      {"accuracy", 0.65, 0, 0.209}, {"each", 0.5}, {"each", 1}, {"loss", 0.75, 1}, {"top2", 0.9, 0, 0.13, 18}};
  result.images = 20;
  result.whole_set = true;
  result.tables = {{"areas", {"area"}, {0.25, 1, kNaN}}};
  result.confusions = {{"accuracy", 3, {8, 2, 0, 1, 5, 4, 0, 0, 0}}, {"top2", 3, {8, 2, 0, 1, 5, 4, 0, 0, 0}}};
  return result;
}

// Each record of class i is taken for class i or i + 1; of the last class, for the first one.
inline ConfusionMatrix neighbors(int64_t classes) {
  ConfusionMatrix matrix{"accuracy", classes, {}};
  matrix.counts.resize(static_cast<size_t>(classes * classes));
  for (int64_t i = 0; i < classes; ++i) {
    matrix.counts[static_cast<size_t>(i * classes + i)] = 100;
    matrix.counts[static_cast<size_t>(i * classes + (i + 1) % classes)] = i;
  }
  return matrix;
}

}  // namespace trainer::test
