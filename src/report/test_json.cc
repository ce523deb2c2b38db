// Writes the results of tests as JSON.
#include "report/test_json.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "base/json_reader.h"
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
    if (outputs[i].counted) json->add("counted", *outputs[i].counted);
    if (outputs[i].loss_weight != 0) json->add("loss_weight", outputs[i].loss_weight);
    json->close();
  }
  json->close();
}

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

// Reads what add_test writes.
class ResultsReader {
 public:
  explicit ResultsReader(const std::string& text) : json_(text) {}

  std::vector<TestResult> tests() {
    std::vector<TestResult> tests;
    json_.object([&](const std::string& key) {
      if (key != "tests") return json_.skip();
      json_.array([&] { tests.push_back(test()); });
    });
    json_.end();
    return tests;
  }

 private:
  double number() {
    const std::string text = json_.scalar();
    return text == "null" ? std::numeric_limits<double>::quiet_NaN() : std::strtod(text.c_str(), nullptr);
  }

  TestResult test() {
    TestResult test;
    json_.object([&](const std::string& key) {
      if (key == "net") {
        test.net = static_cast<int>(json_.integer());
      } else if (key == "iteration") {
        test.iteration = json_.integer();
      } else if (key == "records") {
        test.images = json_.integer();
      } else if (key == "whole_set") {
        test.whole_set = json_.scalar() == "true";
      } else if (key == "loss") {
        test.loss = number();
      } else if (key == "outputs") {
        json_.array([&] { test.outputs.push_back(output()); });
      } else if (key == "tables") {
        json_.array([&] { test.tables.push_back(table()); });
      } else if (key == "confusion_matrices") {
        json_.array([&] { test.confusions.push_back(matrix()); });
      } else {
        json_.skip();
      }
    });
    // The first tables are those of the matrices.
    test.tables.erase(test.tables.begin(),
                      test.tables.begin() + std::min(std::ssize(test.tables), std::ssize(test.confusions)));
    return test;
  }

  OutputValue output() {
    OutputValue output;
    json_.object([&](const std::string& key) {
      if (key == "name") {
        output.name = json_.string();
      } else if (key == "value") {
        output.value = number();
      } else if (key == "interval") {
        output.interval = number();
      } else if (key == "counted") {
        output.counted = json_.integer();
      } else if (key == "loss_weight") {
        output.loss_weight = number();
      } else {
        json_.skip();
      }
    });
    return output;
  }

  ClassTable table() {
    ClassTable table;
    json_.object([&](const std::string& key) {
      if (key == "metric") {
        table.metric = json_.string();
      } else if (key == "columns") {
        json_.array([&] { table.columns.push_back(json_.string()); });
      } else if (key == "rows") {
        json_.array([&] { json_.array([&] { table.cells.push_back(number()); }); });
      } else {
        json_.skip();
      }
    });
    require(!table.columns.empty() && table.cells.size() % table.columns.size() == 0);
    return table;
  }

  ConfusionMatrix matrix() {
    ConfusionMatrix matrix;
    json_.object([&](const std::string& key) {
      if (key == "metric") {
        matrix.metric = json_.string();
      } else if (key == "counts") {
        json_.array([&] {
          ++matrix.classes;
          json_.array([&] { matrix.counts.push_back(json_.integer()); });
        });
      } else {
        json_.skip();
      }
    });
    require(matrix.classes > 0 && std::ssize(matrix.counts) == matrix.classes * matrix.classes);
    return matrix;
  }

  static void require(bool complete) {
    if (!complete) throw JsonError(0, "rows of other lengths");
  }

  JsonReader json_;
};

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

std::vector<TestResult> read_results(const std::string& text) {
  try {
    return ResultsReader(text).tests();
  } catch (const JsonError&) {
    return {};
  }
}

}  // namespace trainer
