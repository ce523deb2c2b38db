// Starts the streams of batches in the shapes and memory formats that programs read.
#include "session/data_layers.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <system_error>

#include "base/cores.h"
#include "base/error.h"
#include "base/text.h"
#include "data/picture_input.h"
#include "ranks/group.h"
#include "report/log.h"

namespace trainer {
namespace {

constexpr int kMostWorkers = 16;  // of a stream, if all cores are free for data

}  // namespace

std::string subject_of(const NetInPhase& net) {
  return fmt::format("{}phase {}", net.net.name().empty() ? "" : fmt::format("net \"{}\", ", net.net.name()),
                     caffe::Phase_Name(net.phase));
}

const SourceInfo* source_behind(const Graph& graph, int value) {
  while (true) {
    const Op& op = graph.producer(value);
    if (op.kind == OpKind::kSource) return &graph.sources[static_cast<size_t>(op.as<IndexAttributes>().index)];
    if (op.kind != OpKind::kReshape) return nullptr;
    value = op.inputs[0];
  }
}

DataLayers::DataLayers(const NetInPhase& net, GivenShapes given, Diagnostics* problems)
    : net_(net), given_(std::move(given)) {
  check_given(problems);
  for (int i = 0; i < net_.net.layer_size(); ++i) {
    const caffe::LayerParameter& layer = net_.net.layer(i);
    const LayerType* type = find_layer_type(layer.type());
    if (type == nullptr || !type->data_source || net_.positions.faulty(layer)) continue;
    if (is_given(layer)) {
      BatchStream::check(layer, net_.positions, problems);
    } else if (type->allows_tops(layer.top_size())) {
      open(i, problems);
    }
  }
  if (net_.reading.whole_epochs && given_.empty() && !problems->has_errors()) check_epochs(problems);
  check_written_files(problems);
}

// All data layers of a net give the same number of records in each pass.
void DataLayers::check_epochs(Diagnostics* diagnostics) const {
  if (streams_.empty()) {
    diagnostics->error({}, subject_of(net_), "it reads no data set with an end, so it cannot be run over all of it",
                       "give the number of batches: test_iter in the solver, --iterations for trainer test, "
                       "NUM_BATCHES for trainer extract_features");
    return;
  }
  const BatchStream& first = *streams_.front().stream;
  for (const Stream& other : streams_) {
    if (other.stream->records_per_epoch() == first.records_per_epoch() &&
        other.stream->batch_size() == first.batch_size())
      continue;
    const auto describe = [&](const Stream& stream) {
      return fmt::format("{} has {} records in batches of {}", subject_of(net_.net.layer(stream.layer)),
                         format_count(stream.stream->records_per_epoch()), stream.stream->batch_size());
    };
    diagnostics->error(
        {}, "",
        fmt::format("{}, but {}: no run reads each record of both once", describe(streams_.front()), describe(other)),
        "give both the same number of records and batch_size, or run a number of batches: test_iter in the solver, "
        "--iterations for trainer test, NUM_BATCHES for trainer extract_features",
        ExitCode::kData);
  }
}

void DataLayers::open(int index, Diagnostics* problems) {
  const caffe::LayerParameter& layer = net_.net.layer(index);
  Device& device = *net_.device_session.device;
  StreamOptions options;
  options.phase = layer.has_phase() ? layer.phase() : net_.phase;
  options.seed = net_.seed;
  options.net_name = net_.net.name();
  options.rank = net_.device_session.rank;
  options.world = net_.device_session.world;
  if (net_.device_session.group != nullptr) options.processes = net_.device_session.group->size();
  options.in_order = options.whole_epochs = net_.reading.whole_epochs;
  options.images = net_.reading.images;
  options.memory = &device.host_memory();
  if (!device.is_host()) options.workers = std::clamp(usable_cores() - 1, 1, kMostWorkers);
  options.log = [](const std::string& line) { log_warning(line); };
  if (net_.device_session.local == 0) options.note = [](const std::string& line) { log_info(line); };
  std::unique_ptr<BatchStream> stream = BatchStream::open(layer, options, net_.positions, problems);
  if (stream != nullptr) streams_.push_back({index, std::move(stream), device.make_uploads(), {}});
}

bool DataLayers::is_given(const caffe::LayerParameter& layer) const {
  return std::any_of(layer.top().begin(), layer.top().end(),
                     [this](const std::string& top) { return given_.count(top) > 0; });
}

std::vector<Shape> DataLayers::given_shapes(const caffe::LayerParameter& layer) const {
  std::vector<Shape> shapes;
  for (const std::string& top : layer.top()) {
    const auto found = given_.find(top);
    if (found == given_.end()) return {};
    shapes.push_back(found->second);
  }
  return shapes;
}

void DataLayers::check_given(Diagnostics* diagnostics) const {
  std::vector<std::string> tops;
  for (const caffe::LayerParameter& layer : net_.net.layer()) {
    const LayerType* type = find_layer_type(layer.type());
    if (type == nullptr || !type->data_source) continue;
    tops.insert(tops.end(), layer.top().begin(), layer.top().end());
    if (!is_given(layer)) continue;
    for (const std::string& top : layer.top()) {
      if (given_.count(top) == 0)
        diagnostics->error(net_.positions.of(layer, "top"), subject_of(layer),
                           fmt::format("the shape of its top \"{}\" is not given, but that of another is", top),
                           "give the shapes of all its tops, or none to open its data set");
    }
  }
  for (const auto& [name, shape] : given_) {
    if (std::find(tops.begin(), tops.end(), name) != tops.end()) continue;
    diagnostics->error({}, "",
                       fmt::format("a shape is given for \"{}\", which is not a top of a data layer of this net", name),
                       tops.empty() ? "it has no data layer in this phase and stage"
                                    : fmt::format("tops of its data layers: {}", fmt::join(tops, ", ")));
  }
}

// A layer that writes a file replaces an existing one.
void DataLayers::check_written_files(Diagnostics* diagnostics) const {
  for (const caffe::LayerParameter& writer : net_.net.layer()) {
    const std::string& path = writer.hdf5_output_param().file_name();
    if (writer.type() != "HDF5Output") continue;
    for (const Stream& stream : streams_) {
      for (const std::string& read : stream.stream->files()) {
        std::error_code absent;
        if (!std::filesystem::equivalent(path, read, absent)) continue;
        diagnostics->error(
            net_.positions.of(writer, "hdf5_output_param.file_name"), subject_of(writer),
            fmt::format("it would replace {}, which {} reads", read, subject_of(net_.net.layer(stream.layer))),
            "give another file_name");
      }
    }
  }
}

std::vector<Shape> DataLayers::next_shapes() const {
  std::vector<Shape> shapes;
  for (const Stream& stream : streams_) {
    for (const TensorDesc& top : stream.stream->next_batch_descs()) shapes.push_back(top.shape);
  }
  return shapes;
}

bool DataLayers::next_has(const std::vector<Shape>& shapes) const {
  auto shape = shapes.begin();
  for (const Stream& stream : streams_) {
    for (const TensorDesc& top : stream.stream->next_batch_descs()) {
      if (shape == shapes.end() || top.shape != *shape++) return false;
    }
  }
  return true;
}

std::vector<Shape> DataLayers::last_shapes() const {
  std::vector<Shape> shapes = next_shapes();
  const int64_t left = shapes.empty() ? 0 : records_per_epoch() % batch_size();
  for (Shape& shape : shapes) shape[0] = left > 0 ? left : batch_size();
  return shapes;
}

std::vector<Shape> DataLayers::shapes_of(const caffe::LayerParameter& layer, const std::vector<Shape>& shapes) const {
  auto first = shapes.begin();
  for (const Stream& stream : streams_) {
    const auto end = first + net_.net.layer(stream.layer).top_size();
    if (&net_.net.layer(stream.layer) == &layer) return {first, end};
    first = end;
  }
  return given_shapes(layer);
}

std::optional<LabelCounts> DataLayers::count_labels(const caffe::LayerParameter& layer, int top) {
  for (Stream& stream : streams_) {
    if (&net_.net.layer(stream.layer) != &layer) continue;
    const auto [counts, first] = stream.counts.try_emplace(top);
    if (!first) return counts->second;
    if (net_.device_session.local == 0) log_info(subject_of(layer) + ": counting the labels of its classes");
    return counts->second = stream.stream->count_labels(top);
  }
  return LabelCounts();
}

const DataLayers::Stream* DataLayers::find(const SourceInfo& source) const {
  const auto found = std::find_if(streams_.begin(), streams_.end(),
                                  [&](const Stream& stream) { return stream.layer == source.layer; });
  return found == streams_.end() ? nullptr : &*found;
}

void DataLayers::settle_orders(Graph& graph) const {
  for (SourceInfo& source : graph.sources) {
    const Stream* giver = find(source);
    if (giver != nullptr && giver->stream->started())
      source.order = giver->stream->next_batch_descs()[static_cast<size_t>(source.top)].order;
  }
}

bool DataLayers::fit(const Program& program) const {
  return std::all_of(program.sources.begin(), program.sources.end(), [&](const SourceInfo& source) {
    const Stream* giver = find(source);
    if (giver == nullptr || !giver->stream->started() || source.value < 0) return true;
    return has_format(giver->stream->next_batch_descs()[static_cast<size_t>(source.top)],
                      program.values[static_cast<size_t>(source.value)].desc.order);
  });
}

void DataLayers::start(const Program& program, const LoweredNet& net) {
  TRAINER_ASSERT(fit(program));
  for (Stream& stream : streams_) {
    if (stream.stream->started()) continue;
    std::vector<MemoryFormat> orders(stream.stream->next_batch_descs().size(), MemoryFormat::kRowMajor);
    for (const SourceInfo& source : program.sources) {
      if (source.layer == stream.layer && source.value >= 0)
        orders[static_cast<size_t>(source.top)] = program.values[static_cast<size_t>(source.value)].desc.order;
    }
    stream.stream->set_orders(orders);
    for (const LabelRequirement& label : net.labels) {
      const SourceInfo* source = source_behind(*net.graph, label.value.id());
      if (source != nullptr && source->layer == stream.layer) stream.stream->add_label_range(source->top, label.range);
    }
    stream.stream->start();
  }
}

void DataLayers::take() {
  // No stream continues if another one fails: the cursors stay at items that belong together.
  for (Stream& stream : streams_) {
    if (stream.uploads) stream.uploads->wait();
    stream.stream->await_next();
  }
  size_t at = 0;
  for (Stream& stream : streams_) {
    const std::vector<TensorDesc>& layout = stream.stream->next_batch_descs();
    stream.batch.resize(layout.size());
    shapes_.resize(std::max(shapes_.size(), at + layout.size()));
    for (size_t top = 0; top < layout.size(); ++top) {
      stream.batch[top].bytes = layout[top].bytes();
      shapes_[at++] = layout[top].shape;
    }
    const std::vector<void*>& buffers = stream.stream->next();
    for (size_t top = 0; top < buffers.size(); ++top) {
      stream.batch[top].host = buffers[top];
      stream.batch[top].device = buffers[top];
    }
    if (stream.uploads) stream.uploads->start(stream.batch);
  }
}

void DataLayers::hand_to(Program& program) const {
  for (size_t s = 0; s < program.sources.size(); ++s) {
    const Stream* giver = find(program.sources[s]);
    if (giver != nullptr)
      program.set_source(static_cast<int>(s), giver->batch[static_cast<size_t>(program.sources[s].top)].device);
  }
}

std::string DataLayers::find_bad_value() const {
  auto shape = shapes_.begin();
  for (const Stream& stream : streams_) {
    const caffe::LayerParameter& layer = net_.net.layer(stream.layer);
    for (size_t top = 0; top < stream.batch.size(); ++top, ++shape) {
      const auto *values = static_cast<const float*>(stream.batch[top].host), *end = values + shape->count();
      const auto* bad = std::find_if_not(values, end, [](float x) { return std::isfinite(x); });
      if (bad != end)
        return fmt::format("item {} of top \"{}\" of {}", (bad - values) / shape->count(1),
                           layer.top(static_cast<int>(top)), subject_of(layer));
    }
  }
  return "";
}

int64_t DataLayers::batch_size() const {
  int64_t most = 0;
  for (const Stream& stream : streams_) most = std::max(most, stream.stream->batch_size());
  return most;
}

int64_t DataLayers::records_per_epoch() const {
  int64_t most = 0;
  for (const Stream& stream : streams_) most = std::max(most, stream.stream->records_per_epoch());
  return most;
}

int64_t DataLayers::batches_per_epoch() const {
  return streams_.empty() ? 0 : (records_per_epoch() + batch_size() - 1) / batch_size();
}

void DataLayers::start_epoch(const BatchShare& share) {
  for (Stream& stream : streams_) {
    const auto records = static_cast<uint64_t>(stream.stream->records_per_epoch());
    Cursor cursor = stream.stream->cursor();
    if (cursor.records % records == 0) continue;
    cursor.records += records - cursor.records % records;
    stream.stream->seek(cursor, share);
  }
}

void DataLayers::share(const BatchShare& share) {
  for (Stream& stream : streams_) stream.stream->seek(stream.stream->cursor(), share);
}

void DataLayers::pass_over() {
  for (Stream& stream : streams_) stream.stream->pass_over();
}

double DataLayers::waited_seconds() const {
  double total = 0;
  for (const Stream& stream : streams_) total += stream.stream->waited_seconds();
  return total;
}

int64_t DataLayers::batch_bytes() const {
  int64_t total = 0;
  for (const Stream& stream : streams_) {
    if (net_.device_session.device->is_host()) {
      total += stream.stream->buffer_bytes();
      continue;
    }
    for (const TensorDesc& top : stream.stream->next_batch_descs()) total += 2 * top.bytes();
  }
  return total;
}

ClassNames DataLayers::class_names() const {
  for (const Stream& stream : streams_) {
    if (ClassNames names = stream.stream->class_names(); !names.empty()) return names;
  }
  return {};
}

std::optional<caffe::PictureInput> DataLayers::picture_input() const {
  for (const Stream& stream : streams_) {
    const caffe::LayerParameter& layer = net_.net.layer(stream.layer);
    const ItemShape stored = layer.type() == "Data" ? stream.stream->stored_shape() : ItemShape();
    if (auto input = picture_input_of(layer, stored)) return input;
  }
  return std::nullopt;
}

std::map<std::string, Cursor> DataLayers::cursors() const {
  std::map<std::string, Cursor> cursors;
  for (const Stream& stream : streams_) cursors[net_.net.layer(stream.layer).name()] = stream.stream->cursor();
  return cursors;
}

void DataLayers::seek(const std::map<std::string, Cursor>& cursors, const BatchShare& share) {
  for (Stream& stream : streams_) {
    const auto found = cursors.find(net_.net.layer(stream.layer).name());
    if (found != cursors.end()) {
      stream.stream->seek(found->second, share);
    } else if (share != BatchShare()) {
      stream.stream->seek(stream.stream->cursor(), share);
    }
  }
}

}  // namespace trainer
