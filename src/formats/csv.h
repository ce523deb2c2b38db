// Tables of numbers as text: comma-separated, with or without header line, quotes, CRLF and byte order mark.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

namespace trainer {

class CsvFile {
 public:
  // Opens the file and reads the first line: it is a header if any field is not a number.
  explicit CsvFile(const std::string& path, char separator = ',');

  const std::string& path() const { return path_; }
  bool has_header() const { return !header_.empty(); }
  // Column names; empty without a header.
  const std::vector<std::string>& header() const { return header_; }
  // 0 only for a file without a line.
  int columns() const { return columns_; }

  // Reads the next row of columns() values; false at the end. Blank lines are skipped. An empty field, a word, or a
  // different number of columns is a data_error with line and column.
  bool next_row(std::vector<float>& row);
  // The line on which the last row began, from 1.
  int64_t line() const { return line_; }

 private:
  bool next_record();
  float number(size_t column) const;

  std::string path_;
  char separator_;
  std::ifstream in_;
  int64_t line_ = 0;  // line of the record's first character, from 1
  int64_t next_line_ = 1;
  std::vector<std::string> fields_;
  std::vector<std::string> header_;
  int columns_ = 0;
  bool pending_ = false;  // fields_ holds the first line, which is data
};

}  // namespace trainer
