// The results of tests as JSON: the document of `trainer test --json`, and results.json of the run folder.
//
// A test is an object; numbers that are not finite are null:
//   "records": read in the test, and "whole_set": whether each record of the data set was read once in each pass
//   "loss": the weighted sum of all losses; in a training only with test_compute_loss
//   "outputs": [{"name", "value", "interval", "counted", "loss_weight"}]; interval only of shares, loss_weight only of
//              losses, counted (the number of items) only of what may count others than the records
//   "tables": [{"metric", "columns", "rows"}], a row for each class; for each matrix and for the metrics that have one
//   "confusion_matrices": [{"metric", "counts"}], a row for each label, a column for each predicted class
#pragma once

#include <string>
#include <vector>

#include "report/json_line.h"
#include "trainer/events.h"

namespace trainer {

// The members of the test, after "class_names".
std::string test_json(const TestResult& result, const std::vector<std::string>& class_names);
// "class_names", "tests": the members of each test after its "net" and "iteration"; and, unless `best` is empty,
// "best":
// {"metric", "value", "iteration", "weights"}. `best` is the line of metrics.jsonl.
std::string results_json(const std::vector<TestResult>& tests, const std::vector<std::string>& class_names,
                         const JsonFields& best);
// The tests of such a text; none of any other text. Numbers that are not finite are NaN.
std::vector<TestResult> read_results(const std::string& text);

}  // namespace trainer
