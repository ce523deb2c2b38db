// Which layer types read data, and how many threads they get.
#include "data/batch_stream.h"

#include <algorithm>
#include <utility>

#include "base/cores.h"
#include "base/error.h"
#include "data/feeds/array_feed.h"
#include "data/feeds/datum_feed.h"
#include "data/feeds/hdf5_feed.h"
#include "data/feeds/image_list_feed.h"
#include "data/feeds/window_feed.h"
#include "data/pipeline.h"

namespace trainer {

namespace {

constexpr int kMostAutomaticWorkers = 8;

// One core in four: the rest is the net's.
int automatic_workers() { return std::clamp(granted_cores().usable / 4, 1, kMostAutomaticWorkers); }

}  // namespace

bool BatchStream::reads(const std::string& layer_type) { return !source_field(layer_type).empty(); }

std::string BatchStream::source_field(const std::string& layer_type) {
  if (layer_type == "Data") return "data_param.source";
  if (layer_type == "HDF5Data") return "hdf5_data_param.source";
  if (layer_type == "ImageData") return "image_data_param.source";
  if (layer_type == "MemoryData") return "memory_data_param.source";
  if (layer_type == "WindowData") return "window_data_param.source";
  return "";
}

std::unique_ptr<BatchStream> BatchStream::open(const caffe::LayerParameter& layer, const StreamOptions& options) {
  std::vector<std::string> warnings;
  std::unique_ptr<BatchFeed> feed;
  uint32_t workers = layer.data_param().workers();
  if (layer.type() == "Data") {
    feed = open_datum_feed(layer, options, warnings);
  } else if (layer.type() == "HDF5Data") {
    feed = open_hdf5_feed(layer, options);
  } else if (layer.type() == "ImageData") {
    feed = open_image_list_feed(layer, options, warnings);
    workers = layer.image_data_param().workers();
  } else if (layer.type() == "MemoryData") {
    feed = open_array_feed(layer, options, warnings);
  } else {
    TRAINER_ASSERT(layer.type() == "WindowData");
    feed = open_window_feed(layer, options, warnings);
  }
  PipelineOptions settings;
  settings.workers = workers > 0           ? static_cast<int>(std::min(workers, 1024u))
                     : options.workers > 0 ? options.workers
                                           : automatic_workers();
  settings.prefetch = static_cast<int>(std::clamp(layer.data_param().prefetch(), 1u, 1024u));
  if (options.phase == caffe::TRAIN) {
    settings.rank = options.rank;
    settings.world = options.world;
  }
  settings.orders = options.orders;
  settings.memory = options.memory;
  settings.log = options.log;
  std::string content = feed->content();
  auto pipeline = std::make_unique<Pipeline>(std::move(feed), std::move(settings));
  return std::unique_ptr<BatchStream>(new BatchStream(std::move(pipeline), std::move(warnings), std::move(content)));
}

BatchStream::BatchStream(std::unique_ptr<Pipeline> pipeline, std::vector<std::string> warnings, std::string content)
    : pipeline_(std::move(pipeline)), warnings_(std::move(warnings)), content_(std::move(content)) {}
BatchStream::~BatchStream() = default;

const std::vector<TensorDesc>& BatchStream::next_batch_descs() { return pipeline_->next_batch_descs(); }
void BatchStream::set_orders(const std::vector<MemoryFormat>& orders) { pipeline_->set_orders(orders); }
void BatchStream::set_label_limit(int top, const LabelLimit& limit) {
  pipeline_->add_label_limit(static_cast<size_t>(top), limit);
}
void BatchStream::start() { pipeline_->start(); }
bool BatchStream::started() const { return pipeline_->started(); }
void BatchStream::await_next() { pipeline_->await_next(); }
const std::vector<void*>& BatchStream::next() { return pipeline_->next(); }
double BatchStream::waited_seconds() const { return pipeline_->waited_seconds(); }

Cursor BatchStream::cursor() const {
  const uint64_t records = pipeline_->position();
  return {records, records / static_cast<uint64_t>(records_per_epoch()), content_};
}
void BatchStream::seek(const Cursor& cursor) { pipeline_->seek(cursor.records); }

int64_t BatchStream::batch_size() const { return pipeline_->feed().batch_size(); }
int64_t BatchStream::records_per_epoch() const { return pipeline_->feed().records_per_epoch(); }
int64_t BatchStream::skipped_records() const { return pipeline_->skipped_records(); }
int BatchStream::workers() const { return pipeline_->workers(); }
int64_t BatchStream::buffer_bytes() const { return pipeline_->buffer_bytes(); }
const std::vector<std::string>& BatchStream::warnings() const { return warnings_; }

}  // namespace trainer
