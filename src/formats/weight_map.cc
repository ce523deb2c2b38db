// Reads weight maps.
#include "formats/weight_map.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <numeric>
#include <sstream>

#include "base/error.h"
#include "base/text.h"
#include "formats/input_file.h"

namespace trainer {
namespace {

constexpr int64_t kLargestMap = 16 << 20;
constexpr int kMostBlobs = 1 << 16;
constexpr std::string_view kTranspose = "transpose=";

int whole_number(std::string_view text) {
  int value = -1;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  return parsed.ptr == text.data() + text.size() && parsed.ec == std::errc() ? value : -1;
}

void parse_transpose(const std::string& word, WeightMapLine* line) {
  if (!word.starts_with(kTranspose))
    throw data_error("{}: \"{}\" is not transpose=AXIS,AXIS...", line->place, printable(word));
  for (const std::string& axis : split(std::string_view(word).substr(kTranspose.size()), ','))
    line->transpose.push_back(whole_number(axis));
  std::vector<int> sorted = line->transpose, axes(sorted.size());
  std::sort(sorted.begin(), sorted.end());
  std::iota(axes.begin(), axes.end(), 0);
  if (sorted != axes)
    throw data_error("{}: {} is not an order of axes: name each axis from 0 once, as in transpose=1,0", line->place,
                     printable(word));
}

WeightMapLine parse_line(const std::vector<std::string>& words, const std::string& place) {
  WeightMapLine line;
  line.place = place;
  if (words.size() < 2 || words.size() > 3)
    throw data_error("{}: a line is LAYER/BLOB TENSOR [transpose=AXIS,AXIS...], and this one has {} words", place,
                     words.size());
  const size_t slash = words[0].rfind('/');
  line.layer = words[0].substr(0, slash);
  line.blob = slash == std::string::npos ? -1 : whole_number(std::string_view(words[0]).substr(slash + 1));
  if (line.layer.empty() || line.blob < 0 || line.blob >= kMostBlobs)
    throw data_error("{}: \"{}\" is not LAYER/BLOB, such as conv1/0 for the weights and conv1/1 for the bias", place,
                     printable(words[0]));
  line.tensor = words[1];
  const auto layer_stars = std::count(line.layer.begin(), line.layer.end(), '*');
  const auto tensor_stars = std::count(line.tensor.begin(), line.tensor.end(), '*');
  if (layer_stars != tensor_stars || layer_stars > 1)
    throw data_error("{}: \"{}\" and \"{}\" need one \"*\" each, or none", place, printable(words[0]),
                     printable(words[1]));
  if (words.size() == 3) parse_transpose(words[2], &line);
  return line;
}

}  // namespace

std::vector<WeightMapLine> read_weight_map(const std::string& path) {
  const InputFile file(path, "weight map");
  if (file.size() > kLargestMap || (file.size() > 0 && !file.looks_like_text()))
    throw data_error("{} is not a weight map, which is a text file", path);
  std::ifstream in(path);
  skip_byte_order_mark(in);
  std::vector<WeightMapLine> lines;
  std::string text;
  for (int number = 1; std::getline(in, text); ++number) {
    std::istringstream words(text.substr(0, text.find('#')));
    const std::vector<std::string> list{std::istream_iterator<std::string>(words), {}};
    if (!list.empty()) lines.push_back(parse_line(list, fmt::format("{}:{}", path, number)));
  }
  if (lines.empty()) throw data_error("{} has no line: a line is LAYER/BLOB TENSOR [transpose=AXIS,AXIS...]", path);
  return lines;
}

std::optional<std::string> match_star(const std::string& pattern, const std::string& name) {
  const size_t star = pattern.find('*');
  if (star == std::string::npos) return pattern == name ? std::optional<std::string>("") : std::nullopt;
  const std::string_view before = std::string_view(pattern).substr(0, star);
  const std::string_view after = std::string_view(pattern).substr(star + 1);
  if (name.size() < before.size() + after.size() || !name.starts_with(before) || !name.ends_with(after))
    return std::nullopt;
  return name.substr(star, name.size() - before.size() - after.size());
}

std::string replace_star(const std::string& pattern, const std::string& text) {
  const size_t star = pattern.find('*');
  return star == std::string::npos ? pattern : pattern.substr(0, star) + text + pattern.substr(star + 1);
}

StoredTensor transposed(const StoredTensor& tensor, const std::vector<int>& axes, const std::string& place) {
  if (static_cast<int>(axes.size()) != tensor.shape.rank())
    throw data_error("{}: transpose names {} axes, and the tensor \"{}\" ({}) has {}", place, axes.size(),
                     printable(tensor.name), tensor.shape.text(), tensor.shape.rank());
  StoredTensor out = tensor;
  std::vector<int64_t> strides;  // in the values as stored
  for (size_t i = 0; i < axes.size(); ++i) {
    out.shape[static_cast<int>(i)] = tensor.shape[axes[i]];
    strides.push_back(tensor.shape.count(axes[i] + 1));
  }
  out.read = [tensor, shape = out.shape, strides](float* to) {
    const std::vector<float> values = tensor.values();
    gather(values.data(), shape, strides, to);
  };
  return out;
}

}  // namespace trainer
