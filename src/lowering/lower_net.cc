// Resolves the blobs of a net, lowers its layers and sums its losses.
#include "lowering/lower_net.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "lowering/blob_table.h"
#include "lowering/dropped_gradients.h"
#include "lowering/label_gradients.h"
#include "lowering/layer_lowering.h"
#include "lowering/multipliers.h"
#include "lowering/unknown_type.h"

namespace trainer {
namespace {

constexpr const char* kAutomaticTop = "(automatic)";
constexpr size_t kMostNamesListed = 12;

class NetAssembly {
 public:
  NetAssembly(const caffe::NetParameter& source, const Positions& positions, const LowerOptions& options,
              Diagnostics& diagnostics, LoweredNet& net)
      : all_{source, positions, options, diagnostics, net, ParameterTable(net, options.separate_readers)} {
    net.name = source.name();
    net.phase = options.phase;
    net.layers.resize(static_cast<size_t>(source.layer_size()));
  }

  void run() {
    for (int i = 0; i < all_.source.layer_size(); ++i) add_layer(i);
    all_.net.graph->set_context(-1, Pass::kForward);
    add_outputs();
    apply_multipliers(all_.options.multipliers, &all_.net);
    report_label_gradients(all_.net, all_.positions, all_.diagnostics);
  }

 private:
  void add_layer(int index);
  void error(const LoweredLayer& layer, const std::string& field, const std::string& message,
             const std::string& hint = "");

  // Each resolves or checks one part, reports mistakes and returns whether the layer can still be lowered.
  bool resolve_bottoms(LoweredLayer& layer);
  bool name_tops(LoweredLayer& layer);
  bool check_counts(const LoweredLayer& layer);
  bool check_class_weights(const LoweredLayer& layer);
  bool check_metric_fields(const LoweredLayer& layer);
  bool read_loss_weights(LoweredLayer& layer);

  std::string unknown_bottom_hint(const LoweredLayer& layer, const std::string& name);
  std::string unique_name(const std::string& layer);
  void note_batch_values(LoweredLayer& layer);
  void add_loss(const LoweredLayer& layer);
  void add_outputs();

