// One mutex guards the source; workers decode and transform outside it.
#include "data/feeds/picture_feed.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "base/error.h"

namespace trainer {

namespace {

// This many bad records in a row are not an accident.
constexpr uint64_t kMostNeighboursTried = 1000;

}  // namespace

void set_skipping(SourceContext& context, const std::string& message, bool wanted, PictureFeedSettings* settings) {
  settings->can_skip = !context.options().whole_epochs;
  settings->skip_bad_records = settings->can_skip && wanted;
  if (wanted && !settings->can_skip)
    context.warning(message + ".skip_bad_records",
                    "skip_bad_records has no effect if each record is read once: a bad record is an error",
                    "remove bad records; `trainer validate` lists them");
}

PictureFeedSettings picture_settings(const SourceContext& context, const std::string& message, int64_t batch_size) {
  PictureFeedSettings settings;
  settings.message = message;
  settings.batch_size = batch_size;
  settings.tops = static_cast<size_t>(context.layer().top_size());
  return settings;
}

PictureFeed::PictureFeed(PictureFeedSettings settings, std::unique_ptr<RecordSource> source, Sampler sampler,
                         Transformer transformer, MakeRecordDecoder make_decoder)
    : settings_(std::move(settings)),
      source_(std::move(source)),
      sampler_(std::move(sampler)),
      transformer_(std::move(transformer)),
      make_decoder_(std::move(make_decoder)),
      first_decoder_(make_decoder_()) {}

std::string PictureFeed::content() {
  std::lock_guard<std::mutex> lock(source_mutex_);
  return source_->content();
}

std::optional<LabelCounts> PictureFeed::count_labels(size_t top) {
  if (top != 1 || settings_.mix || !settings_.count_labels) return std::nullopt;
  std::lock_guard<std::mutex> lock(source_mutex_);
  return settings_.count_labels(*source_);
}

void PictureFeed::read(uint64_t offset, Record& record) {
  std::lock_guard<std::mutex> lock(source_mutex_);
  source_->read(sampler_.index(offset), record);
}

template <typename Use>
void PictureFeed::with_good_record(const Record& record, int64_t row, SkippedRecords* skipped, const Use& use) {
  Record neighbours[2];
  const Record* current = &record;
  const uint64_t most = std::min(source_->size(), kMostNeighboursTried);
  std::string first;  // the error of the record itself
  for (uint64_t tried = 1;; ++tried) {
    std::string message;
    try {
      use(*current);
    } catch (const Error& error) {
      if (error.code() != ExitCode::kData) throw;
      message = fmt::format("{}: {}", source_->describe(*current), error.what());
    }
    source_->check_intact();
    if (first.empty()) first = message;
    if (!settings_.can_skip && !first.empty()) throw data_error("{}", first);
    if (message.empty()) {
      if (first.empty() || settings_.skip_bad_records) return;
      throw data_error("{}. {} {{ skip_bad_records: true }} skips bad records", first, settings_.message);
    }
    if (tried == most && settings_.skip_bad_records)
      throw data_error("{} (the {} records before it are bad, too; no record is left)", message, most - 1);
    if (tried == most)
      throw data_error("{}{}", first, most > 1 ? fmt::format(" (bad records after it: {})", most - 1) : "");
    if (skipped != nullptr) skipped->emplace_back(row, message);
    Record& next = neighbours[tried % 2];
    {
      std::lock_guard<std::mutex> lock(source_mutex_);
      source_->read_following(*current, next);
    }
    current = &next;
  }
}

void PictureFeed::shape_batch(uint64_t offset, std::vector<TensorDesc>& layout) {
  read(offset, first_);
  bool changed = false;
  with_good_record(first_, 0, nullptr, [&](const Record& record) {
    const ItemShape out = transformer_.output_shape(first_decoder_->shape(record));
    Shape& shape = layout[0].shape;
    if (shape.rank() == 4) {
      changed = shape[1] != out.channels || shape[2] != out.height || shape[3] != out.width;
    } else {
      shape = Shape{0, 0, 0, 0};
    }
    shape[0] = settings_.batch_size;
    shape[1] = out.channels;
    shape[2] = out.height;
    shape[3] = out.width;
  });
  // The check of the net reports the shape of the first batch, at its position in the file.
  const std::string problem = changed ? check_shape(layout[0].shape) : "";
  if (!problem.empty())
    throw data_error(
        "{}: a batch of {} such items is too large: {}. Choose a smaller {}.batch_size, or give all items one size",
        source_->describe(first_), settings_.batch_size, problem, settings_.message);
  if (settings_.tops == 2) layout[1].shape = label_shape(layout[0].shape);
}

Shape PictureFeed::label_shape(const Shape& items) const {
  if (settings_.label_values == 0) return {items[0], 1, items[2], items[3]};
  if (settings_.mix) return {items[0], settings_.mix->classes()};
  return settings_.label_values == 1 ? Shape{items[0]} : Shape{items[0], settings_.label_values};
}

class PictureWorker : public FeedWorker {
 public:
  explicit PictureWorker(PictureFeed& feed) : feed_(feed), decoder_(feed.make_decoder_()) {}

