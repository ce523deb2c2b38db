// Statistics, differences and changed lists of tensors.
#include "cli/weight_files.h"

#include <fnmatch.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "hub/weight_names.h"
#include "session/parameters.h"

namespace trainer {
namespace {

// "conv1" of "conv1/0" and of "conv1.weight"; a name without a separator is that of the layer.
std::string layer_of(const std::string& tensor) {
  const TensorName name = split_tensor_name(tensor);
  return name.separator == '\0' ? tensor : name.layer;
}

NamedTensors without_tensors(const LoadedWeights& file) {
  return {{}, file.file->net_name, file.file->notes, file.types};
}

std::map<std::string, const StoredTensor*> by_name(const LoadedWeights& file) {
  std::map<std::string, const StoredTensor*> tensors;
  for (const StoredTensor& tensor : file.tensors.tensors) tensors[tensor.name] = &tensor;
  return tensors;
}

std::vector<std::string> names_of(const LoadedWeights& file) {
  std::vector<std::string> names;
  for (const StoredTensor& tensor : file.tensors.tensors) names.push_back(tensor.name);
  return names;
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const bool equal = a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]));
    const double difference = equal ? 0 : std::abs(double{a[i]} - double{b[i]});
    if (std::isnan(difference)) return difference;
    largest = std::max(largest, difference);
  }
  return largest;
}

}  // namespace

LoadedWeights::LoadedWeights(const std::string& path)
    : path(path), file(std::make_shared<const WeightFile>(read_weights_of(path))), tensors(tensors_of(*file)) {
  for (const WeightLayer& layer : file->layers) types.emplace(layer.name, layer.type);
}

int64_t LoadedWeights::count() const {
  int64_t count = 0;
  for (const StoredTensor& tensor : tensors.tensors) count += tensor.shape.count();
  return count;
}

std::string LoadedWeights::type_of(const std::string& tensor) const {
  const auto found = types.find(layer_of(tensor));
  return found == types.end() ? "" : found->second;
}

TensorStatistics statistics_of(const StoredTensor& tensor) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  TensorStatistics out{kNone, kNone, kNone};
  const std::vector<float> values = tensor.values();
  if (values.empty()) return out;
  double sum = 0;
  for (const float value : values) sum += value;
  out.mean = sum / static_cast<double>(values.size());
  if (std::any_of(values.begin(), values.end(), [](float value) { return std::isnan(value); })) return out;
  const auto [min, max] = std::minmax_element(values.begin(), values.end());
  out.min = *min;
  out.max = *max;
  return out;
}

std::vector<TensorDifference> differences_of(const LoadedWeights& a, const LoadedWeights& b) {
  std::vector<TensorDifference> out;
  const std::map<std::string, const StoredTensor*> first = by_name(a), second = by_name(b);
  for (const StoredTensor& tensor : a.tensors.tensors) {
    const auto other = second.find(tensor.name);
    if (other == second.end()) {
      out.push_back({tensor.name, 0, "only in " + a.path});
    } else if (other->second->shape != tensor.shape) {
      out.push_back({tensor.name, 0, fmt::format("{} and {}", tensor.shape.text(), other->second->shape.text())});
    } else {
      out.push_back({tensor.name, largest_difference(tensor.values(), other->second->values()), ""});
    }
  }
  for (const StoredTensor& tensor : b.tensors.tensors) {
    if (first.count(tensor.name) == 0) out.push_back({tensor.name, 0, "only in " + b.path});
  }
  return out;
}

NamedTensors merged(const std::vector<LoadedWeights>& files) {
  NamedTensors out = without_tensors(files.front());
  std::map<std::string, size_t> places;
  for (const LoadedWeights& file : files) {
    out.types.insert(file.types.begin(), file.types.end());
    out.notes.complete(file.file->notes);
    for (const StoredTensor& tensor : file.tensors.tensors) {
      const auto [place, fresh] = places.emplace(tensor.name, out.tensors.size());
      if (fresh) {
        out.tensors.push_back(tensor);
      } else {
        out.tensors[place->second] = tensor;
      }
    }
  }
  return out;
}

