// Reads the words of the file, each with its line.
#include "data/feeds/window_list.h"

#include <charconv>
#include <fstream>

#include "base/error.h"
#include "base/text.h"
#include "formats/input_file.h"

namespace trainer {

namespace {

class Words {
 public:
  explicit Words(const std::string& file) : file_(file), in_(file, std::ios::binary) { skip_byte_order_mark(in_); }

  // Returns false at the end of the file.
  bool next(std::string& word) {
    word.clear();
    int c = 0;
    while ((c = in_.get()) != EOF) {
      const bool blank = c == ' ' || c == '\t' || c == '\r' || c == '\n';
      if (!blank) {
        if (word.empty()) line_ = newest_line_;
        word.push_back(static_cast<char>(c));
      }
      if (c == '\n') ++newest_line_;
      if (blank && !word.empty()) return true;
    }
    if (in_.bad()) throw data_error("{} cannot be read beyond line {}: copy it again", file_, newest_line_);
    return !word.empty();
  }
  template <typename T>
  T number(const char* what) {
    std::string word;
    if (!next(word)) fail(fmt::format("the file ends before {}", what));
    T value{};
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || end != word.data() + word.size()) {
      fail(fmt::format("\"{}\" found instead of {} (a path must not contain blanks)", word, what));
    }
    return value;
  }
  int64_t line() const { return line_; }
  [[noreturn]] void fail(const std::string& what) const {
    throw data_error(
        "{}:{}: {}. A window file has for each image: `# index`, its path, channels, height, width, the "
        "number of its windows, and as many lines `class overlap x1 y1 x2 y2`",
        file_, line_, what);
  }

 private:
  std::string file_;
  std::ifstream in_;
  int64_t line_ = 1, newest_line_ = 1;
};

}  // namespace

WindowList read_window_list(const std::string& file, float fg_threshold, float bg_threshold) {
  const InputFile input(file, "window file");
  WindowList list;
  list.file = file;
  Words words(file);
  std::string word;
  while (words.next(word)) {
    if (word != "#") words.fail(fmt::format("\"{}\" found instead of \"# index\"", word.substr(0, 80)));
    words.number<int64_t>("an image's index");
    if (!words.next(word)) words.fail("the file ends before an image's path");
    list.pictures.push_back(word);
    const auto channels = words.number<int64_t>("the number of channels");
    if (channels != 3) {
      words.fail(fmt::format("{} channels, but images are read as color: write 3", channels));
    }
    words.number<int64_t>("an image's height");
    words.number<int64_t>("an image's width");
    const auto count = words.number<int64_t>("the number of windows");
    for (int64_t i = 0; i < count; ++i) {
      Window window;
      window.picture = static_cast<uint32_t>(list.pictures.size() - 1);
      window.label = words.number<int32_t>("a window's class");
      window.line = words.line();
      const auto overlap = words.number<float>("a window's overlap");
      window.x1 = words.number<int32_t>("x1");
      window.y1 = words.number<int32_t>("y1");
      window.x2 = words.number<int32_t>("x2");
      window.y2 = words.number<int32_t>("y2");
      if (window.x2 < window.x1 || window.y2 < window.y1) {
        words.fail(fmt::format("the window from ({}, {}) to ({}, {}) has its corners swapped", window.x1, window.y1,
                               window.x2, window.y2));
      }
      if (overlap >= fg_threshold) {
        if (window.label <= 0) {
          words.fail(fmt::format("a window of overlap {} is foreground and needs a class above 0, not {}", overlap,
                                 window.label));
        }
        list.foreground.push_back(window);
      } else if (overlap < bg_threshold) {
        window.label = 0;
        list.background.push_back(window);
      }
    }
  }
  if (list.pictures.empty()) words.fail("it names no images");
  return list;
}

}  // namespace trainer
