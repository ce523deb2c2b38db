// Compiles a net for the shapes of a batch.
#include "session/net_programs.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "compile/differentiate.h"
#include "ops/math.h"
#include "session/gradient_sums.h"
#include "session/group_sums.h"
#include "session/loss_scale.h"
#include "session/parameters.h"
#include "session/stand_in_shapes.h"
#include "session/state_names.h"

namespace trainer {
namespace {

constexpr size_t kMostPrograms = 16;
constexpr int64_t kMostSent = 1 << 16;  // elements that are copied to the host after a pass

bool is_debug(ProgramKind kind) { return kind >= ProgramKind::kDebugForward; }
bool reads_only(ProgramKind kind) { return kind == ProgramKind::kExtent || is_debug(kind); }

// The number of elements that are not labels of the range, a scalar.
Value count_bad_labels(Value labels, const LabelRange& range) {
  Value good = greater_equal(labels, 0.0f) * greater(static_cast<float>(range.classes) + 0.0f * labels, labels) *
               equal(labels, floor(labels));
  if (range.ignore) good = maximum(good, equal(labels, static_cast<float>(*range.ignore)));
  const Value bad = 1.0f - good;
  return reshape(sum(bad, all_axes(bad.shape())), Shape{});
}

// The number of devices that train together on the net.
int ranks_of(const NetInPhase& net) { return net.phase == caffe::TRAIN ? net.device_session.world : 1; }

std::shared_ptr<GroupSums> make_group_sums(const NetInPhase& net) {
  Group* const group = net.device_session.group;
  const bool one_each = group != nullptr && group->size() == net.device_session.world;
  return ranks_of(net) > 1 && one_each ? std::make_shared<GroupSums>(*group) : nullptr;
}

int add_result(Module& module, Value value) {
  module.results.push_back(value.id());
  return static_cast<int>(module.results.size()) - 1;
}

}  // namespace

NetPrograms::NetPrograms(const NetInPhase& net, DataLayers& data, const InputArrays& inputs,
                         const CarriedStates& carried, Diagnostics* problems)
    : net_(net),
      data_(data),
      inputs_(inputs),
      carried_(carried),
      warnings_(*problems),
      group_sums_(make_group_sums(net)) {
  lowered_ = lower(ProgramKind::kForward, data.next_shapes(), {}, problems);
  if (net.reading.whole_epochs) check_last_batch(problems);
}

// The last batch of an epoch is smaller if batch_size does not divide the number of records.
void NetPrograms::check_last_batch(Diagnostics* problems) const {
  const std::vector<Shape> shapes = data_.last_shapes();
  if (shapes.empty() || shapes == data_.next_shapes()) return;
  Diagnostics found;
  try {
    lower(ProgramKind::kForward, shapes, {}, &found);
  } catch (const Error& error) {
    problems->error(
        {}, subject_of(net_),
        fmt::format("the last batch of the data set has {} of {} records, and the net accepts only whole "
                    "batches: {}",
                    shapes.front()[0], data_.batch_size(), error.what()),
        fmt::format("choose a batch_size that divides the {} records, or test a number of batches: test_iter "
                    "in the solver, --iterations for trainer test",
                    format_count(data_.records_per_epoch())));
    problems->throw_if_errors();
  }
}

std::unique_ptr<LoweredNet> NetPrograms::lower(ProgramKind kind, const std::vector<Shape>& shapes,
                                               const std::vector<int64_t>& extents, Diagnostics* problems) const {
  LowerOptions options;
  options.separate_readers = is_debug(kind);
  options.writes_files = writes_files_ && !reads_only(kind);
  options.phase = net_.phase;
  options.seed = net_.seed;
  options.multipliers = net_.multipliers;
  options.extents = extents;
  options.ranks = ranks_of(net_);
  options.rank_sums = group_sums_;
  options.source_shapes = [&](const caffe::LayerParameter& layer) {
    const std::vector<Shape> of_arrays = inputs_.shapes_of(layer);
    return of_arrays.empty() ? data_.shapes_of(layer, shapes) : of_arrays;
  };
  options.count_labels = [&](const caffe::LayerParameter& layer, int top) { return data_.count_labels(layer, top); };
  std::unique_ptr<LoweredNet> net = lower_net(net_.net, net_.positions, options, problems);
  if (problems->has_errors()) check_with_stand_ins(net_.net, net_.positions, options, problems);
  problems->throw_if_errors();
  return net;
}

// Each name once, in the order of the layers, without those of Split layers.
std::vector<std::string> NetPrograms::blob_names() const {
  std::vector<std::string> names;
  for (const LoweredLayer& layer : lowered_->layers) {
    for (const LoweredTop& top : layer.tops) {
      if (std::find(names.begin(), names.end(), top.name) == names.end()) names.push_back(top.name);
    }
  }
  return names;
}

std::vector<std::string> NetPrograms::tops_of_layer(const std::string& name) const {
  for (const LoweredLayer& layer : lowered_->layers) {
    if (layer.param->name() == name) return {layer.param->top().begin(), layer.param->top().end()};
  }
  return {};
}

void NetPrograms::keep_blobs(const std::vector<std::string>& names) {
  TRAINER_ASSERT(programs_.empty());
  for (const std::string& name : names) {
    if (find_blob(*lowered_, name) != nullptr) continue;
    const std::vector<std::string> known = blob_names();
    const std::vector<std::string> made = tops_of_layer(name);
    throw config_error("unknown blob \"{}\" in the net \"{}\"{}; its blobs in phase {}: {}", name, lowered_->name,
                       !made.empty()
                           ? fmt::format(", but a layer has this name: it makes \"{}\"", fmt::join(made, "\", \""))
                           : suggest(name, known, ", did you mean \"{}\"?"),
                       caffe::Phase_Name(net_.phase), fmt::join(known, ", "));
  }
  kept_ = names;
}

void NetPrograms::freeze(const std::vector<std::string>& patterns) {
  net_.multipliers.frozen = patterns;
  programs_.clear();
}

std::shared_ptr<NetProgram> NetPrograms::use(std::list<std::shared_ptr<NetProgram>>::iterator known) {
  programs_.splice(programs_.begin(), programs_, known);
  return programs_.front();
}

std::shared_ptr<NetProgram> NetPrograms::next(ProgramKind kind) {
  const auto known = std::find_if(programs_.begin(), programs_.end(), [&](const auto& program) {
    return program->kind == kind && program->extents.empty() && data_.next_has(program->shapes) &&
           inputs_.fit(program->shapes);
  });
  return known == programs_.end() ? get_or_compile(kind, data_.next_shapes(), {}) : use(known);
}

std::shared_ptr<NetProgram> NetPrograms::get_or_compile(ProgramKind kind, const std::vector<Shape>& data_shapes,
                                                        const std::vector<int64_t>& extents) {
  std::vector<Shape> shapes = data_shapes;
  for (const Shape& shape : inputs_.shapes()) shapes.push_back(shape);
  const auto known = std::find_if(programs_.begin(), programs_.end(), [&](const auto& program) {
    return program->kind == kind && program->shapes == shapes && program->extents == extents;
  });
  if (known != programs_.end()) return use(known);
  if (programs_.size() == kMostPrograms) programs_.pop_back();
  auto made = std::make_shared<NetProgram>(compile_program(kind, shapes, extents, Fusion::kOn));
  data_.start(*made->program, *lowered_);
  programs_.push_front(std::move(made));
  return programs_.front();
}

void NetPrograms::repeat_sums(bool repeats) {
  if (group_sums_) group_sums_->repeat(repeats);
}

double NetPrograms::seconds_in_sums() const { return group_sums_ ? group_sums_->seconds() : 0; }

NetProgram NetPrograms::unfused(const NetProgram& program) {
  return compile_program(program.kind, program.shapes, program.extents, Fusion::kOff);
}

// Adds the results of a debug kind and of kExtent.
void NetPrograms::add_debug_results(NetProgram& made, LoweredNet& net, Module& module) const {
  if (made.kind == ProgramKind::kExtent) {
    add_result(module, net.data_extents[made.extents.size()].count);
    return;
  }
  const DebugScope scope{made.kind != ProgramKind::kDebugForward, made.kind == ProgramKind::kDebugAccumulate,
                         net_.net.force_backward(), net_.device_session.scales_loss()};
  made.debug_info = add_debug_info(net, scope, &module.results);
}

// Adds the results of the other kinds. `read_each_pass` receives those that the host reads after each pass.
void NetPrograms::add_results(NetProgram& made, LoweredNet& net, Module& module,
                              std::vector<int>* read_each_pass) const {
  made.has_loss = static_cast<bool>(net.loss);
  if (made.has_loss) read_each_pass->push_back(add_result(module, net.loss));
  for (const NetOutput& output : net.outputs) made.outputs.push_back(add_result(module, output.value));
  if (measures_ && made.kind == ProgramKind::kForward) add_measures(made, net, module);
  for (const std::string& blob : kept_) made.kept.push_back(add_result(module, find_blob(net, blob)->value));
  std::vector<Value> bad_labels;
  for (const LabelRequirement& label : net.labels) {
    const SourceInfo* source = source_behind(*net.graph, label.value.id());
    if (source != nullptr && data_.gives(*source)) continue;  // the stream checks them
    if (label.range.class_axis > 0) continue;                 // computed soft labels need not sum to 1
    net.graph->set_context(-1, Pass::kForward);
    made.label_flags.push_back(label.range.consumer);
    bad_labels.push_back(count_bad_labels(label.value, label.range));
    read_each_pass->push_back(add_result(module, bad_labels.back()));
  }
  if (makes_gradients(made.kind) && net_.device_session.store.contains(kPassLoss)) write_pass_loss(net, bad_labels);
}

void NetPrograms::add_measures(NetProgram& made, const LoweredNet& net, Module& module) const {
  const auto measure = [&](Value value) {
    if (value) made.measured.push_back(add_result(module, value));
  };
  const auto measure_averaging = [&](const Averaging& averaging) {
    measure(averaging.divisor);
    measure(averaging.sum);
  };
  for (const NetOutput& output : net.outputs) measure_averaging(output.averaging);
  for (const LossTerm& term : net.loss_terms) {
    measure(term.value);
    measure_averaging(term.averaging);
  }
  for (const CountedMetric& metric : net.metrics) {
    for (const Value& value : metric.values) made.counted.push_back(add_result(module, value));
  }
}

// The loss is divided by 0 if there are bad labels.
void NetPrograms::write_pass_loss(LoweredNet& net, const std::vector<Value>& bad_labels) const {
  if (!net.loss && bad_labels.empty()) return;
  Value loss = net.loss ? net.loss : constant(*net.graph, Shape{}, 0);
  for (const Value& bad : bad_labels) loss = loss / equal(bad, 0.0f);
  net.graph->write_state(kPassLoss, loss);
}

// Gives memory to sources that neither a stream nor an array on the host provides: zeros, or a copy of an array.
void NetPrograms::bind_inputs(NetProgram& made) const {
  for (size_t i = 0; i < made.program->sources.size(); ++i) {
    const SourceInfo& source = made.program->sources[i];
    if (data_.gives(source) || source.value < 0) continue;
    if (inputs_.fills(source) && net_.device_session.device->is_host()) continue;
    const TensorDesc& desc = made.program->values[static_cast<size_t>(source.value)].desc;
    auto block = std::make_unique<DeviceBlock>(*net_.device_session.device, std::max<int64_t>(desc.bytes(), 1));
    made.program->set_source(static_cast<int>(i), block->data());
    made.inputs[static_cast<int>(i)] = std::move(block);
  }
}

NetProgram NetPrograms::compile_program(ProgramKind kind, const std::vector<Shape>& shapes,
                                        const std::vector<int64_t>& extents, Fusion fusion) {
  NetProgram made;
  made.kind = kind;
  made.shapes = shapes;
  made.extents = extents;
  Diagnostics problems;
  const std::unique_ptr<LoweredNet> net = lower(kind, shapes, extents, &problems);
  check_parameter_shapes(*net, shapes);
  Graph& graph = *net->graph;
  for (StateInfo& state : graph.states) {
    if (state.owner != StateOwner::kNet) continue;
    made.carried[state.name] = state.shape;
    state.name = carried_.stored_name(state.name, state.shape);
  }
  data_.settle_orders(graph);
  inputs_.settle_orders(graph);

  Module module;
  std::vector<int> read_each_pass;
  if (reads_only(kind)) {
    add_debug_results(made, *net, module);
    module.effects = false;
    graph.writes.clear();
  } else {
    add_results(made, *net, module, &read_each_pass);
    if (makes_gradients(kind)) add_gradients(*net, kind == ProgramKind::kAccumulate);
  }
  module.graph = std::move(net->graph);
  made.program = compiled(std::move(module), fusion);
  made.program->watch(makes_gradients(kind) ? read_each_pass : std::vector<int>());
  if (!reads_only(kind)) send_results(std::move(read_each_pass), &made);
  if (net_.device_session.sums != nullptr && makes_gradients(kind))
    net_.device_session.sums->mark(net_.device_session.local, *made.program);
  bind_inputs(made);
  return made;
}

void NetPrograms::send_results(std::vector<int> results, NetProgram* out) const {
  int64_t elements = 0;
  std::vector<int> sent = out->outputs;
  for (const std::vector<int>* more : {&out->measured, &out->counted})
    sent.insert(sent.end(), more->begin(), more->end());
  for (int result : sent) elements += out->program->result_desc(result).shape.count();
  out->sends_outputs = elements <= kMostSent;
  if (out->sends_outputs) results.insert(results.end(), sent.begin(), sent.end());
  out->async_results = std::make_unique<AsyncResults>(*net_.device_session.device, *out->program, std::move(results));
}

void NetPrograms::add_gradients(LoweredNet& net, bool accumulate) {
  Graph& graph = *net.graph;
  const std::vector<const ParameterInfo*> trained = trained_parameters(net);
  std::vector<Value> wanted;
  for (const ParameterInfo* parameter : trained)
    wanted.push_back(graph.read_state({parameter->state, parameter->shape}));
  std::vector<Value> gradients(trained.size());
  if (net.loss)
    gradients =
        differentiate(graph, net_.device_session.scales_loss() ? net.loss * read_loss_scale(graph) : net.loss, wanted);
  graph.set_context(-1, Pass::kBackward);
  for (size_t i = 0; i < trained.size(); ++i) {
    const StateInfo state{gradient_state(trained[i]->state), trained[i]->shape, StateOwner::kSolver};
    if (!gradients[i]) {
      const bool warned = i > 0 && !gradients[i - 1] && trained[i - 1]->layer == trained[i]->layer;
      if (net.loss && !warned_of_gradients_ && !warned) warn_of_no_gradient(net, *trained[i]);
      // With snapshot_diff the state holds the last step.
      if (!accumulate) graph.write_state(state.name, constant(graph, state.shape, 0));
      continue;
    }
    graph.write_state(state.name, accumulate ? graph.read_state(state) + gradients[i] : gradients[i]);
  }
  warned_of_gradients_ = true;
}

std::unique_ptr<Program> NetPrograms::compiled(Module module, Fusion fusion) const {
  const std::string net = subject_of(net_) + ": ";
  DeviceSession& device_session = net_.device_session;
  try {
    return compile(std::move(module), *device_session.device, device_session.store, device_session.arena,
                   {fusion, activation_type(device_session.precision), device_session.arena_limit(),
                    device_session.sums != nullptr});
  } catch (const OutOfMemory& error) {
    throw OutOfMemory(net + error.what(), error.device, error.bytes, error.free);
  } catch (const Error& error) {
    if (error.code() != ExitCode::kDevice) throw;
    throw device_error("{}{}", net, error.what());
  }
}

void NetPrograms::warn_of_no_gradient(const LoweredNet& net, const ParameterInfo& parameter) {
  const caffe::LayerParameter& layer = *net.layers[static_cast<size_t>(parameter.layer)].param;
  warnings_.warning(net_.positions.of(layer), subject_of(layer),
                    fmt::format("learned blob {} does not learn: no gradient reaches it from a loss", parameter.blob),
                    "if that is meant, say so with param { lr_mult: 0 }");
}

// Learned blobs keep the shapes of the first batch.
void NetPrograms::check_parameter_shapes(const LoweredNet& net, const std::vector<Shape>& shapes) const {
  for (size_t i = 0; i < net.parameters.size(); ++i) {
    const ParameterInfo &first = lowered_->parameters[i], &parameter = net.parameters[i];
    if (parameter.shape == first.shape) continue;
    std::vector<std::string> tops;
    for (const Shape& shape : shapes) tops.push_back("(" + shape.text() + ")");
    throw data_error(
        "{}: this batch, of {}, asks for {} in learned blob {}, which is {} since the first batch. Give all "
        "batches one size (new_height and new_width of a list of images), or use layers whose blobs do not depend on "
        "it",
        subject_of(*net.layers[static_cast<size_t>(parameter.layer)].param), fmt::join(tops, ", "),
        parameter.shape.text(), parameter.blob, first.shape.text());
  }
}

}  // namespace trainer
