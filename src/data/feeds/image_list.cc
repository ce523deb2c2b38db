// Reads lists of pictures.
#include "data/feeds/image_list.h"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/text.h"
#include "formats/input_file.h"

namespace trainer {

namespace {

constexpr const char* kForm =
    "each line is the path of an image, a blank and its class as a number from 0: cats/1.jpg 0";

std::optional<int32_t> whole_number(std::string_view word) {
  if (word.size() > 1 && word[0] == '+' && word[1] != '-') word.remove_prefix(1);
  int32_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  return error == std::errc() && end == word.data() + word.size() ? std::optional(value) : std::nullopt;
}

}  // namespace

ImageList::ImageList(const std::string& file) : file_(file) {
  std::error_code absent;
  if (std::filesystem::is_directory(file, absent))
    throw data_error(
        "{0} is a folder, not a list of images: {1}. This lists a folder with a folder for each class: (cd '{0}' && "
        "i=0; for d in */; do for f in \"$d\"*; do echo \"$f $i\"; done; i=$((i+1)); done) >list.txt",
        file, kForm);
  const InputFile input(file, "list of images");
  if (input.size() > 0 && !input.looks_like_text()) {
    throw data_error("{} is not a text file, so it is not a list of images: {}", file, kForm);
  }
  std::ifstream in(file, std::ios::binary);
  skip_byte_order_mark(in);
  std::string text;
  for (int64_t line = 1; std::getline(in, text); ++line) {
    text.erase(text.find_last_not_of(" \t\r") + 1);
    if (text.empty()) continue;
    const size_t blank = text.find_last_of(' ');
    if (blank == std::string::npos) {
      throw data_error("{}:{}: \"{}\" has no label{}: {}", file, line, text,
                       text.find('\t') == std::string::npos ? "" : " after a blank (there is a tab)", kForm);
    }
    const std::string word = text.substr(blank + 1);
    const std::optional<int32_t> label = whole_number(word);
    if (!label)
      throw data_error("{}:{}: \"{}\" is not a label; a label is a whole number: {}", file, line, word, kForm);
    const std::string path = text.substr(0, blank);
    paths_.add(path);
    labels_.push_back(*label);
    lines_.push_back(line);
  }
  if (in.bad())
    throw data_error("{} cannot be read beyond line {}: copy it again", file, lines_.empty() ? 0 : lines_.back());
  if (labels_.empty()) throw data_error("{} is empty: {}", file, kForm);
}

int64_t ImageList::memory_bytes() const {
  return paths_.memory_bytes() +
         static_cast<int64_t>(labels_.capacity() * sizeof(int32_t) + lines_.capacity() * sizeof(int64_t));
}

void check_root(const ImageList& list, const std::string& root) {
  if (root.empty() || root.back() == '/') return;
  const std::string path(list.path(0));
  std::error_code absent;
  if (std::filesystem::exists(root + path, absent) || !std::filesystem::exists(root + "/" + path, absent)) return;
  throw data_error(
      "the root folder is put before each path as it is, and {}{} does not exist: write it with a / at its end, "
      "\"{}/\"",
      root, path, root);
}

}  // namespace trainer
