// Lists the pictures of folders, lists and the standard input.
#include "data/feeds/picture_inputs.h"

#include <filesystem>
#include <fstream>
#include <iostream>
#include <system_error>

#include "base/error.h"
#include "base/text.h"
#include "data/feeds/image_folder.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStandardInput = "-";

class Inputs {
 public:
  ImageList list = ImageList("the command line", "");

  void add(const std::string& word) {
    if (word == kStandardInput) return add_lines(std::cin, "the standard input");
    std::error_code error;
    const fs::file_status status = fs::status(word, error);
    if (!fs::exists(status)) throw data_error("there is no file {}", fs::absolute(word, error).string());
    if (fs::is_directory(status)) return add_folder(word);
    if (lower(fs::path(word).extension().string()) != ".txt") return add_picture(word);
    std::ifstream in(word);
    if (!in) throw data_error("{} cannot be read", word);
    add_lines(in, word);
  }

 private:
  void add_picture(const std::string& path) {
    const double no_label = 0;
    list.add(path, {&no_label, 1});
  }

  void add_folder(const std::string& folder) {
    const std::vector<std::string> paths = images_below(folder);
    if (paths.empty()) throw data_error("{} has no images", folder);
    for (const std::string& path : paths) add_picture(path);
  }

  void add_lines(std::istream& in, const std::string& source) {
    const uint64_t before = list.size();
    skip_byte_order_mark(in);
    for (std::string line; std::getline(in, line);) {
      if (!line.empty() && line.back() == '\r') line.pop_back();
      if (line.find_first_not_of(" \t") == std::string::npos) continue;
      add_picture(without_label(line));
    }
    if (list.size() == before) throw data_error("{} names no images", source);
  }

  // The line up to the numbers at its end, unless a file has the name of the whole line.
  static std::string without_label(const std::string& line) {
    std::error_code error;
    size_t end = line.size();
    while (!fs::exists(line.substr(0, end), error)) {
      const size_t blank = line.find_last_of(" \t", end - 1);
      if (blank == std::string::npos || blank == 0) return line;
      const std::string word = line.substr(blank + 1, end - blank - 1);
      if (word.find_first_not_of("0123456789.+-eE") != std::string::npos) return line.substr(0, end);
      end = line.find_last_not_of(" \t", blank) + 1;
    }
    return line.substr(0, end);
  }
};

}  // namespace

ImageList read_picture_inputs(const std::vector<std::string>& words) {
  Inputs inputs;
  for (const std::string& word : words) inputs.add(word);
  return std::move(inputs.list);
}

}  // namespace trainer
