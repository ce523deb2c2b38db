// The results of `trainer test` as a text for people: its outputs, tables of classes and confusion matrices, for
// terminals of 80 columns.
#pragma once

#include <string>
#include <vector>

#include "report/run_events.h"

namespace trainer {

// Of a table with more classes than `most_classes`, the classes with the lowest values. A confusion matrix that is
// wider than 80 columns becomes a list of its largest confusions.
std::string test_table(const TestResult& result, const std::vector<std::string>& class_names, size_t most_classes);

}  // namespace trainer
