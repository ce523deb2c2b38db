// The predictions of `trainer predict` as text, JSON lines or CSV.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace trainer {

enum class PredictionFormat { kText, kJson, kCsv };

struct PredictionForm {
  PredictionFormat format = PredictionFormat::kText;
  bool probabilities = false;            // of classes; otherwise the values themselves
  int64_t top_k = 5;                     // classes to show
  std::vector<std::string> class_names;  // by class; empty if unknown
};

// The first line of the format; "" if it has none.
std::string prediction_header(const PredictionForm& form);
// A record in few words: cat 0.9731, or its values.
std::string prediction_caption(const PredictionForm& form, std::span<const float> values);
// The lines for one record, which `name` names.
//   text  cats/1.jpg: cat 0.9731, fox 0.0102           or  rows 7: 0.25 1.5
//   JSON  {"name":"cats/1.jpg","classes":[{"class":3,"name":"cat","probability":0.9731},...]}
//         or {"name":...,"values":[0.25,1.5]}
//   CSV   name,rank,class,class_name,probability       or  name,value0,value1
std::string prediction_lines(const PredictionForm& form, const std::string& name, std::span<const float> values);

}  // namespace trainer
