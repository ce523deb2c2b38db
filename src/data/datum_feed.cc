// One mutex guards the database; decoding and transforming run outside it.
#include "data/datum_feed.h"

#include <algorithm>
#include <limits>
#include <mutex>

#include "base/error.h"
#include "base/philox.h"
#include "base/text.h"
#include "data/image_decoder.h"
#include "data/lmdb_source.h"
#include "data/record_source.h"
#include "data/sampler.h"
#include "data/transformer.h"
#include "formats/datum.h"

namespace trainer {

namespace {

// So many bad records side by side are no accident.
constexpr uint64_t kMostNeighboursTried = 1000;

struct DatumFeedSettings {
  std::string layer;  // "layer 'data' (Data)"
  int64_t batch_size = 0;
  size_t tops = 2;
  bool skip_bad_records = false;
  ColorMode mode = ColorMode::kAsStored;
};

class DatumFeed : public BatchFeed {
 public:
  DatumFeed(DatumFeedSettings settings, std::unique_ptr<RecordSource> source, Sampler sampler,
            Transformer transformer)
      : settings_(std::move(settings)),
        source_(std::move(source)),
        sampler_(std::move(sampler)),
        transformer_(std::move(transformer)) {}

  size_t tops() const override { return settings_.tops; }
  int64_t batch_size() const override { return settings_.batch_size; }
  int64_t records_per_epoch() const override { return static_cast<int64_t>(source_->size()); }
  bool parallel() const override { return true; }
  int64_t memory_bytes() const override { return sampler_.memory_bytes() + transformer_.memory_bytes(); }
  void shape_batch(uint64_t offset, std::vector<TensorDesc>& layout) override;
  std::unique_ptr<FeedWorker> make_worker() override;

  const DatumFeedSettings& settings() const { return settings_; }
  const Transformer& transformer() const { return transformer_; }
  const Sampler& sampler() const { return sampler_; }
  const std::string& path() const { return source_->path(); }
  uint64_t size() const { return source_->size(); }

  void read(uint64_t offset, Record& record) {
    std::lock_guard<std::mutex> lock(source_mutex_);
    source_->read(sampler_.index(offset), record);
  }
  void read_following(const Record& record, Record& following) {
    std::lock_guard<std::mutex> lock(source_mutex_);
    source_->read_following(record, following);
  }
  // Runs `use` on `record`; where that throws and bad records are to be skipped, on the records that follow
  // in the database until one is good. The bad ones are added to `skipped`, if given.
  template <typename Use>
  void with_good_record(const Record& record, int64_t row, SkippedRecords* skipped, const Use& use);

 private:
  DatumFeedSettings settings_;
  std::unique_ptr<RecordSource> source_;
  std::mutex source_mutex_;
  Sampler sampler_;
  Transformer transformer_;
  // For shape_batch.
  Record first_;
  DatumView first_datum_;
  ImageDecoder first_decoder_;
};

// What the picture of `datum` will be; throws where it is damaged.
ItemShape shape_of(const DatumView& datum, ImageDecoder& decoder, ColorMode mode) {
  if (datum.encoded) return decoder.shape(datum.bytes, mode);
  const ItemShape shape{datum.channels, datum.height, datum.width};
  if (shape.channels <= 0 || shape.height <= 0 || shape.width <= 0) {
    throw data_error("its extents are {}: the record holds no picture", shape.text());
  }
  return shape;
}

template <typename Use>
void DatumFeed::with_good_record(const Record& record, int64_t row, SkippedRecords* skipped, const Use& use) {
  Record neighbours[2];
  const Record* current = &record;
  const uint64_t most = std::min(size(), kMostNeighboursTried);
  for (uint64_t tried = 1;; ++tried) {
    try {
      use(*current);
      return;
    } catch (const Error& error) {
      const std::string message =
          fmt::format("{}: {}: {}", settings_.layer, describe(*current, path()), error.what());
      if (error.code() != ExitCode::kData) throw;
      if (!settings_.skip_bad_records) {
        throw data_error("{}. data_param {{ skip_bad_records: true }} would leave such records out", message);
      }
      if (tried == most)
        throw data_error("{} (and so the {} records before it; none is left to try)", message, most - 1);
      if (skipped != nullptr) skipped->emplace_back(row, message);
    }
    Record& next = neighbours[tried % 2];
    read_following(*current, next);
    current = &next;
  }
}

void DatumFeed::shape_batch(uint64_t offset, std::vector<TensorDesc>& layout) {
  read(offset, first_);
  with_good_record(first_, 0, nullptr, [&](const Record& record) {
    parse_datum(record.value, first_datum_);
    const ItemShape out = transformer_.output_shape(shape_of(first_datum_, first_decoder_, settings_.mode));
    Shape& shape = layout[0].shape;
    if (shape.rank() != 4) shape = Shape{0, 0, 0, 0};
    shape[0] = settings_.batch_size;
    shape[1] = out.channels;
    shape[2] = out.height;
    shape[3] = out.width;
  });
  if (settings_.tops == 2 && layout[1].shape.rank() != 1) layout[1].shape = Shape{settings_.batch_size};
}

class DatumWorker : public FeedWorker {
 public:
  explicit DatumWorker(DatumFeed& feed) : feed_(feed) {}

  void claim(const RowRange& range) override {
    range_ = range;
    if (records_.size() < static_cast<size_t>(range.rows)) records_.resize(static_cast<size_t>(range.rows));
    for (int64_t i = 0; i < range.rows; ++i) feed_.read(range.offset(i), records_[static_cast<size_t>(i)]);
  }

  void fill(int64_t i, const BatchBuffer& batch, SkippedRecords& skipped) override {
    const int64_t row = range_.first_row + i;
    feed_.with_good_record(records_[static_cast<size_t>(i)], row, &skipped,
                           [&](const Record& record) { write(record, range_.offset(i), row, batch); });
  }

