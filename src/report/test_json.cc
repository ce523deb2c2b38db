// Writes the results of tests as JSON.
#include "report/test_json.h"

#include "report/class_tables.h"
#include "report/json_document.h"
#include "report/run_events.h"

namespace trainer {
namespace {

void add_outputs(const std::vector<OutputValue>& outputs, JsonDocument* json) {
  const std::vector<std::string> names = series_names(outputs);
  json->open_array("outputs");
  for (size_t i = 0; i < outputs.size(); ++i) {
    json->open_object().add("name", names[i]).add("value", outputs[i].value);
    if (outputs[i].interval > 0) json->add("interval", outputs[i].interval);
    if (outputs[i].loss_weight != 0) json->add("loss_weight", outputs[i].loss_weight);
    json->close();
  }
  json->close();
}
    if (outputs[i].counted) json->add("counted", *outputs[i].counted);

// The numbers in rows of `width`.
template <typename T>
void add_rows(const char* key, const std::vector<T>& numbers, size_t width, JsonDocument* json) {
  json->open_array(key);
  for (size_t begin = 0; begin < numbers.size(); begin += width) {
    json->open_array();
    for (size_t i = begin; i < begin + width; ++i) json->add_number(numbers[i]);
    json->close();
  }
  json->close();
}

void add_table(const ClassTable& table, JsonDocument* json) {
  json->open_object().add("metric", table.metric).add("columns", table.columns);
  add_rows("rows", table.cells, table.columns.size(), json);
  json->close();
}

void add_test(const TestResult& result, JsonDocument* json) {
  json->add("records", result.images).add_bool("whole_set", result.whole_set);
  if (result.loss) json->add("loss", *result.loss);
  add_outputs(result.outputs, json);
  json->open_array("tables");
  for (const ConfusionMatrix& matrix : result.confusions) add_table(class_table(matrix), json);
  for (const ClassTable& table : result.tables) add_table(table, json);
  json->close().open_array("confusion_matrices");
  for (const ConfusionMatrix& matrix : result.confusions) {
    json->open_object().add("metric", matrix.metric);
    add_rows("counts", matrix.counts, static_cast<size_t>(matrix.classes), json);
    json->close();
  }
  json->close();
}

}  // namespace

std::string test_json(const TestResult& result, const std::vector<std::string>& class_names) {
  JsonDocument json;
  json.add("class_names", class_names);
  add_test(result, &json);
  return json.text();
}

std::string results_json(const std::vector<TestResult>& tests, const std::vector<std::string>& class_names,
                         const JsonFields& best) {
  JsonDocument json;
  json.add("class_names", class_names).open_array("tests");
  for (const TestResult& test : tests) {
    json.open_object().add("net", test.net).add("iteration", test.iteration);
    add_test(test, &json);
    json.close();
  }
  json.close();
  if (!best.empty()) {
    json.open_object("best").add("metric", field(best, "metric")).add("value", number(best, "value"));
    json.add("iteration", static_cast<int64_t>(number(best, "iteration"))).add("weights", field(best, "weights"));
    json.close();
  }
  return json.text();
}

}  // namespace trainer
