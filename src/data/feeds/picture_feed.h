// Batches of pictures with labels from a source of records, for Data, ImageData and MemoryData.
//
// The sampler selects a record, the source reads it under one mutex, and each worker decodes and transforms its records
// outside the mutex. A bad record is an error with its position. If the layer asks to skip bad records, the next good
// record of the source replaces it.
//   top 0  (batch_size, C, H, W), after the crop of transform_param
//   top 1  labels, optional: (batch_size), or (batch_size, K) for K values each or K classes of a mixed batch, or masks
//          (batch_size, 1, H, W)
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "data/batch_feed.h"
#include "data/feeds/batch_mix.h"
#include "data/pictures/transformer.h"
#include "data/records/record_source.h"
#include "data/sampler.h"

namespace trainer {

// Turns a record into pixels and a label or a mask, for one thread. Errors are data_error and describe the problem
// without the position.
class RecordDecoder {
 public:
  virtual ~RecordDecoder() = default;
  // The picture's extents, from the header of the record if that is enough.
  virtual ItemShape shape(const Record& record) = 0;
  // Pixels, valid until the next call; it calls choice.choose() once, and may leave out other pixels than those of this
  // part. Writes the values of the label, unless the feed has masks.
  virtual PixelView decode(const Record& record, PartChoice& choice, float* label) = 0;
  // As decode(), of the whole picture, before the decoder resizes it to resized().
  virtual PixelView decode_stored(const Record& record, float* label) {
    WholePicture whole;
    return decode(record, whole, label);
  }
  virtual ItemShape resized(const ItemShape& stored) const { return stored; }
  // The image file of the record decoded last; empty if its values are raw.
  virtual std::string_view image_file() const { return {}; }
  // The mask of the record decoded last, in the size of its pixels, for a feed with masks.
  virtual PixelView mask(const Record&) { return {}; }
};
using MakeRecordDecoder = std::function<std::unique_ptr<RecordDecoder>()>;

struct PictureFeedSettings {
  std::string message;  // the message of the layer: "data_param"
  int64_t batch_size = 0;
  size_t tops = 2;
  int64_t label_values = 1;  // of each label; 0: masks
  uint8_t mask_ignore = 0;   // the label of pixels outside the picture
  bool can_skip = false;     // the message has skip_bad_records
  bool skip_bad_records = false;
  bool exact_decode = true;  // pictures are not reduced before they are resized
  std::optional<BatchMix> mix;
  std::function<LabelCounts(RecordSource&)> count_labels;  // empty if labels are not classes
};

PictureFeedSettings picture_settings(const SourceContext& context, const std::string& message, int64_t batch_size);
// Sets whether bad records are skipped, as skip_bad_records of this message asks. Not in whole epochs, in which the
// record in place of a bad one would count twice.
void set_skipping(SourceContext& context, const std::string& message, bool wanted, PictureFeedSettings* settings);

class PictureFeed : public BatchFeed {
 public:
  PictureFeed(PictureFeedSettings settings, std::unique_ptr<RecordSource> source, Sampler sampler,
              Transformer transformer, MakeRecordDecoder make_decoder);

  size_t tops() const override { return settings_.tops; }
  int64_t batch_size() const override { return settings_.batch_size; }
  std::vector<std::string> class_names() const override { return source_->class_names(); }
  int64_t records_per_epoch() const override { return static_cast<int64_t>(source_->size()); }
  std::optional<LabelCounts> count_labels(size_t top) override;
  std::string content() override;
  bool parallel() const override { return true; }
  std::optional<ItemColors> colors() const override { return transformer_.colors(); }
  int64_t memory_bytes() const override {
    return source_->memory_bytes() + sampler_.memory_bytes() + transformer_.memory_bytes();
  }
  void shape_batch(uint64_t offset, std::vector<TensorDesc>& layout) override;
  std::unique_ptr<FeedWorker> make_worker() override;
  bool skips_bad_records() const override { return settings_.skip_bad_records; }
  std::unique_ptr<StoredReader> make_stored_reader() override;

 private:
  friend class PictureWorker;
  friend class StoredPictures;
  Shape label_shape(const Shape& items) const;
  void read(uint64_t offset, Record& record);
  // Calls `use` on `record`. If that throws and bad records are skipped, calls it on the following records of the
  // source until one is good. Adds the bad ones to `skipped`, if given.
  template <typename Use>
  void with_good_record(const Record& record, int64_t row, SkippedRecords* skipped, const Use& use);

  PictureFeedSettings settings_;
  std::unique_ptr<RecordSource> source_;
  std::mutex source_mutex_;
  Sampler sampler_;
  Transformer transformer_;
  MakeRecordDecoder make_decoder_;
  // Used by shape_batch.
  Record first_;
  std::unique_ptr<RecordDecoder> first_decoder_;
};

}  // namespace trainer
