// Reads lists of images.
#include "data/feeds/image_list.h"

#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "formats/input_file.h"

namespace trainer {

namespace {

constexpr const char* kClassForm =
    "each line is the path of an image, a blank and its class as a number from 0: cats/1.jpg 0";
constexpr const char* kValuesForm =
    "with label_kind: VALUES each line is the path of an image and its numbers: faces/1.jpg 0.25 -3";
constexpr const char* kMaskForm =
    "with label_kind: MASK each line is the path of an image, a blank or a tab and the path of its mask: "
    "images/1.jpg masks/1.png";

const char* form_of(LabelKind kind) {
  return kind == caffe::ImageDataParameter::CLASS    ? kClassForm
         : kind == caffe::ImageDataParameter::VALUES ? kValuesForm
                                                     : kMaskForm;
}

template <typename T>
std::optional<T> number(std::string_view word) {
  if (word.size() > 1 && word[0] == '+' && word[1] != '-') word.remove_prefix(1);
  T value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  return error == std::errc() && end == word.data() + word.size() ? std::optional(value) : std::nullopt;
}

std::optional<double> finite_number(std::string_view word) {
  const std::optional<double> value = number<double>(word);
  return value && std::isfinite(static_cast<float>(*value)) ? value : std::nullopt;
}

// Removes the last word, after a blank or a tab, from `text`; "" if it has no blank.
std::string_view take_last_word(std::string_view& text) {
  const size_t blank = text.find_last_of(" \t");
  if (blank == std::string_view::npos) return "";
  const std::string_view word = text.substr(blank + 1);
  text = text.substr(0, text.find_last_not_of(" \t", blank) + 1);
  return word;
}

std::string numbers(size_t count) { return fmt::format("{} number{}", count, count == 1 ? "" : "s"); }

class ListReader {
 public:
  ListReader(ImageList& list, LabelKind kind) : list_(list), kind_(kind) {}

  void add(std::string_view text, int64_t line) {
    line_ = line;
    if (kind_ == caffe::ImageDataParameter::CLASS) {
      add_class(text);
    } else if (kind_ == caffe::ImageDataParameter::VALUES) {
      add_values(text);
    } else {
      add_mask(text);
    }
  }

 private:
  template <typename... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw data_error("{}:{}: {}: {}", list_.source(), line_, fmt::format(format, std::forward<Args>(args)...),
                     form_of(kind_));
  }

  void add_class(std::string_view text) {
    const size_t blank = text.find_last_of(' ');
    if (blank == std::string_view::npos)
      fail("\"{}\" has no label{}", text,
           text.find('\t') == std::string_view::npos ? "" : " after a blank (there is a tab)");
    const std::string_view word = text.substr(blank + 1);
    const std::optional<int32_t> label = number<int32_t>(word);
    if (!label) fail("\"{}\" is not a label; a label is a whole number", word);
    values_ = {static_cast<double>(*label)};
    list_.add(text.substr(0, blank), values_, line_);
  }

  void add_values(std::string_view text) {
    const std::string_view whole = text;
    const bool first = list_.size() == 0;
    if (first) count_values(text);
    values_.resize(count_);
    for (size_t i = count_; i-- > 0;) {
      const std::string_view word = take_last_word(text);
      const std::optional<double> value = finite_number(word);
      if (!value) fail("\"{}\" does not end in {}, as the first line does", whole, numbers(count_));
      values_[i] = *value;
    }
    std::string_view rest = text;
    if (!first && finite_number(take_last_word(rest)))
      fail("\"{}\" ends in more than {}, but the first line in {}", whole, numbers(count_), count_);
    list_.add(text, values_, line_);
  }

  void count_values(std::string_view text) {
    const std::string_view whole = text;
    while (finite_number(take_last_word(text))) ++count_;
    if (count_ == 0) fail("\"{}\" does not end in a number", whole);
  }