  Assembly all_;
  BlobTable blobs_;
  std::map<std::string, int> layers_of_name_;
  bool tops_missing_ = false;  // an unreadable layer makes blobs of unknown names
};

void NetAssembly::error(const LoweredLayer& layer, const std::string& field, const std::string& message,
                        const std::string& hint) {
  all_.diagnostics.error(position_of(all_.positions, *layer.param, field), subject_of(*layer.param), message, hint);
}

std::string NetAssembly::unique_name(const std::string& layer) {
  const int ordinal = ++layers_of_name_[layer];
  return ordinal == 1 ? layer : fmt::format("{}#{}", layer, ordinal);
}

std::string NetAssembly::unknown_bottom_hint(const LoweredLayer& layer, const std::string& name) {
  for (int i = static_cast<int>(&layer - all_.net.layers.data()) + 1; i < all_.source.layer_size(); ++i) {
    const auto& tops = all_.source.layer(i).top();
    if (std::find(tops.begin(), tops.end(), name) != tops.end())
      return fmt::format("layer \"{}\" further down makes it: layers run in the order of the file",
                         all_.source.layer(i).name());
  }
  std::vector<std::string> names = blobs_.names();
  const std::string hint = suggest(name, names, "did you mean \"{}\"? ");
  if (names.empty()) return hint + "no layer before this one makes a blob";
  const bool cut = names.size() > kMostNamesListed;
  if (cut) names.erase(names.begin(), names.end() - static_cast<std::ptrdiff_t>(kMostNamesListed));
  return hint + fmt::format("blobs of the {} net up to here: {}{}", caffe::Phase_Name(all_.options.phase),
                            cut ? "..., " : "", fmt::join(names, ", "));
}

bool NetAssembly::resolve_bottoms(LoweredLayer& layer) {
  const caffe::LayerParameter& param = *layer.param;
  bool good = true;
  const bool propagation_given = param.propagate_down_size() > 0;
  if (propagation_given && param.propagate_down_size() != param.bottom_size()) {
    error(layer, "propagate_down",
          fmt::format("{} propagate_down for {} bottoms", param.propagate_down_size(), param.bottom_size()),
          "give one for each bottom, or none");
    good = false;
  }
  for (int i = 0; i < param.bottom_size(); ++i) {
    layer.bottom_names.push_back(param.bottom(i));
    BlobVersion* blob = blobs_.find(param.bottom(i));
    if (blob == nullptr) {
      if (!tops_missing_)
        error(layer, fmt::format("bottom[{}]", i), fmt::format("unknown bottom blob \"{}\"", param.bottom(i)),
              unknown_bottom_hint(layer, param.bottom(i)));
      // Reported once: further readers get a blob of unknown shape.
      blob = &blobs_.add(param.bottom(i), -1, -1, Value(), false);
    }
    ++blob->readers;
    Value value = blob->value;
    if (!value) good = false;
    if (value && all_.options.separate_readers) value = copy_of(value);
    if (value && propagation_given && good && !param.propagate_down(i)) value = stop_gradient(value);
    layer.bottoms.push_back(value);
  }
  return good;
}

bool NetAssembly::name_tops(LoweredLayer& layer) {
  const caffe::LayerParameter& param = *layer.param;
  bool good = true;
  for (int i = 0; i < param.top_size(); ++i) {
    const std::string& name = param.top(i);
    LoweredTop top;
    top.name = name;
    top.in_place = i < param.bottom_size() && param.bottom(i) == name;
    const std::string field = fmt::format("top[{}]", i);
    const BlobVersion* existing = blobs_.find(name);
    const bool twice_here = std::find(param.top().begin(), param.top().begin() + i, name) != param.top().begin() + i;
    if (top.in_place && layer.type != nullptr && !layer.type->allows_in_place) {
      error(layer, field, fmt::format("{} cannot work in place", param.type()), "give the top a name of its own");
      good = false;
    } else if (twice_here || (existing != nullptr && existing->layer >= 0 && !top.in_place)) {
      error(layer, field, fmt::format("top blob \"{}\" produced by multiple sources", name),
            "give it another name; a top works in place only if the bottom at the same index has its name");
      good = false;
    } else if (top.in_place && existing->is_split()) {
      error(layer, field,
            fmt::format("top blob \"{}\" produced by multiple sources: \"{}\" is also read by another layer, "
                        "or part of the loss, before this layer changes it in place",
                        name, name),
            "give the top a name of its own, and let later layers read it");
      good = false;
    }
    layer.tops.push_back(top);
  }
  if (layer.type != nullptr && layer.type->loss && layer.tops.empty()) {
    layer.tops.emplace_back();
    layer.tops.back().name = kAutomaticTop;
  }
  return good;
}

bool NetAssembly::check_counts(const LoweredLayer& layer) {
  const LayerType& type = *layer.type;
  bool good = true;
  auto check = [&](const char* verb, const char* what, const char* role, int have, int least, int most) {
    std::string rule;
    if (least == most && have != least)
      rule = fmt::format("{}", least);
    else if (have < least)
      rule = fmt::format("at least {}", least);
    else if (most != kAnyNumber && have > most)
      rule = fmt::format("at most {}", most);
    else
      return;
    error(layer, have > 0 ? what : "",
          fmt::format("{} Layer {} {} {} blob(s) as {}; {} given", type.type, verb, rule, what, role,
                      have == 0   ? "none"
                      : have == 1 ? "one is"
                                  : fmt::format("{} are", have)),
          fmt::format("`trainer help layer {}` shows an example", type.type));
    good = false;
  };
  const int bottoms = static_cast<int>(layer.bottom_names.size()), tops = static_cast<int>(layer.tops.size());
  check("takes", "bottom", "input", bottoms, type.min_bottoms, type.max_bottoms);
  check("produces", "top", "output", tops, type.min_tops, type.max_tops);
  if (good && type.equal_blobs && bottoms != tops) {
    error(layer, "top",
          fmt::format("{} Layer produces one top blob as output for each bottom blob input; {} bottoms and {} tops "
                      "are given",
                      type.type, bottoms, tops));
    good = false;
  }
  return good;
}

bool NetAssembly::check_class_weights(const LoweredLayer& layer) {
  const caffe::LossParameter& loss = layer.param->loss_param();
  const char* field = loss.has_label_smoothing()     ? "label_smoothing"
                      : loss.class_weight_size() > 0 ? "class_weight"
                      : loss.has_class_weight_file() ? "class_weight_file"
                      : loss.balance_classes()       ? "balance_classes"
                                                     : nullptr;
  if (field == nullptr || layer.type->class_weights) return true;
  error(layer, fmt::format("loss_param.{}", field), fmt::format("{} has no {}", layer.type->type, field),
        "remove it, or use SoftmaxWithLoss");
  return false;
}

bool NetAssembly::check_metric_fields(const LoweredLayer& layer) {
  const caffe::MetricParameter& metric = layer.param->metric_param();
  const std::vector<std::string>& read = layer.type->metric_fields;
  std::vector<const google::protobuf::FieldDescriptor*> given;
  metric.GetReflection()->ListFields(metric, &given);
  bool good = true;
  for (const auto* field : given) {
    if (std::find(read.begin(), read.end(), field->name()) != read.end()) continue;
    error(layer, fmt::format("metric_param.{}", field->name()),
          fmt::format("{} has no metric_param.{}", layer.type->type, field->name()),
          read.empty() ? "remove it: this layer reads no field of metric_param"
                       : fmt::format("remove it: of metric_param, this layer reads {}", fmt::join(read, " and ")));
    good = false;
  }
  if (layer.type->metric && layer.param->has_loss_param()) {
    error(layer, "loss_param", fmt::format("{} has no loss_param", layer.type->type),
          read.empty() ? "remove it" : "ignore_label belongs to metric_param");
    good = false;
  }
  return good;
}

bool NetAssembly::read_loss_weights(LoweredLayer& layer) {
  const caffe::LayerParameter& param = *layer.param;
  if (param.loss_weight_size() == 0) {
    if (layer.type->loss && !layer.tops.empty()) layer.tops.front().loss_weight = 1;
    return true;
  }
  if (param.loss_weight_size() != static_cast<int>(layer.tops.size())) {
    error(layer, "loss_weight", fmt::format("{} loss_weight for {} tops", param.loss_weight_size(), layer.tops.size()),
          "loss_weight must be unspecified or specified once per top blob");
    return false;
  }
  for (int i = 0; i < param.loss_weight_size(); ++i)
    layer.tops[static_cast<size_t>(i)].loss_weight = param.loss_weight(i);
  return true;
}

void NetAssembly::add_layer(int index) {
  LoweredLayer& layer = all_.net.layers[static_cast<size_t>(index)];
  layer.param = &all_.source.layer(index);
  layer.type = find_layer_type(layer.param->type());
  layer.phase = layer.param->has_phase() ? layer.param->phase() : all_.options.phase;
  all_.net.graph->set_context(index, Pass::kForward);
  const bool readable = !all_.positions.faulty(*layer.param);
  if (layer.type == nullptr && (readable || !layer.param->type().empty()))
    error(layer, "type", fmt::format("unknown layer type \"{}\"", layer.param->type()),
          unknown_type_hint(layer.param->type()));

  bool good = resolve_bottoms(layer);
  good = name_tops(layer) && good;
  good = good && readable;
  tops_missing_ = tops_missing_ || (!readable && layer.param->top_size() == 0);
  if (layer.type != nullptr && readable) {
    good = check_counts(layer) && good;
    good = check_class_weights(layer) && good;
    good = check_metric_fields(layer) && good;
    good = read_loss_weights(layer) && good;
    const std::string random_name = unique_name(layer.param->name());
    if (good) good = LayerLowering(all_, index, random_name).run();
  }
  if (good) note_batch_values(layer);
  if (good) add_loss(layer);
  for (size_t i = 0; i < layer.tops.size(); ++i) {
    const LoweredTop& top = layer.tops[i];
    if (top.name == kAutomaticTop && layer.param->top_size() == 0) continue;
    blobs_.add(top.name, index, static_cast<int>(i), top.value, is_weighted(layer, i));
    if (!top.value) continue;
    std::string& name = all_.net.graph->values[static_cast<size_t>(top.value.id())].name;
    if (name.empty()) name = top.name;
  }
}

// A layer that is not linear in a value of the whole batch, such as the root of a loss.
void NetAssembly::note_batch_values(LoweredLayer& layer) {
  const std::string& type = layer.param->type();
  const bool linear = type == "Silence" || type == "Eltwise" || type == "Scale" || type == "Reshape" ||
                      (type == "Power" && layer.param->power_param().power() == 1);
  const bool of_batch = std::any_of(layer.bottoms.begin(), layer.bottoms.end(),
                                    [](const Value& bottom) { return bottom && bottom.shape().rank() == 0; });
  if (of_batch && !linear && layer.mixes_records.empty()) layer.mixes_records = "it reads a value of the whole batch";
}

void NetAssembly::add_loss(const LoweredLayer& layer) {
  for (const LoweredTop& top : layer.tops) {
    if (top.loss_weight == 0) continue;
    const Value total = reshape(sum(top.value, all_axes(top.value.shape())), Shape{});
    const Value weighted = total * top.loss_weight;
    all_.net.loss = all_.net.loss ? all_.net.loss + weighted : weighted;
    all_.net.loss_terms.push_back({total, top.loss_weight, top.averaging});
  }
}

void NetAssembly::add_outputs() {
  for (const BlobVersion& blob : blobs_.versions()) {
    if (blob.layer < 0) continue;
    const LoweredLayer& layer = all_.net.layers[static_cast<size_t>(blob.layer)];
    const LoweredTop& top = layer.tops[static_cast<size_t>(blob.top)];
    if (blob.readers > 0 && !blob.weighted) continue;
    const std::string name = blob.is_split() ? split_top_name(blob.name, layer.param->name(), blob.top, 0) : blob.name;
    all_.net.outputs.push_back(
        {name, top.value, top.loss_weight, top.averaging, layer.type != nullptr && layer.type->metric});
  }
  std::sort(all_.net.outputs.begin(), all_.net.outputs.end(),
            [](const NetOutput& a, const NetOutput& b) { return a.name < b.name; });
}

// Weight files match layers by name: of two layers with one name only the first gets its weights again.
void warn_of_equal_names(const LoweredNet& net, const Positions& positions, Diagnostics& diagnostics) {
  std::set<std::string> seen;
  for (const LoweredLayer& layer : net.layers) {
    if (layer.parameters.empty() || seen.insert(layer.param->name()).second) continue;
    diagnostics.warning(
        positions.of(*layer.param, "name"), subject_of(*layer.param),
        "another layer with learned blobs has this name: weight files match layers by name, so the weights of this "
        "layer cannot be loaded again",
        "rename one of them");
  }
}

}  // namespace

std::unique_ptr<LoweredNet> lower_net(const caffe::NetParameter& net, const Positions& positions,
                                      const LowerOptions& options, Diagnostics* diagnostics) {
  auto lowered = std::make_unique<LoweredNet>();
  NetAssembly(net, positions, options, *diagnostics, *lowered).run();
  warn_of_equal_names(*lowered, positions, *diagnostics);
  drop_gradients_caffe_drops(*lowered, positions, *diagnostics);
  return lowered;
}

}  // namespace trainer