  void claim(const RowRange& range) override {
    range_ = range;
    if (records_.size() < static_cast<size_t>(range.rows)) records_.resize(static_cast<size_t>(range.rows));
    for (int64_t i = 0; i < range.rows; ++i) feed_.read(range.offset(i), records_[static_cast<size_t>(i)]);
  }

  void fill(int64_t i, const BatchBuffer& batch, SkippedRecords& skipped) override {
    const int64_t row = range_.first_row + i;
    feed_.with_good_record(records_[static_cast<size_t>(i)], row, &skipped,
                           [&](const Record& record) { write(record, range_.offset(i), row, batch); });
    if (feed_.settings_.mix) write_class(i, batch.row(1, row));
  }

  void finish(const BatchBuffer& batch, uint64_t first_offset) override {
    const Sampler& sampler = feed_.sampler_;
    if (feed_.settings_.mix)
      feed_.settings_.mix->apply(batch, sampler.epoch(first_offset), sampler.position(first_offset));
  }

  std::string describe(int64_t i) const override { return feed_.source_->describe(records_[static_cast<size_t>(i)]); }

 private:
  // The part of a record's picture that its item shows.
  class ItemPart : public PartChoice {
   public:
    ItemPart(const PictureFeed& feed, uint64_t offset, const Shape& batch)
        : feed_(feed), offset_(offset), expected_{batch[1], batch[2], batch[3]} {}

    PicturePart choose(const ItemShape& picture) override {
      const ItemShape out = feed_.transformer_.output_shape(picture);
      if (out != expected_) {
        throw data_error(
            "it gives an item of {}, but the first record of the batch gave {}. All items of a batch must "
            "have one size: resize them, set transform_param.crop_size, or use batch_size: 1",
            out.text(), expected_.text());
      }
      PicturePart part =
          feed_.transformer_.part(picture, feed_.sampler_.epoch(offset_), feed_.sampler_.position(offset_));
      if (feed_.settings_.exact_decode) part.height = part.width = 0;
      return part;
    }

   private:
    const PictureFeed& feed_;
    const uint64_t offset_;
    const ItemShape expected_;
  };

  void write(const Record& record, uint64_t offset, int64_t row, const BatchBuffer& batch) {
    float* label = batch.data.size() > 1 && !feed_.settings_.mix ? batch.row(1, row) : &class_;
    ItemPart part(feed_, offset, batch.layout[0].shape);
    const PixelView pixels = decoder_->decode(record, part, label);
    PictureMask mask;
    if (feed_.settings_.label_values == 0) mask = {decoder_->mask(record), feed_.settings_.mask_ignore, label};
    feed_.transformer_.apply(pixels, mask, feed_.sampler_.epoch(offset), feed_.sampler_.position(offset),
                             batch.layout[0].order, picture_, batch.row(0, row));
  }

  // Writes the class of a record to be mixed. A wrong label is an error even if bad records are skipped.
  void write_class(int64_t i, float* label) const {
    try {
      feed_.settings_.mix->write_label(class_, label);
    } catch (const Error& error) {
      throw Error(error.code(), fmt::format("{}: {}", describe(i), error.what()));
    }
  }

  PictureFeed& feed_;
  std::unique_ptr<RecordDecoder> decoder_;
  Picture picture_;
  float class_ = 0;  // the label of the last record, unless it is in the batch
  RowRange range_;
  std::vector<Record> records_;
};

class StoredPictures : public StoredReader {
 public:
  explicit StoredPictures(PictureFeed& feed)
      : feed_(feed),
        decoder_(feed.make_decoder_()),
        label_(static_cast<size_t>(std::max<int64_t>(1, label_values()))) {}

  void claim(uint64_t first, uint64_t count) override {
    first_ = first;
    if (records_.size() < count) records_.resize(count);
    std::lock_guard<std::mutex> lock(feed_.source_mutex_);
    for (uint64_t i = 0; i < count; ++i) feed_.source_->read(first + i, records_[i]);
  }

  StoredRecord read(uint64_t i) override {
    const Record& record = records_[i - first_];
    StoredRecord stored;
    try {
      stored.pixels = decoder_->decode_stored(record, label_.data());
      if (label_values() == 0) stored.mask = decoder_->mask(record);
      stored.item = feed_.transformer_.output_shape(decoder_->resized(stored.pixels.shape));
    } catch (const Error&) {
      feed_.source_->check_intact();
      throw;
    }
    feed_.source_->check_intact();
    stored.file = decoder_->image_file();
    if (feed_.settings_.tops > 1 && label_values() > 0) stored.labels.push_back({1, label_});
    return stored;
  }

  std::string describe(uint64_t i) const override { return feed_.source_->describe(records_[i - first_]); }

 private:
  int64_t label_values() const { return feed_.settings_.label_values; }

  PictureFeed& feed_;
  std::unique_ptr<RecordDecoder> decoder_;
  std::vector<float> label_;
  uint64_t first_ = 0;
  std::vector<Record> records_;
};

std::unique_ptr<StoredReader> PictureFeed::make_stored_reader() { return std::make_unique<StoredPictures>(*this); }

std::unique_ptr<FeedWorker> PictureFeed::make_worker() { return std::make_unique<PictureWorker>(*this); }

}  // namespace trainer
