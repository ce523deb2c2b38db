// Opens data sources and sets their number of threads.
#include "data/batch_stream.h"

#include <algorithm>
#include <utility>

#include "base/cores.h"
#include "base/error.h"
#include "data/data_source.h"
#include "data/label_check.h"
#include "data/layer_fields.h"
#include "data/picture_input.h"
#include "data/pipeline.h"
#include "layers/layer.h"

namespace trainer {

namespace {

constexpr int kMostAutomaticWorkers = 16;

// One for each core: they sleep while enough batches are ready.
int automatic_workers() { return std::clamp(granted_cores().usable, 1, kMostAutomaticWorkers); }

PipelineOptions pipeline_options(const caffe::LayerParameter& layer, const DataSource& source,
                                 const StreamOptions& options) {
  const uint32_t workers = number_at(layer, source.workers);
  PipelineOptions settings;
  settings.workers = workers > 0           ? static_cast<int>(std::min(workers, 1024u))
                     : options.workers > 0 ? options.workers
                                           : automatic_workers();
  settings.prefetch = static_cast<int>(std::clamp(number_at(layer, source.prefetch), 1u, 1024u));
  if (options.phase == caffe::TRAIN && !options.whole_epochs) {
    settings.rank = options.rank;
    settings.world = options.world;
  }
  settings.whole_epochs = options.whole_epochs;
  settings.orders = options.orders;
  settings.memory = options.memory;
  if (options.log)
    settings.log = [log = options.log, name = subject_of(layer)](const std::string& line) { log(name + ": " + line); };
  return settings;
}

}  // namespace

std::unique_ptr<BatchStream> BatchStream::open(const caffe::LayerParameter& layer, const StreamOptions& options,
                                               const Positions& positions, Diagnostics* diagnostics) {
  std::unique_ptr<BatchFeed> feed = open_feed(layer, options, positions, diagnostics);
  if (feed == nullptr) return nullptr;
  const DataSource& source = *find_data_source(layer.type());
  SourceContext context(layer, options, positions, diagnostics, false);
  if (options.whole_epochs && source.draws_records) {
    context.error(source.source, fmt::format("{} draws its records at random: no test reads each once", layer.type()),
                  "give test_iter in the solver, or --iterations for trainer test");
    return nullptr;
  }
  std::unique_ptr<BatchStream> stream;
  context.attempt(source.source, [&] {
    std::string content = feed->content();
    auto pipeline = std::make_unique<Pipeline>(std::move(feed), pipeline_options(layer, source, options));
    pipeline->next_batch_descs();
    stream.reset(new BatchStream(std::move(pipeline), subject_of(layer), std::move(content)));
  });
  return stream;
}

void BatchStream::check(const caffe::LayerParameter& layer, const Positions& positions, Diagnostics* diagnostics) {
  const DataSource* source = find_data_source(layer.type());
  TRAINER_ASSERT(source != nullptr);
  const StreamOptions options;
  SourceContext context(layer, options, positions, diagnostics, true);
  source->check(context);
}

BatchStream::BatchStream(std::unique_ptr<Pipeline> pipeline, std::string layer, std::string content)
    : pipeline_(std::move(pipeline)), layer_(std::move(layer)), content_(std::move(content)) {}
BatchStream::~BatchStream() = default;

template <typename Action>
decltype(auto) BatchStream::named(const Action& action) const {
  try {
    return action();
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("{}: {}", layer_, error.what()));
  }
}

const std::vector<TensorDesc>& BatchStream::next_batch_descs() {
  return named([this]() -> const auto& { return pipeline_->next_batch_descs(); });
}
void BatchStream::set_orders(const std::vector<MemoryFormat>& orders) { pipeline_->set_orders(orders); }
void BatchStream::add_label_range(int top, const LabelRange& range) {
  const std::string problem = class_count_problem(class_names().size(), range);
  if (!problem.empty()) named([&] { throw data_error("{}", problem); });
  pipeline_->add_label_range(static_cast<size_t>(top), range);
}
std::optional<LabelCounts> BatchStream::count_labels(int top) {
  return named([&] { return pipeline_->count_labels(static_cast<size_t>(top)); });
}
void BatchStream::start() {
  named([this] { pipeline_->start(); });
}
bool BatchStream::started() const { return pipeline_->started(); }
void BatchStream::await_next() {
  named([this] { pipeline_->await_next(); });
}
const std::vector<void*>& BatchStream::next() {
  return named([this]() -> const auto& { return pipeline_->next(); });
}
double BatchStream::waited_seconds() const { return pipeline_->waited_seconds(); }

Cursor BatchStream::cursor() const {
  const uint64_t records = pipeline_->position();
  return {records, records / static_cast<uint64_t>(records_per_epoch()), content_};
}
void BatchStream::pass_over() { pipeline_->pass_over(); }
void BatchStream::seek(const Cursor& cursor, const BatchShare& share) {
  named([&] { pipeline_->seek(cursor.records, share); });
}

int64_t BatchStream::batch_size() const { return pipeline_->feed().batch_size(); }
int64_t BatchStream::records_per_epoch() const { return pipeline_->feed().records_per_epoch(); }
int64_t BatchStream::skipped_records() const { return pipeline_->skipped_records(); }
int BatchStream::workers() const { return pipeline_->workers(); }
int64_t BatchStream::buffer_bytes() const { return pipeline_->buffer_bytes(); }
std::vector<std::string> BatchStream::files() const { return pipeline_->feed().files(); }
std::vector<std::string> BatchStream::class_names() const { return pipeline_->feed().class_names(); }
std::optional<ItemColors> BatchStream::colors() const { return pipeline_->feed().colors(); }
ItemShape BatchStream::stored_shape() {
  return named([&] { return trainer::stored_shape(pipeline_->feed()); });
}

}  // namespace trainer