  std::string describe(int64_t i) const override {
    return trainer::describe(records_[static_cast<size_t>(i)], feed_.path());
  }

 private:
  void write(const Record& record, uint64_t offset, int64_t row, const BatchBuffer& batch) {
    parse_datum(record.value, datum_);
    PixelView pixels;
    if (datum_.encoded) {
      pixels = decoder_.decode(datum_.bytes, feed_.settings().mode);
    } else {
      pixels.shape = shape_of(datum_, decoder_, feed_.settings().mode);
      if (!datum_.bytes.empty()) {
        pixels.bytes = reinterpret_cast<const uint8_t*>(datum_.bytes.data());
      } else if (!datum_.float_data.empty()) {
        pixels.floats = datum_.float_data.data();
      } else {
        throw data_error("it has neither data nor float_data");
      }
    }
    const ItemShape out = feed_.transformer().output_shape(pixels.shape);
    const Shape& wanted = batch.layout[0].shape;
    const ItemShape expected{wanted[1], wanted[2], wanted[3]};
    if (out != expected) {
      throw data_error(
          "it gives an item of {}, but the first record of the batch gave {}. All items of a batch must "
          "have one size: resize them, set transform_param.crop_size, or use batch_size: 1",
          out.text(), expected.text());
    }
    feed_.transformer().apply(pixels, feed_.sampler().epoch(offset), feed_.sampler().position(offset),
                              batch.layout[0].order, batch.row(0, row));
    if (batch.data.size() > 1) *batch.row(1, row) = static_cast<float>(datum_.label);
  }

  DatumFeed& feed_;
  RowRange range_;
  std::vector<Record> records_;
  DatumView datum_;
  ImageDecoder decoder_;
};

std::unique_ptr<FeedWorker> DatumFeed::make_worker() { return std::make_unique<DatumWorker>(*this); }

void warn_of_ignored(const caffe::LayerParameter& layer, const std::string& name,
                     std::vector<std::string>& warnings) {
  const caffe::DataParameter& param = layer.data_param();
  const std::pair<bool, const char*> moved[] = {{param.has_scale(), "scale"},
                                                {param.has_mean_file(), "mean_file"},
                                                {param.has_crop_size(), "crop_size"},
                                                {param.has_mirror(), "mirror"}};
  for (const auto& [set, field] : moved) {
    if (set) {
      warnings.push_back(fmt::format("{}: data_param.{} has no effect, as in Caffe: set transform_param.{}",
                                     name, field, field));
    }
  }
  if (param.rand_skip() > 0) warnings.push_back(name + ": data_param.rand_skip has no effect, as in Caffe");
  if (param.force_encoded_color()) {
    warnings.push_back(name +
                       ": data_param.force_encoded_color has no effect, as in Caffe: set "
                       "transform_param.force_color");
  }
}

std::unique_ptr<RecordSource> open_source(const caffe::DataParameter& param, const std::string& name) {
  if (!param.has_source() || param.source().empty()) {
    throw config_error("{}: data_param.source is missing: the folder of the database", name);
  }
  if (param.backend() == caffe::DataParameter::LMDB) return std::make_unique<LmdbSource>(param.source());
  throw config_error(
      "{}: data_param.backend is LEVELDB{}, and LMDB databases are read: add `backend: LMDB` if {} is "
      "one, else make one with `trainer convert`",
      name, param.has_backend() ? "" : " (the default, as in Caffe)", param.source());
}

}  // namespace

std::unique_ptr<BatchFeed> open_datum_feed(const caffe::LayerParameter& layer, const StreamOptions& options,
                                           std::vector<std::string>& warnings) {
  const caffe::DataParameter& param = layer.data_param();
  DatumFeedSettings settings;
  settings.layer = fmt::format("layer '{}' (Data)", layer.name());
  settings.batch_size = param.batch_size();
  settings.tops = static_cast<size_t>(layer.top_size());
  settings.skip_bad_records = param.skip_bad_records();
  if (settings.tops < 1 || settings.tops > 2) {
    throw config_error("{} has {} tops: it gives 1 or 2, the data and the label", settings.layer,
                       settings.tops);
  }
  if (settings.batch_size <= 0 || settings.batch_size > std::numeric_limits<int32_t>::max()) {
    throw config_error("{}: data_param.batch_size must be at least 1, not {}", settings.layer,
                       settings.batch_size);
  }
  if (layer.transform_param().force_color()) settings.mode = ColorMode::kColor;
  if (layer.transform_param().force_gray()) settings.mode = ColorMode::kGray;
  warn_of_ignored(layer, settings.layer, warnings);

  Transformer transformer(layer.transform_param(), options.phase,
                          philox_key(options.seed, options.net_name, layer.name(), "transform"),
                          settings.layer);
  std::unique_ptr<RecordSource> source = open_source(param, settings.layer);
  Sampler sampler(source->size(), param.shuffle(),
                  philox_key(options.seed, options.net_name, layer.name(), "shuffle"));
  if (param.shuffle()) source->prepare_random_access(options.log);
  if (settings.mode != ColorMode::kAsStored) {
    Record first;
    DatumView datum;
    source->read(0, first);
    bool raw = false;
    try {
      parse_datum(first.value, datum);
      raw = !datum.encoded;
    } catch (const Error&) {
      // Told with its place when the record is read for a batch.
    }
    if (raw) {
      warnings.push_back(
          fmt::format("{}: force_color and force_gray act on encoded records; those of {} are raw",
                      settings.layer, source->path()));
    }
  }
  return std::make_unique<DatumFeed>(std::move(settings), std::move(source), std::move(sampler),
                                     std::move(transformer));
}

}  // namespace trainer
