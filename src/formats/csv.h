// Tables of numbers as text: comma-separated, with or without a header line, quotes, CRLF, a byte order mark.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

namespace trainer {

class CsvFile {
 public:
  // Opens and reads the first line: a header if any of its fields is no number.
  explicit CsvFile(const std::string& path, char separator = ',');

  const std::string& path() const { return path_; }
  bool has_header() const { return !header_.empty(); }
  // Column names; empty without a header.
  const std::vector<std::string>& header() const { return header_; }
  // 0 only for a file without a line.
  int columns() const { return columns_; }

  // The next row, columns() values; false at the end. Blank lines are skipped. An empty field, a word, or
  // another number of columns is a data_error with line and column.
  bool next_row(std::vector<float>& row);
  // The line on which the last row began, from 1.
  int64_t line() const { return line_; }

 private:
  bool next_record();
  float number(size_t column) const;

  std::string path_;
  char separator_;
  std::ifstream in_;
  int64_t line_ = 0;  // of the record's first character, from 1
  int64_t next_line_ = 1;
  std::vector<std::string> fields_;
  std::vector<std::string> header_;
  int columns_ = 0;
  bool pending_ = false;  // the first line was data and waits in fields_
};

}  // namespace trainer