  void add_mask(std::string_view text) {
    const size_t tab = text.find('\t'), at = tab == std::string_view::npos ? text.find_last_of(' ') : tab;
    if (at == std::string_view::npos) fail("\"{}\" names no mask", text);
    list_.add_with_mask(text.substr(0, at), text.substr(at + 1), line_);
  }

  ImageList& list_;
  LabelKind kind_;
  int64_t line_ = 0;
  size_t count_ = 0;  // numbers in a line
  std::vector<double> values_;
};

}  // namespace

void ImageList::add(std::string_view path, std::span<const double> values, int64_t line) {
  TRAINER_ASSERT(size() == 0 || values.size() == label_values_);
  label_values_ = values.size();
  paths_.add(path);
  values_.insert(values_.end(), values.begin(), values.end());
  if (line > 0) lines_.push_back(line);
}

void ImageList::add_with_mask(std::string_view path, std::string_view mask, int64_t line) {
  add(path, {}, line);
  masks_.add(mask);
}

std::string ImageList::describe(uint64_t index) const {
  if (lines_.empty()) return file(index);
  return fmt::format("{}:{} ({})", source_, lines_[static_cast<size_t>(index)], path(index));
}

TextDigest ImageList::digest() const {
  TextDigest digest;
  for (uint64_t i = 0; i < size(); ++i) {
    digest.add(path(i));
    digest.add(label_values_ == 0 ? std::string(masks_.key(i)) : fmt::format("{}", fmt::join(label(i), " ")));
  }
  return digest;
}

int64_t ImageList::memory_bytes() const {
  return paths_.memory_bytes() + masks_.memory_bytes() +
         static_cast<int64_t>(values_.capacity() * sizeof(double) + lines_.capacity() * sizeof(int64_t));
}

ImageList read_image_list(const std::string& file, const std::string& root, LabelKind kind) {
  const char* form = form_of(kind);
  std::error_code absent;
  if (std::filesystem::is_directory(file, absent))
    throw data_error(
        "{0} is a folder, not a list of images: {1}. This lists a folder with a folder for each class: (cd '{0}' && "
        "i=0; for d in */; do for f in \"$d\"*; do echo \"$f $i\"; done; i=$((i+1)); done) >list.txt",
        file, form);
  const InputFile input(file, "list of images");
  if (input.size() > 0 && !input.looks_like_text()) {
    throw data_error("{} is not a text file, so it is not a list of images: {}", file, form);
  }
  std::ifstream in(file, std::ios::binary);
  skip_byte_order_mark(in);
  ImageList list(file, root);
  ListReader reader(list, kind);
  std::string text;
  int64_t line = 1;
  for (; std::getline(in, text); ++line) {
    text.erase(text.find_last_not_of(" \t\r") + 1);
    if (!text.empty()) reader.add(text, line);
  }
  if (in.bad()) throw data_error("{} cannot be read beyond line {}: copy it again", file, line - 1);
  if (list.size() == 0) throw data_error("{} is empty: {}", file, form);
  return list;
}

void check_root(const ImageList& list) {
  const std::string& root = list.root();
  if (root.empty() || root.back() == '/') return;
  const std::string path(list.path(0));
  std::error_code absent;
  if (std::filesystem::exists(root + path, absent) || !std::filesystem::exists(root + "/" + path, absent)) return;
  throw data_error(
      "the root folder is put before each path as it is, and {}{} does not exist: write it with a / at its end, "
      "\"{}/\"",
      root, path, root);
}

void check_class_names(const ImageList& list, const std::vector<std::string>& names, const std::string& file) {
  for (uint64_t i = 0; i < list.size() && list.label_values() > 0; ++i) {
    if (list.label(i)[0] >= static_cast<double>(names.size()))
      throw data_error("{}: its label is {}, but {} has {} names, for the labels 0 to {}: add the missing names",
                       list.describe(i), list.label(i)[0], file, names.size(), names.size() - 1);
  }
}

}  // namespace trainer
