// Reads and checks the weights of classes.
#include "layers/shared/class_weights.h"

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>

#include "base/text.h"
#include "layers/shared/axis_view.h"
#include "layers/shared/constant_vector.h"

namespace trainer {
namespace {

constexpr const char* kField = "loss_param.class_weight";
constexpr const char* kFileField = "loss_param.class_weight_file";

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

}  // namespace

Value class_weights(LayerContext& context, const Shape& scores, int axis) {
  const caffe::LossParameter& param = context.param().loss_param();
  const bool from_file = param.has_class_weight_file();
  if (!from_file && param.class_weight_size() == 0) return Value();
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
