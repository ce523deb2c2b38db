// A table (.csv, .tsv) with a label in each row.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace trainer {

struct LabelledTable {
  std::string file;
  std::vector<std::string> header;  // empty without a header line
  std::vector<std::vector<float>> rows;
  std::vector<int64_t> lines;  // of the rows in the file
  size_t columns = 0;
  size_t label = 0;  // its column

  std::vector<float> labels() const;
  // Row after row, without the labels.
  std::vector<float> values() const;
};

// The label is the column label, class or target, else the last one. Throws data_error: fewer than two columns or rows,
// text in place of a number.
LabelledTable read_labelled_table(const std::string& file);

// Puts the columns of the test table in the order of the training table, by name. Throws a data_error if they differ.
void match_columns(const LabelledTable& train, LabelledTable* test);

}  // namespace trainer