NamedTensors averaged(const std::vector<LoadedWeights>& files) {
  NamedTensors out = without_tensors(files.front());
  std::map<std::string, std::vector<StoredTensor>> tensors;
  for (const LoadedWeights& file : files) {
    if (file.tensors.tensors.size() != files.front().tensors.tensors.size())
      throw data_error("{} has {} tensors and {} has {}: an average needs the same ones", files.front().path,
                       files.front().tensors.tensors.size(), file.path, file.tensors.tensors.size());
    for (const StoredTensor& tensor : file.tensors.tensors) tensors[tensor.name].push_back(tensor);
  }
  for (const StoredTensor& tensor : files.front().tensors.tensors) {
    const std::vector<StoredTensor>& all = tensors[tensor.name];
    const bool alike =
        std::all_of(all.begin(), all.end(), [&](const StoredTensor& t) { return t.shape == tensor.shape; });
    if (all.size() != files.size() || !alike)
      throw data_error("the tensor \"{}\" of {} is missing from another file, or has another shape there",
                       printable(tensor.name), files.front().path);
    StoredTensor mean = tensor;
    mean.read = [all](float* to) {
      std::vector<double> sums(static_cast<size_t>(all.front().shape.count()), 0.0);
      for (const StoredTensor& part : all) {
        const std::vector<float> values = part.values();
        for (size_t i = 0; i < sums.size(); ++i) sums[i] += double{values[i]};
      }
      for (const double sum : sums) *to++ = static_cast<float>(sum / static_cast<double>(all.size()));
    };
    out.tensors.push_back(std::move(mean));
  }
  return out;
}

NamedTensors renamed(const LoadedWeights& file, const std::vector<std::string>& renames,
                     const std::vector<WeightMapLine>& map) {
  std::vector<WeightMapLine> lines = map;
  for (const std::string& rename : renames) {
    const size_t mark = rename.find('=');
    const std::string from = rename.substr(0, mark), to = mark == std::string::npos ? "" : rename.substr(mark + 1);
    const auto stars = [](const std::string& text) { return std::count(text.begin(), text.end(), '*'); };
    if (from.empty() || to.empty() || stars(from) != stars(to) || stars(from) > 1)
      throw config_error("--rename={}: write OLD=NEW, with one \"*\" in both names or none", rename);
    lines.push_back({to, -1, from, {}, "--rename=" + rename});
  }
  if (lines.empty()) throw config_error("weights rename takes --rename=OLD=NEW or --weights_map=FILE");

  NamedTensors out = without_tensors(file);
  std::set<std::string> used, names;
  for (const StoredTensor& tensor : file.tensors.tensors) {
    StoredTensor changed = tensor;
    for (const WeightMapLine& line : lines) {
      const std::optional<std::string> star = match_star(line.tensor, tensor.name);
      if (!star) continue;
      used.insert(line.place);
      if (!line.transpose.empty()) changed = transposed(tensor, line.transpose, line.place);
      changed.name = replace_star(line.layer, *star);
      if (line.blob >= 0) changed.name += fmt::format("/{}", line.blob);
      out.types.emplace(layer_of(changed.name), file.type_of(tensor.name));
      break;
    }
    if (!names.insert(changed.name).second)
      throw data_error("two tensors of {} would have the name \"{}\"", file.path, printable(changed.name));
    out.tensors.push_back(std::move(changed));
  }
  for (const WeightMapLine& line : lines) {
    if (used.count(line.place) == 0)
      throw data_error("{}: no tensor of {} matches \"{}\"{}", line.place, file.path, printable(line.tensor),
                       suggest(line.tensor, names_of(file), "; did you mean \"{}\"?"));
  }
  return out;
}

NamedTensors stripped(const LoadedWeights& file, const std::vector<std::string>& patterns) {
  if (patterns.empty()) throw config_error("weights strip takes --remove=PATTERN");
  NamedTensors out = without_tensors(file);
  std::set<std::string> used;
  for (const StoredTensor& tensor : file.tensors.tensors) {
    bool removed = false;
    for (const std::string& pattern : patterns) {
      if (fnmatch(pattern.c_str(), tensor.name.c_str(), 0) != 0 &&
          fnmatch(pattern.c_str(), layer_of(tensor.name).c_str(), 0) != 0)
        continue;
      removed = true;
      used.insert(pattern);
    }
    if (!removed) out.tensors.push_back(tensor);
  }
  for (const std::string& pattern : patterns) {
    if (used.count(pattern) == 0)
      throw data_error("--remove={}: no layer or tensor of {} matches{}", pattern, file.path,
                       suggest(pattern, names_of(file), "; did you mean \"{}\"?"));
  }
  if (out.tensors.empty()) throw data_error("no tensor of {} would be left", file.path);
  return out;
}

}  // namespace trainer
