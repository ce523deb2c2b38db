// Batches of pictures with labels out of a source of records, for Data, ImageData and MemoryData.
//
// The sampler says which record comes, the source finds it under one mutex, and each worker decodes and
// transforms its records outside it. A bad record is an error with its place, or, where the layer asks for
// it, left out: the next good record of the source takes its place.
//   top 0  (batch_size, C, H, W), cropped where transform_param says so
//   top 1  labels (batch_size), optional
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "data/batch_feed.h"
#include "data/pictures/transformer.h"
#include "data/records/record_source.h"
#include "data/sampler.h"

namespace trainer {

// One thread's way from a record to pixels and label. Errors are data_error and say what is wrong, without
// the place.
class RecordDecoder {
 public:
  virtual ~RecordDecoder() = default;
  // The picture's extents, from the head of the record where that is enough.
  virtual ItemShape shape(const Record& record) = 0;
  // Pixels, good until the next call.
  virtual PixelView decode(const Record& record, float& label) = 0;
};
using MakeRecordDecoder = std::function<std::unique_ptr<RecordDecoder>()>;

struct PictureFeedSettings {
  std::string message;  // the layer's own message: "data_param"
  int64_t batch_size = 0;
  size_t tops = 2;
  bool can_skip = false;  // the message has skip_bad_records
  bool skip_bad_records = false;
};

PictureFeedSettings picture_settings(const SourceContext& context, const std::string& message, int64_t batch_size);

class PictureFeed : public BatchFeed {
 public:
  PictureFeed(PictureFeedSettings settings, std::unique_ptr<RecordSource> source, Sampler sampler,
              Transformer transformer, MakeRecordDecoder make_decoder);

  size_t tops() const override { return settings_.tops; }
  int64_t batch_size() const override { return settings_.batch_size; }
  int64_t records_per_epoch() const override { return static_cast<int64_t>(source_->size()); }
  std::string content() override;
  bool parallel() const override { return true; }
  int64_t memory_bytes() const override {
    return source_->memory_bytes() + sampler_.memory_bytes() + transformer_.memory_bytes();
  }
  void shape_batch(uint64_t offset, std::vector<TensorDesc>& layout) override;
  std::unique_ptr<FeedWorker> make_worker() override;

 private:
  friend class PictureWorker;
  void read(uint64_t offset, Record& record);
  // Runs `use` on `record`; where that throws and bad records are to be skipped, on the records that follow
  // in the source until one is good. The bad ones are added to `skipped`, if given.
  template <typename Use>
  void with_good_record(const Record& record, int64_t row, SkippedRecords* skipped, const Use& use);

  PictureFeedSettings settings_;
  std::unique_ptr<RecordSource> source_;
  std::mutex source_mutex_;
  Sampler sampler_;
  Transformer transformer_;
  MakeRecordDecoder make_decoder_;
  // For shape_batch.
  Record first_;
  std::unique_ptr<RecordDecoder> first_decoder_;
};

}  // namespace trainer
