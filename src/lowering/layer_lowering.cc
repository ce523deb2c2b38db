// Implements the LayerContext on the net that is lowered.
#include "lowering/layer_lowering.h"

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/philox.h"
#include "layers/shared/filler.h"
#include "layers/shared/given_shape.h"
#include "lowering/multipliers.h"

namespace trainer {

SourcePosition position_of(const Positions& positions, const caffe::LayerParameter& layer, const std::string& field) {
  const size_t bracket = field.find('[');
  if (bracket == std::string::npos) return positions.of(layer, field);
  return positions.of(layer, field.substr(0, bracket), std::atoi(field.c_str() + bracket + 1));
}

LayerLowering::LayerLowering(Assembly& assembly, int layer, std::string random_name)
    : assembly_(assembly), layer_(layer), random_name_(std::move(random_name)) {
  const LoweredLayer& self = lowered();
  param_ = self.param;
  phase_ = self.phase;
  graph_ = assembly.net.graph.get();
  bottom_values_ = self.bottoms;
  top_count_ = static_cast<int>(self.tops.size());
  top_values_.resize(self.tops.size());
}

LoweredLayer& LayerLowering::lowered() { return assembly_.net.layers[static_cast<size_t>(layer_)]; }

bool LayerLowering::run() {
  try {
    lowered().type->lower(*this);
    check_results();
  } catch (const LayerFailure&) {
    return false;
  }
  for (size_t i = 0; i < top_values_.size(); ++i) lowered().tops[i].value = top_values_[i];
  return true;
}

void LayerLowering::check_results() {
  const int blobs = static_cast<int>(lowered().parameters.size());
  if (param_->param_size() > blobs)
    fail(fmt::format("param[{}]", blobs),
         fmt::format("too many params specified: {} for a layer with {} learned blob{}", param_->param_size(), blobs,
                     blobs == 1 ? "" : "s"),
         "remove what is too many");
  for (size_t i = 0; i < top_values_.size(); ++i) {
    TRAINER_ASSERT(top_values_[i]);
    check_top(*this, static_cast<int>(i), top_values_[i].shape());
  }
}

void LayerLowering::check_own(const std::string& what, const Shape& shape) {
  const std::string problem = check_shape(shape);
  if (!problem.empty()) fail("", fmt::format("{}: {}", what, problem), kShapeRemedy);
}

Value LayerLowering::parameter(const Shape& shape, const caffe::FillerParameter* filler, float fallback) {
  check_own(fmt::format("learned blob {}", lowered().parameters.size()), shape);
  caffe::FillerParameter constant;
  constant.set_value(fallback);
  if (filler != nullptr) {
    std::string field;
    const std::string problem = check_filler(*filler, shape, &field);
    if (!problem.empty()) {
      assembly_.diagnostics.error(assembly_.positions.of(*filler, field), subject_of(*param_), problem);
      throw LayerFailure();
    }
  }
  return assembly_.parameters.add(*this, layer_, shape, filler != nullptr ? *filler : constant, false);
}

Value LayerLowering::statistic(const Shape& shape, float initial) {
  check_own(fmt::format("blob {}", lowered().parameters.size()), shape);
  caffe::FillerParameter constant;
  constant.set_value(initial);
  return assembly_.parameters.add(*this, layer_, shape, constant, true);
}

const ParameterInfo& LayerLowering::blob(int index) {
  return assembly_.net.parameters[static_cast<size_t>(lowered().parameters.at(static_cast<size_t>(index)))];
}

void LayerLowering::write_statistic(int index, Value value) {
  TRAINER_ASSERT(blob(index).statistic);
  graph_->write_state(blob(index).state, value);
}

bool LayerLowering::frozen_statistics() {
  const std::set<std::string> frozen = frozen_parameters(assembly_.options.multipliers, assembly_.net);
  return std::all_of(lowered().parameters.begin(), lowered().parameters.end(), [&](int index) {
    const ParameterInfo& parameter = assembly_.net.parameters[static_cast<size_t>(index)];
    return !parameter.statistic || frozen.count(parameter.state) != 0;
  });
}

std::shared_ptr<RankSums> LayerLowering::rank_sums(const std::string& field) {
  if (assembly_.options.ranks > 1 && !assembly_.options.rank_sums)
    fail(
        field,
        fmt::format("{} devices train together, but not each of them in a process of its own", assembly_.options.ranks),
        fmt::format("start one process for each device, or remove {}", field.substr(field.rfind('.') + 1)));
  return assembly_.options.rank_sums;
}

Value LayerLowering::carried_state(const std::string& name, const Shape& shape) {
  check_own(fmt::format("carried state {}", name), shape);
  return graph_->read_state({random_name_ + ":" + name, shape, StateOwner::kNet});
}

void LayerLowering::write_carried_state(const std::string& name, Value value) {
  graph_->write_state(random_name_ + ":" + name, value);
}

uint64_t LayerLowering::random_key(const std::string& purpose) const {
  return philox_key(assembly_.options.seed, assembly_.net.name, random_name_, purpose);
}

std::vector<Shape> LayerLowering::source_shapes() {
  if (!assembly_.options.source_shapes) fail("", "the shapes of its data set are not known here");
  std::vector<Shape> shapes = assembly_.options.source_shapes(*param_);
  if (shapes.empty()) throw LayerFailure();
  if (shapes.size() < top_values_.size())
    fail("top", fmt::format("{} tops, but its data set gives {}", top_values_.size(), shapes.size()));
  return shapes;
}

std::vector<Shape> LayerLowering::given_shapes() {
  return assembly_.options.source_shapes ? assembly_.options.source_shapes(*param_) : std::vector<Shape>();
}

Value LayerLowering::source(int top, const Shape& shape) {
  return graph_->add_source(lowered().tops[static_cast<size_t>(top)].name, shape, top);
}

namespace {

// The value whose elements `value` has, before reshapes and copies.
int origin_of(const Graph& graph, int value) {
  for (int producer = graph.values[static_cast<size_t>(value)].producer; producer >= 0;
       producer = graph.values[static_cast<size_t>(value)].producer) {
    const Op& op = graph.ops[static_cast<size_t>(producer)];
    if (op.kind != OpKind::kReshape) break;
    value = op.inputs.front();
  }
  return value;
}

}  // namespace

int64_t LayerLowering::data_extent(Value deciding, Value count, int64_t largest) {
  std::vector<DataExtent>& known = assembly_.net.data_extents;
  const int origin = origin_of(*graph_, deciding.id());
  const auto found =
      std::find_if(known.begin(), known.end(), [&](const DataExtent& extent) { return extent.origin == origin; });
  const size_t index = static_cast<size_t>(found - known.begin());
  if (found == known.end()) known.push_back({count, origin, subject_of(*param_)});
  return index < assembly_.options.extents.size() ? assembly_.options.extents[index] : largest;
}

void LayerLowering::set_divisor(int top, Value divisor, Value sum) {
  averaging(top) = {Averaging::Kind::kDivisor, divisor, sum};
}

void LayerLowering::set_sum(int top) { averaging(top) = {Averaging::Kind::kSum, Value(), Value()}; }

void LayerLowering::set_share(int top, Value divisor) { averaging(top) = {Averaging::Kind::kShare, divisor, Value()}; }

void LayerLowering::count(std::function<std::unique_ptr<Metric>()> make, std::vector<Value> values) {
  const std::string& name = lowered().tops.empty() ? param_->name() : lowered().tops.front().name;
  assembly_.net.metrics.push_back({name, std::move(make), std::move(values)});
}

void LayerLowering::require_labels(int bottom, LabelRange range) {
  if (range.consumer.empty()) range.consumer = subject_of(*param_);
  assembly_.net.labels.push_back({this->bottom(bottom), std::move(range)});
}

LabelCounts LayerLowering::count_labels(int bottom, const std::string& field) {
  constexpr const char* kRemedy = "give class_weight or class_weight_file instead";
  const std::string& name = param_->bottom(bottom);
  const Op& op = graph_->producer(origin_of(*graph_, this->bottom(bottom).id()));
  const SourceInfo* source =
      op.kind == OpKind::kSource ? &graph_->sources[static_cast<size_t>(op.as<IndexAttributes>().index)] : nullptr;
  const LoweredLayer* layer = source != nullptr ? &assembly_.net.layers[static_cast<size_t>(source->layer)] : nullptr;
  if (layer == nullptr || !layer->type->data_source)
    fail(field, fmt::format("labels are counted in a data set, but no data layer makes \"{}\"", name), kRemedy);
  if (!assembly_.options.count_labels) return {};
  const std::optional<LabelCounts> counts = assembly_.options.count_labels(*layer->param, source->top);
  if (!counts)
    fail(field, fmt::format("{} has no class for each label of \"{}\"", subject_of(*layer->param), name), kRemedy);
  return *counts;
}

void LayerLowering::fail(const std::string& field, const std::string& message, const std::string& hint) {
  assembly_.diagnostics.error(position_of(assembly_.positions, *param_, field), subject_of(*param_), message, hint);
  throw LayerFailure();
}

void LayerLowering::warn(const std::string& field, const std::string& message, const std::string& hint) {
  assembly_.diagnostics.warning(position_of(assembly_.positions, *param_, field), subject_of(*param_), message, hint);
}

}  // namespace trainer
