// A net in one phase, ready to run.
#include "train/net_session.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/cores.h"
#include "base/error.h"
#include "base/text.h"
#include "compile/differentiate.h"
#include "ops/math.h"
#include "report/log.h"
#include "train/gradient_sums.h"
#include "train/loss_scale.h"

namespace trainer {
namespace {

constexpr size_t kMostPrograms = 16;  // shapes whose programs are kept
constexpr int kMostWorkers = 16;      // of a stream, where all cores are free for data

// The source that a value is a view of, or -1.
int source_behind(const Graph& graph, int value) {
  while (true) {
    const Op& op = graph.producer(value);
    if (op.kind == OpKind::kSource) return op.as<IndexAttributes>().index;
    if (op.kind != OpKind::kReshape) return -1;
    value = op.inputs[0];
  }
}

// A stream's messages name its layer, for they may come at any time; here the listing names it already.
std::string without_layer(const std::string& message, const caffe::LayerParameter& layer) {
  const std::string prefix = fmt::format("layer '{}' ({}): ", layer.name(), layer.type());
  return message.rfind(prefix, 0) == 0 ? message.substr(prefix.size()) : message;
}

ProgramKind debug_kind(ProgramKind kind) {
  switch (kind) {
    case ProgramKind::kTrain: return ProgramKind::kDebugTrain;
    case ProgramKind::kAccumulate: return ProgramKind::kDebugAccumulate;
    default: return ProgramKind::kDebugForward;
  }
}

bool is_debug(ProgramKind kind) { return kind >= ProgramKind::kDebugForward; }
bool only_looks(ProgramKind kind) { return kind == ProgramKind::kExtent || is_debug(kind); }

// How many elements are no label of the range, as a scalar.
Value count_bad_labels(Value labels, const LabelRange& range) {
  Value good = greater_equal(labels, 0.0f) *
               greater(static_cast<float>(range.classes) + 0.0f * labels, labels) *
               equal(labels, floor(labels));
  if (range.ignore) good = maximum(good, equal(labels, static_cast<float>(*range.ignore)));
  const Value bad = 1.0f - good;
  return reshape(sum(bad, all_axes(bad.shape())), Shape{});
}

}  // namespace

NetSession::NetSession(const caffe::NetParameter& net, const Positions& positions, caffe::Phase phase, uint64_t seed,
                       Runtime& runtime, GivenShapes given)
    : net_(net),
      positions_(positions),
      phase_(phase),
      seed_(seed),
      runtime_(runtime),
      given_(std::move(given)),
      ordinal_(runtime.sessions++) {
  open_streams();
  lowered_ = lower(next_shapes(), {}, ProgramKind::kForward, &warnings_);
}

NetSession::~NetSession() = default;

bool NetSession::gives_shapes_of(const caffe::LayerParameter& layer) const {
  return std::any_of(layer.top().begin(), layer.top().end(),
                     [this](const std::string& top) { return given_.count(top) > 0; });
}

std::vector<Shape> NetSession::given_shapes(const caffe::LayerParameter& layer) const {
  std::vector<Shape> shapes;
  for (const std::string& top : layer.top()) {
    const auto found = given_.find(top);
    if (found == given_.end()) return {};
    shapes.push_back(found->second);
  }
  return shapes;
}

void NetSession::check_given_shapes(Diagnostics* diagnostics) const {
  std::vector<std::string> tops;
  for (const caffe::LayerParameter& layer : net_.layer()) {
    const LayerType* type = find_layer_type(layer.type());
    if (type == nullptr || !type->data_source) continue;
    tops.insert(tops.end(), layer.top().begin(), layer.top().end());
    if (!gives_shapes_of(layer)) continue;
    for (const std::string& top : layer.top()) {
      if (given_.count(top) == 0)
        diagnostics->error(positions_.of(layer, "top"), fmt::format("layer \"{}\" ({})", layer.name(), layer.type()),
                           fmt::format("the shape of its top \"{}\" is not given, but that of another is", top),
                           "give the shapes of all its tops, or none to open its data set");
    }
  }
  for (const auto& [name, shape] : given_) {
    if (std::find(tops.begin(), tops.end(), name) != tops.end()) continue;
    diagnostics->error({}, "", fmt::format("a shape is given for \"{}\", which is no top of a data layer of this net", name),
                       tops.empty() ? "it has no data layer in this phase and stage"
                                    : fmt::format("tops of its data layers: {}", fmt::join(tops, ", ")));
  }
}

void NetSession::open_streams() {
  Diagnostics diagnostics, misconfigured;
  int data_errors = 0;
  check_given_shapes(&diagnostics);
  for (int i = 0; i < net_.layer_size(); ++i) {
    const caffe::LayerParameter& layer = net_.layer(i);
    if (!BatchStream::reads(layer.type()) || gives_shapes_of(layer)) continue;
    StreamOptions options;
    options.phase = layer.has_phase() ? layer.phase() : phase_;
    options.seed = seed_;
    options.net_name = net_.name();
    options.rank = runtime_.rank;
    options.world = runtime_.world;
    options.memory = &runtime_.device->host_memory();
    if (!runtime_.device->is_host()) options.workers = std::clamp(usable_cores() - 1, 1, kMostWorkers);
    options.log = [](const std::string& line) { log_warning(line); };
    try {
      streams_.push_back({i, BatchStream::open(layer, options), runtime_.device->make_uploads()});
    } catch (const Error& error) {
      if (error.code() != ExitCode::kConfiguration && error.code() != ExitCode::kData) throw;
      const bool data = error.code() == ExitCode::kData;
      data_errors += data;
      const std::string source = BatchStream::source_field(layer.type());
      (data ? diagnostics : misconfigured)
          .error(positions_.of(layer, data ? source : ""), fmt::format("layer \"{}\" ({})", layer.name(), layer.type()),
                 without_layer(error.what(), layer));
    }
    if (diagnostics.has_errors() || misconfigured.has_errors()) continue;
    for (const std::string& warning : streams_.back().stream->warnings())
      warnings_.warning(positions_.of(layer), fmt::format("layer \"{}\" ({})", layer.name(), layer.type()),
                        without_layer(warning, layer));
  }
  if (diagnostics.has_errors() || misconfigured.has_errors()) {
    // Other problems of the net belong in the same listing.
    LowerOptions options;
    options.phase = phase_;
    options.source_shapes = [this](const caffe::LayerParameter& layer) { return given_shapes(layer); };
    lower_net(net_, positions_, options, &diagnostics);
    // What a layer's own rule says of it stands at the field; the stream's words are for the rest.
    const std::vector<Diagnostic> of_rules = diagnostics.list();
    for (const Diagnostic& wrong : misconfigured.list()) {
      const bool told = std::any_of(of_rules.begin(), of_rules.end(), [&](const Diagnostic& rule) {
        return rule.severity == Diagnostic::kError && rule.subject == wrong.subject;
      });
      if (!told) diagnostics.add(wrong);
    }
    diagnostics.throw_if_errors(diagnostics.error_count() == data_errors ? ExitCode::kData
                                                                         : ExitCode::kConfiguration);
  }
}

std::vector<Shape> NetSession::next_shapes() {
  std::vector<Shape> shapes;
  for (const Stream& stream : streams_) {
    for (const TensorDesc& top : stream.stream->layout()) shapes.push_back(top.shape);
  }
  return shapes;
}

std::unique_ptr<LoweredNet> NetSession::lower(const std::vector<Shape>& shapes,
                                              const std::vector<int64_t>& extents, ProgramKind kind,
                                              Diagnostics* warnings) {
  LowerOptions options;
  options.separate_readers = is_debug(kind);
  options.writes_files = writes_files_ && !only_looks(kind);
  options.phase = phase_;
  options.seed = seed_;
  options.extents = extents;
  options.source_shapes = [&](const caffe::LayerParameter& layer) {
    const std::vector<Shape> given = given_shapes(layer);
    if (!given.empty()) return given;
    auto first = shapes.begin();
    for (const Stream& stream : streams_) {
      const auto end = first + static_cast<std::ptrdiff_t>(stream.stream->layout().size());
      if (&net_.layer(stream.layer) == &layer) return std::vector<Shape>(first, end);
      first = end;
    }
    return std::vector<Shape>();
  };
  Diagnostics diagnostics;
  std::unique_ptr<LoweredNet> net = lower_net(net_, positions_, options, &diagnostics);
  diagnostics.throw_if_errors();
  if (warnings != nullptr) {
    for (const Diagnostic& warning : diagnostics.list()) warnings->add(warning);
  }
  return net;
}

std::vector<const ParameterInfo*> NetSession::trained_parameters(const LoweredNet& net) {
  std::vector<const ParameterInfo*> trained;
  for (const ParameterInfo& parameter : net.parameters) {
    if (parameter.owner && !parameter.statistic && parameter.lr_mult != 0) trained.push_back(&parameter);
  }
  return trained;
}

bool NetSession::fits_next_batch(const Compiled& compiled) {
  size_t at = 0;
  for (const Stream& stream : streams_) {
    for (const TensorDesc& top : stream.stream->layout()) {
      if (at == compiled.shapes.size() || top.shape != compiled.shapes[at++]) return false;
    }
  }
  return true;
}

NetSession::Compiled& NetSession::compiled(ProgramKind kind) {
  if (current_ != nullptr && current_->kind == kind && current_->extents.empty() &&
      fits_next_batch(*current_))
    return *current_;
  return compiled(kind, next_shapes(), {});
}

NetSession::Compiled& NetSession::compiled(ProgramKind kind, const std::vector<Shape>& shapes,
                                           const std::vector<int64_t>& extents) {
  for (auto it = programs_.begin(); it != programs_.end(); ++it) {
    if (it->kind != kind || it->shapes != shapes || it->extents != extents) continue;
    programs_.splice(programs_.begin(), programs_, it);
    return *(current_ = &programs_.front());
  }
  if (programs_.size() == kMostPrograms) programs_.pop_back();
  current_ = nullptr;
  Compiled made;
  made.kind = kind;
  made.shapes = shapes;
  made.extents = extents;
  build(Fusion::kOn, &made);
  connect_streams(*made.program);
  programs_.push_front(std::move(made));
  return *(current_ = &programs_.front());
}

NetSession::Compiled& NetSession::compiled_for_data(ProgramKind kind, const std::vector<Shape>& shapes) {
  std::vector<int64_t> extents;
  for (const DataExtent& extent : lowered_->data_extents) {
    Program& program = *compiled(ProgramKind::kExtent, shapes, extents).program;
    set_batch(program);
    program.run({pass_number()});
    float count = 0;
    program.read_result(0, &count);
    if (count == 0)
      throw data_error(
          "{}: no item of this batch is kept, and what follows needs at least one: use larger batches, or leave such "
          "items out of the data set",
          extent.layer);
    extents.push_back(static_cast<int64_t>(count));
  }
  return compiled(kind, shapes, extents);
}

void NetSession::build(Fusion fusion, Compiled* out) {
  const ProgramKind kind = out->kind;
  const bool debug = is_debug(kind);
  std::unique_ptr<LoweredNet> net = lower(out->shapes, out->extents, kind, nullptr);
  check_parameter_shapes(*net, out->shapes);
  Graph& graph = *net->graph;
  for (StateInfo& state : graph.states) {
    if (state.owner != StateOwner::kNet) continue;
    out->carried[state.name] = state.shape;
    state.name = stored_name(state.name, state.shape);
  }

  settle_source_orders(graph);

  Module module;
  std::vector<int> watched;
  if (kind == ProgramKind::kExtent) {
    module.results.push_back(net->data_extents[out->extents.size()].count.id());
    module.effects = false;
    graph.writes.clear();
    net->outputs.clear();
    net->labels.clear();
  } else if (debug) {
    const DebugScope scope{kind != ProgramKind::kDebugForward, kind == ProgramKind::kDebugAccumulate, net_.force_backward(),
                           runtime_.scales_loss()};
    out->debug_info = add_debug_info(*net, scope, &module.results);
    module.effects = false;
    graph.writes.clear();
    net->outputs.clear();
    net->labels.clear();
  } else {
    module.results.push_back(net->loss ? net->loss.id() : -1);
    out->has_loss = static_cast<bool>(net->loss);
    if (out->has_loss) watched.push_back(0);
  }
  for (const NetOutput& output : net->outputs) module.results.push_back(output.value.id());
  if (module.effects) {
    for (const std::string& blob : kept_) {
      out->kept.push_back(static_cast<int>(module.results.size()));
      module.results.push_back(find_blob(*net, blob)->value.id());
    }
  }
  for (const LabelRequirement& label : net->labels) {
    const int source = source_behind(graph, label.value.id());
    const bool checked_by_stream =
        source >= 0 && std::any_of(streams_.begin(), streams_.end(), [&](const Stream& stream) {
          return stream.layer == graph.sources[static_cast<size_t>(source)].layer;
        });
    if (checked_by_stream) continue;
    graph.set_context(-1, Pass::kForward);
    watched.push_back(static_cast<int>(module.results.size()));
    out->label_flags.push_back(label.range.consumer);
    module.results.push_back(count_bad_labels(label.value, label.range).id());
  }
  if ((kind == ProgramKind::kTrain || kind == ProgramKind::kAccumulate) && net->loss) {
    const std::vector<const ParameterInfo*> trained = trained_parameters(*net);
    std::vector<Value> wanted;
    for (const ParameterInfo* parameter : trained)
      wanted.push_back(graph.read_state({parameter->state, parameter->shape}));
    const Value loss = runtime_.scales_loss() ? net->loss * read_loss_scale(graph) : net->loss;
    const std::vector<Value> gradients = differentiate(graph, loss, wanted);
    graph.set_context(-1, Pass::kBackward);
    for (size_t i = 0; i < trained.size(); ++i) {
      if (!gradients[i]) {
        const bool told = i > 0 && !gradients[i - 1] && trained[i - 1]->layer == trained[i]->layer;
        if (programs_.empty() && !told) warn_of_no_gradient(*net, *trained[i]);
        continue;
      }
      const std::string state = "gradients/" + trained[i]->state;
      const Value before = kind == ProgramKind::kAccumulate
                               ? graph.read_state({state, trained[i]->shape, StateOwner::kSolver})
                               : Value();
      graph.write_state(state, before ? before + gradients[i] : gradients[i]);
    }
  }
  module.graph = std::move(net->graph);
  try {
    out->program = compile(std::move(module), *runtime_.device, runtime_.store, runtime_.arena,
                           {fusion, activation_type(runtime_.precision), runtime_.arena_limit()});
  } catch (const OutOfMemory& error) {
    throw OutOfMemory(described() + error.what(), error.device, error.bytes, error.free);
  } catch (const Error& error) {
    if (error.code() != ExitCode::kDevice) throw;
    throw device_error("{}{}", described(), error.what());
  }
  out->program->watch(watched);
  if (runtime_.sums != nullptr && (kind == ProgramKind::kTrain || kind == ProgramKind::kAccumulate))
    runtime_.sums->mark(runtime_.rank, *out->program);
  for (size_t i = 0; i < out->program->sources.size(); ++i) {
    const SourceInfo& source = out->program->sources[i];
    const bool streamed = std::any_of(streams_.begin(), streams_.end(),
                                      [&](const Stream& stream) { return stream.layer == source.layer; });
    if (streamed || source.value < 0) continue;
    const TensorDesc& desc = out->program->values[static_cast<size_t>(source.value)].desc;
    out->inputs.push_back(
        std::make_unique<DeviceBlock>(*runtime_.device, std::max<int64_t>(desc.bytes(), 1)));
    out->program->set_source(static_cast<int>(i), out->inputs.back()->data());
  }
}

std::string NetSession::described() const {
  return fmt::format("{}phase {}: ", net_.name().empty() ? "" : fmt::format("net \"{}\", ", net_.name()), caffe::Phase_Name(phase_));
}

void NetSession::warn_of_no_gradient(const LoweredNet& net, const ParameterInfo& parameter) {
  const caffe::LayerParameter& layer = *net.layers[static_cast<size_t>(parameter.layer)].param;
  warnings_.warning(positions_.of(layer), fmt::format("layer \"{}\" ({})", layer.name(), layer.type()),
                    fmt::format("learned blob {} does not learn: no gradient reaches it from a loss", parameter.blob),
                    "if that is meant, say so with param { lr_mult: 0 }");
}

// Learned blobs keep the shapes that the first batch gave them.
void NetSession::check_parameter_shapes(const LoweredNet& net, const std::vector<Shape>& shapes) const {
  for (size_t i = 0; i < net.parameters.size(); ++i) {
    const ParameterInfo &first = lowered_->parameters[i], &parameter = net.parameters[i];
    if (parameter.shape == first.shape) continue;
    std::vector<std::string> tops;
    for (const Shape& shape : shapes) tops.push_back("(" + shape.text() + ")");
    const caffe::LayerParameter& layer = *net.layers[static_cast<size_t>(parameter.layer)].param;
    throw data_error(
        "layer \"{}\" ({}): this batch, of {}, asks for {} in learned blob {}, which is {} since the first batch. Give all "
        "batches one size (new_height and new_width of a list of pictures), or use layers whose blobs do not depend on it",
        layer.name(), layer.type(), fmt::join(tops, ", "), parameter.shape.text(), parameter.blob, first.shape.text());
  }
}

// Batches of streams that run already lie as they do.
void NetSession::settle_source_orders(Graph& graph) const {
  for (SourceInfo& source : graph.sources) {
    for (const Stream& stream : streams_) {
      if (stream.layer == source.layer && stream.stream->started())
        source.order = stream.stream->layout()[static_cast<size_t>(source.top)].order;
    }
  }
}

std::vector<Order> NetSession::source_orders(const Program& program, const Stream& stream) const {
  std::vector<Order> orders(stream.stream->layout().size(), Order::kRowMajor);
  for (const SourceInfo& source : program.sources) {
    if (source.layer == stream.layer && source.value >= 0)
      orders[static_cast<size_t>(source.top)] = program.values[static_cast<size_t>(source.value)].desc.order;
  }
  return orders;
}

// Whether the streams that run make batches in the orders that the program reads.
bool NetSession::fits_streams(const Program& program) const {
  for (const Stream& stream : streams_) {
    if (!stream.stream->started()) continue;
    const std::vector<Order> orders = source_orders(program, stream);
    for (size_t top = 0; top < orders.size(); ++top) {
      const TensorDesc& desc = stream.stream->layout()[top];
      if (desc.order != orders[top] && !orders_coincide(desc.shape)) return false;
    }
  }
  return true;
}

void NetSession::connect_streams(const Program& program) {
  TRAINER_ASSERT(fits_streams(program));
  for (Stream& stream : streams_) {
    if (stream.stream->started()) continue;
    stream.stream->set_orders(source_orders(program, stream));
    for (const LabelRequirement& label : lowered_->labels) {
      const int source = source_behind(*lowered_->graph, label.value.id());
      if (source < 0 || lowered_->graph->sources[static_cast<size_t>(source)].layer != stream.layer) continue;
      stream.stream->set_label_limit(lowered_->graph->sources[static_cast<size_t>(source)].top,
                                     {label.range.classes, label.range.ignore, label.range.consumer});
    }
    stream.stream->start();
  }
}

Program& NetSession::program(ProgramKind kind) { return *compiled(kind).program; }

void NetSession::take_batch() {
  for (Stream& stream : streams_) {
    if (stream.uploads) stream.uploads->wait();
    const std::vector<TensorDesc>& layout = stream.stream->layout();
    stream.batch.resize(layout.size());
    for (size_t top = 0; top < layout.size(); ++top) stream.batch[top].bytes = layout[top].bytes();
    const std::vector<void*>& buffers = stream.stream->next();
    for (size_t top = 0; top < buffers.size(); ++top) {
      stream.batch[top].host = buffers[top];
      stream.batch[top].device = buffers[top];
    }
    if (stream.uploads) stream.uploads->start(stream.batch);
  }
}

void NetSession::set_batch(Program& program) {
  for (size_t s = 0; s < program.sources.size(); ++s) {
    const SourceInfo& source = program.sources[s];
    for (const Stream& stream : streams_) {
      if (stream.layer == source.layer)
        program.set_source(static_cast<int>(s), stream.batch[static_cast<size_t>(source.top)].device);
    }
  }
}

// As it stands before the pass, whose own program goes on to change it.
void NetSession::log_debug_info(ProgramKind kind, const std::vector<Shape>& shapes) {
  Compiled& debug = compiled_for_data(kind, shapes);
  set_batch(*debug.program);
  hand_over_carried(debug);
  debug.program->run({pass_number()});
  for (const std::string& line : debug.debug_info->lines(*debug.program)) debug_log_(line);
}

// Carried states are the session's own, and one for each shape: programs for other numbers of items have others.
std::string NetSession::stored_name(const std::string& carried, const Shape& shape) const {
  return fmt::format("carried/{}/{}/{}", ordinal_, carried, shape.text());
}

void NetSession::write_carried(const std::string& name, const Shape& shape, std::vector<float> values) {
  const std::string stored = stored_name(name, shape);
  if (!runtime_.store.contains(stored)) runtime_.store.add(stored, shape);
  values.resize(static_cast<size_t>(shape.count()), 0.0f);
  runtime_.store.write(stored, values.data());
  carried_[name] = shape;
}

// Where the number of items changes, the first ones go on and more begin with zeros.
void NetSession::hand_over_carried(const Compiled& next) {
  for (const auto& [name, shape] : next.carried) {
    const auto last = carried_.find(name);
    if (last == carried_.end()) {
      carried_[name] = shape;
    } else if (last->second != shape) {
      write_carried(name, shape, runtime_.store.read(stored_name(name, last->second)));
    }
  }
}

uint64_t NetSession::ranks() const { return phase_ == caffe::TRAIN ? static_cast<uint64_t>(runtime_.world) : 1; }

uint64_t NetSession::pass_number() const { return passes_ + (phase_ == caffe::TRAIN ? static_cast<uint64_t>(runtime_.rank) : 0); }

// The program for the next batch, with that batch.
NetSession::Compiled& NetSession::take_next(ProgramKind kind) {
  Compiled* chosen = &compiled(kind);
  if (lowered_->data_extents.empty() && !debug_log_) {
    take_batch();
  } else {
    const std::vector<Shape> shapes = chosen->shapes;
    take_batch();
    if (debug_log_) log_debug_info(debug_kind(kind), shapes);
    chosen = &compiled_for_data(kind, shapes);
  }
  set_batch(*chosen->program);
  hand_over_carried(*chosen);
  return *chosen;
}

void NetSession::queue_next(ProgramKind kind) {
  Program& program = *take_next(kind).program;
  program.run({pass_number()});
  passes_ += ranks();
}

void NetSession::finish() {
  const std::span<const float> watched = current_->program->watched();
  loss_ = current_->has_loss ? watched[0] : 0;
  for (size_t i = 0; i < current_->label_flags.size(); ++i) {
    const float bad = watched[i + current_->has_loss];
    if (bad != 0)
      throw data_error("{}: {} labels of this batch are not whole numbers in the layer's range of classes", current_->label_flags[i],
                       static_cast<int64_t>(bad));
  }
}

void NetSession::run_next(ProgramKind kind) {
  queue_next(kind);
  finish();
}

void NetSession::run_next_timed(ProgramKind kind, std::vector<double>* seconds) {
  Program& program = *take_next(kind).program;
  seconds->resize(program.steps.size(), 0.0);
  program.run_timed({pass_number()}, seconds);
  passes_ += ranks();
  finish();
}

std::string NetSession::find_bad_data() const {
  TRAINER_ASSERT(current_ != nullptr);
  size_t next = 0;
  for (const Stream& stream : streams_) {
    const caffe::LayerParameter& layer = *lowered_->layers[static_cast<size_t>(stream.layer)].param;
    for (size_t top = 0; top < stream.batch.size(); ++top) {
      const Shape& shape = current_->shapes[next++];
      const auto *values = static_cast<const float*>(stream.batch[top].host), *end = values + shape.count();
      const auto* bad = std::find_if_not(values, end, [](float x) { return std::isfinite(x); });
      if (bad != end)
        return fmt::format("item {} of top \"{}\" of layer \"{}\" ({})", (bad - values) / shape.count(1),
                           layer.top(static_cast<int>(top)), layer.name(), layer.type());
    }
  }
  return "";
}

std::optional<LayerShare> NetSession::find_bad_layer(ProgramKind kind) {
  TRAINER_ASSERT(current_ != nullptr && current_->kind == kind && passes_ > 0);
  const RunContext context{pass_number() - ranks()};
  Program& program = *current_->program;
  const int step = program.run_checked(context);
  if (step < 0) return std::nullopt;
  const std::vector<LayerShare>& shares = program.steps[static_cast<size_t>(step)].op.shares;
  std::vector<int> layers;
  for (const LayerShare& share : shares) layers.push_back(share.layer);
  if (std::adjacent_find(layers.begin(), layers.end(), std::not_equal_to<int>()) == layers.end())
    return shares.front();

  // A step of several layers: which one shows where each op is a step of its own.
  try {
    Compiled single;
    single.kind = kind;
    single.shapes = current_->shapes;
    single.extents = current_->extents;
    build(Fusion::kOff, &single);
    if (!fits_streams(*single.program)) return shares.front();
    set_batch(*single.program);
    const int bad = single.program->run_checked(context, layers);
    if (bad >= 0) return single.program->steps[static_cast<size_t>(bad)].op.shares.front();
  } catch (const Error&) {
    // No memory for it.
  }
  return shares.front();
}

const std::vector<std::vector<float>>& NetSession::read_outputs() {
  TRAINER_ASSERT(current_ != nullptr);
  const Program& program = *current_->program;
  const size_t count = lowered_->outputs.size();
  outputs_.resize(count);
  for (size_t i = 0; i < count; ++i) {
    const int result = static_cast<int>(i) + 1;
    outputs_[i].resize(static_cast<size_t>(program.result_desc(result).shape.count()));
    program.read_result(result, outputs_[i].data());
  }
  return outputs_;
}

void NetSession::keep_blobs(const std::vector<std::string>& names) {
  TRAINER_ASSERT(programs_.empty());
  for (const std::string& name : names) {
    if (find_blob(*lowered_, name) != nullptr) continue;
    std::vector<std::string> known;
    for (const CaffeLayer& layer : caffe_layers(*lowered_)) known.insert(known.end(), layer.tops.begin(), layer.tops.end());
    const std::string near = nearest_name(name, known);
    throw config_error("unknown blob \"{}\" in the net \"{}\"{}; its blobs in phase {}: {}", name, lowered_->name,
                       near.empty() ? "" : fmt::format(", did you mean \"{}\"?", near), caffe::Phase_Name(phase_),
                       fmt::join(known, ", "));
  }
  kept_ = names;
}

Shape NetSession::kept_shape(size_t blob) const { return current_->program->result_desc(current_->kept[blob]).shape; }

void NetSession::read_kept(size_t blob, std::vector<float>* values) const {
  TRAINER_ASSERT(current_ != nullptr);
  values->resize(static_cast<size_t>(kept_shape(blob).count()));
  current_->program->read_result(current_->kept[blob], values->data());
}

int64_t NetSession::batch_size() const {
  int64_t most = 0;
  for (const Stream& stream : streams_) most = std::max(most, stream.stream->batch_size());
  if (most > 0) return most;
  for (const LoweredLayer& layer : lowered_->layers) {
    const bool fed = layer.type != nullptr && layer.bottoms.empty() && !layer.tops.empty();
    if (fed && layer.tops.front().value && layer.tops.front().value.shape().rank() > 0)
      most = std::max(most, layer.tops.front().value.shape()[0]);
  }
  return most;
}

int64_t NetSession::records_per_epoch() const {
  int64_t most = 0;
  for (const Stream& stream : streams_) most = std::max(most, stream.stream->records_per_epoch());
  return most;
}

double NetSession::waited_seconds() const {
  double total = 0;
  for (const Stream& stream : streams_) total += stream.stream->waited_seconds();
  return total;
}

int64_t NetSession::skipped_records() const {
  int64_t total = 0;
  for (const Stream& stream : streams_) total += stream.stream->skipped_records();
  return total;
}

int64_t NetSession::batch_bytes() const {
  int64_t total = 0;
  for (const Stream& stream : streams_) {
    if (runtime_.device->is_host()) {
      total += stream.stream->buffer_bytes();
      continue;
    }
    for (const TensorDesc& top : stream.stream->layout()) total += 2 * top.bytes();
  }
  return total;
}

NetPosition NetSession::position() const {
  NetPosition position;
  position.passes = passes_;
  for (const Stream& stream : streams_) position.cursors[net_.layer(stream.layer).name()] = stream.stream->cursor();
  for (const auto& [name, shape] : carried_) position.carried[name] = {shape, runtime_.store.read(stored_name(name, shape))};
  return position;
}

void NetSession::seek(const NetPosition& position) {
  passes_ = position.passes;
  for (Stream& stream : streams_) {
    const auto found = position.cursors.find(net_.layer(stream.layer).name());
    if (found != position.cursors.end()) stream.stream->seek(found->second);
  }
  for (const auto& [name, state] : position.carried) write_carried(name, state.shape, state.values);
}

}  // namespace trainer
