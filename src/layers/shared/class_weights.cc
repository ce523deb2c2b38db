// Reads and checks the weights of classes.
#include "layers/shared/class_weights.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <vector>

#include "base/text.h"
#include "layers/shared/axis_view.h"
#include "layers/shared/constant_vector.h"

namespace trainer {
namespace {

constexpr const char* kField = "loss_param.class_weight";
constexpr const char* kFileField = "loss_param.class_weight_file";
constexpr const char* kBalanceField = "loss_param.balance_classes";

std::vector<float> read_weights(LayerContext& context, const std::string& path) {
  std::ifstream file(path);
  if (!file)
    context.fail(kFileField, fmt::format("cannot read {}: {}", path, std::strerror(errno)),
                 "name a text file with a weight for each class");
  skip_byte_order_mark(file);
  std::vector<float> weights;
  for (std::string word; file >> word;) {
    float weight = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), weight);
    if (error != std::errc() || end != word.data() + word.size())
      context.fail(kFileField, fmt::format("{}: \"{}\" is not a number", path, printable(word)),
                   "the file holds a weight for each class, separated by spaces or line breaks");
    weights.push_back(weight);
  }
  return weights;
}

// N / (C * n) for a class that n of N labels have, with C such classes; 0 for a class without labels. Equal weights if
// the labels are unknown.
std::vector<float> balanced_weights(LayerContext& context, int64_t classes) {
  LabelCounts counts = context.count_labels(1, kBalanceField);
  std::vector<float> weights(static_cast<size_t>(classes), counts.empty() ? 1.0f : 0.0f);
  if (counts.empty()) return weights;
  if (context.param().loss_param().has_ignore_label()) counts.erase(context.param().loss_param().ignore_label());
  // Others are errors of the batches that have them.
  std::erase_if(counts, [&](const auto& entry) { return entry.first < 0 || entry.first >= classes; });
  double labels = 0;
  for (const auto& [label, count] : counts) labels += static_cast<double>(count);
  for (const auto& [label, count] : counts)
    weights[static_cast<size_t>(label)] =
        static_cast<float>(labels / (static_cast<double>(counts.size()) * static_cast<double>(count)));
  return weights;
}

void warn_of_missing_classes(LayerContext& context, const std::vector<float>& weights) {
  constexpr size_t kMostShown = 10;
  const caffe::LossParameter& param = context.param().loss_param();
  std::vector<size_t> missing;
  for (size_t c = 0; c < weights.size(); ++c) {
    const bool ignored = param.has_ignore_label() && param.ignore_label() == static_cast<int>(c);
    if (weights[c] == 0 && !ignored) missing.push_back(c);
  }
  if (missing.empty()) return;
  const size_t shown = std::min(missing.size(), kMostShown);
  context.warn(kBalanceField,
               fmt::format("the training data have no label of {} of {} classes ({}{}), whose weight is 0",
                           missing.size(), weights.size(),
                           fmt::join(missing.begin(), missing.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
                           shown < missing.size() ? ", ..." : ""));
}

}  // namespace

Value class_weights(LayerContext& context, const Shape& scores, int axis) {
  const caffe::LossParameter& param = context.param().loss_param();
  const bool from_file = param.has_class_weight_file(), given = from_file || param.class_weight_size() > 0;
  if (given && param.balance_classes())
    context.fail(kBalanceField,
                 fmt::format("both {} and balance_classes are given", from_file ? "class_weight_file" : "class_weight"),
                 "keep one");
  if (param.balance_classes() && context.phase() == caffe::TRAIN) {
    const std::vector<float> weights = balanced_weights(context, scores[axis]);
    warn_of_missing_classes(context, weights);
    return along_axis(constant_vector(context.graph(), weights), scores.rank(), axis);
  }
  if (!given) return Value();
  if (from_file && param.class_weight_size() > 0)
    context.fail(kFileField, "both class_weight and class_weight_file are given", "keep one");

  const std::string field = from_file ? kFileField : kField;
  const std::string holder = from_file ? param.class_weight_file() : "class_weight";
  const std::vector<float> weights = from_file
                                         ? read_weights(context, param.class_weight_file())
                                         : std::vector<float>(param.class_weight().begin(), param.class_weight().end());
  if (static_cast<int64_t>(weights.size()) != scores[axis])
    context.fail(field,
                 fmt::format("{} has {} value{}, but \"{}\" ({}) has {} classes", holder, weights.size(),
                             weights.size() == 1 ? "" : "s", context.param().bottom(0), scores.text(), scores[axis]),
                 "give a weight for each class, in the order of the labels");
  bool any = false;
  for (size_t c = 0; c < weights.size(); ++c) {
    any = any || weights[c] > 0;
    if (!(weights[c] >= 0 && std::isfinite(weights[c])))
      context.fail(field, fmt::format("the weight of class {} is {}", c, weights[c]),
                   "it must be a finite number, 0 or more");
  }
  if (!any) context.fail(field, "the weight of each class is 0", "give a class a weight above 0");
  return along_axis(constant_vector(context.graph(), weights), scores.rank(), axis);
}

}  // namespace trainer
