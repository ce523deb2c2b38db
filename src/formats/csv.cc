// Parses tables of numbers from text.
#include "formats/csv.h"

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "base/error.h"
#include "base/text.h"

namespace trainer {
namespace {

constexpr size_t kLongestField = 4096;
constexpr size_t kMostColumns = size_t{1} << 24;

// Accepts the forms that spreadsheets and programs write: surrounding blanks, a leading +, nan and inf. A number beyond
// the range of float becomes infinity, one below it zero.
bool parse_number(const std::string& field, float& value) {
  std::string_view text = field;
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  double number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || parsed.ptr != text.data() + text.size()) return false;
  if (parsed.ec == std::errc::result_out_of_range) {
    number = std::strtod(std::string(text).c_str(), nullptr);
  }
  value = static_cast<float>(number);
  return true;
}

}  // namespace

CsvFile::CsvFile(const std::string& path, char separator)
    : path_(path), separator_(separator), in_(path, std::ios::binary) {
  std::error_code ignored;
  if (!in_ || std::filesystem::is_directory(path, ignored)) {
    throw data_error("cannot read CSV file {}: {}", path,
                     in_ ? "it is a folder" : std::generic_category().message(errno));
  }
  skip_byte_order_mark(in_);
  if (!next_record()) return;
  columns_ = static_cast<int>(fields_.size());
  float value;
  for (const std::string& field : fields_) {
    if (!field.empty() && !parse_number(field, value)) header_ = fields_;
  }
  pending_ = header_.empty();
  // A column name may be its own index (0, 1, 2 and so on); any other number is a value in a row that also has a word.
  for (size_t i = 0; i < header_.size(); ++i) {
    if (parse_number(header_[i], value) && value != static_cast<float>(i))
      throw data_error(
          "{}, line 1: \"{}\" is a number, but other fields of the line are not. A header line names all columns; in a "
          "row every field is a number",
          path_, header_[i].substr(0, 60));
  }
}

bool CsvFile::next_record() {
  fields_.clear();
  std::string field;
  bool quoted = false, was_quoted = false;
  line_ = next_line_;
  while (true) {
    const int c = in_.get();
    if (c == std::char_traits<char>::eof()) {
      if (in_.bad()) throw data_error("{}, line {}: reading failed", path_, next_line_);
      if (quoted) throw data_error("{}, line {}: an opening quote has no closing quote", path_, line_);
      if (fields_.empty() && field.empty() && !was_quoted) return false;
      fields_.push_back(std::move(field));
      return true;
    }
    if (c == '\n') ++next_line_;
    if (quoted) {
      if (c != '"') {
        field += static_cast<char>(c);
      } else if (in_.peek() == '"') {
        field += static_cast<char>(in_.get());
      } else {
        quoted = false;
      }
    } else if (c == '"' && trim(field).empty() && !was_quoted) {
      field.clear();
      quoted = was_quoted = true;
    } else if (c == separator_) {
      fields_.push_back(std::move(field));
      field.clear();
      was_quoted = false;
    } else if (c == '\n') {
      if (!field.empty() && field.back() == '\r') field.pop_back();
      if (fields_.empty() && trim(field).empty() && !was_quoted) {
        field.clear();
        line_ = next_line_;
        continue;
      }
      fields_.push_back(std::move(field));
      return true;
    } else {
      field += static_cast<char>(c);
    }
    if (field.size() > kLongestField || fields_.size() > kMostColumns) {
      throw data_error(
          "{}, line {}: not a table of numbers; {}", path_, line_,
          field.size() > kLongestField ? "a field is longer than 4,096 characters" : "more than 16,777,216 columns");
    }
  }
}

float CsvFile::number(size_t column) const {
  float value = 0;
  if (parse_number(fields_[column], value)) return value;
  const std::string name = header_.empty() ? "" : fmt::format(" (\"{}\")", header_[column]);
  if (trim(fields_[column]).empty()) {
    throw data_error("{}, line {}, column {}{}: the field is empty; a number is needed", path_, line_, column + 1,
                     name);
  }
  throw data_error("{}, line {}, column {}{}: \"{}\" is not a number", path_, line_, column + 1, name,
                   fields_[column].substr(0, 60));
}

bool CsvFile::next_row(std::vector<float>& row) {
  if (!pending_ && !next_record()) return false;
  pending_ = false;
  if (static_cast<int>(fields_.size()) != columns_) {
    throw data_error("{}, line {}: {} columns, but the first line has {}", path_, line_, fields_.size(), columns_);
  }
  row.resize(fields_.size());
  for (size_t column = 0; column < fields_.size(); ++column) row[column] = number(column);
  return true;
}

}  // namespace trainer
