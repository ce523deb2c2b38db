// Records of a database are Datum messages: raw values or an image file.
#include "data/feeds/datum_feed.h"

#include <utility>

#include "base/error.h"
#include "base/philox.h"
#include "data/records/leveldb.h"
#include "data/records/lmdb_source.h"
#include "formats/datum.h"

namespace trainer {

namespace {

class DatumDecoder : public RecordDecoder {
 public:
  explicit DatumDecoder(ColorMode mode) : mode_(mode) {}

  ItemShape shape(const Record& record) override {
    parse_datum(record.value, datum_);
    return datum_.encoded ? images_.shape(datum_.bytes, mode_) : raw_shape();
  }

  PixelView decode(const Record& record, float& label) override {
    parse_datum(record.value, datum_);
    label = static_cast<float>(datum_.label);
    if (datum_.encoded) return images_.decode(datum_.bytes, mode_);
    PixelView pixels;
    pixels.shape = raw_shape();
    if (!datum_.bytes.empty()) {
      pixels.bytes = reinterpret_cast<const uint8_t*>(datum_.bytes.data());
    } else if (!datum_.float_data.empty()) {
      pixels.floats = datum_.float_data.data();
    } else {
      throw data_error("it has neither data nor float_data");
    }
    return pixels;
  }

 private:
  ItemShape raw_shape() const {
    const ItemShape shape{datum_.channels, datum_.height, datum_.width};
    if (shape.channels <= 0 || shape.height <= 0 || shape.width <= 0) {
      throw data_error("its extents are {}: the record holds no picture", shape.text());
    }
    return shape;
  }

  ColorMode mode_;
  DatumView datum_;
  ImageDecoder images_;
};

void warn_of_ignored(const caffe::LayerParameter& layer, const std::string& name, std::vector<std::string>& warnings) {
  const caffe::DataParameter& param = layer.data_param();
  const std::pair<bool, const char*> moved[] = {{param.has_scale(), "scale"},
                                                {param.has_mean_file(), "mean_file"},
                                                {param.has_crop_size(), "crop_size"},
                                                {param.has_mirror(), "mirror"}};
  for (const auto& [set, field] : moved) {
    if (set) {
      warnings.push_back(
          fmt::format("{}: data_param.{} has no effect, as in Caffe: set transform_param.{}", name, field, field));
    }
  }
  if (param.rand_skip() > 0) warnings.push_back(name + ": data_param.rand_skip has no effect, as in Caffe");
  if (param.force_encoded_color()) {
    warnings.push_back(name +
                       ": data_param.force_encoded_color has no effect, as in Caffe: set "
                       "transform_param.force_color");
  }
}

}  // namespace

std::unique_ptr<RecordSource> open_database(caffe::DataParameter::DB backend, const std::string& path,
                                            const LogLine& log) {
  if (backend == caffe::DataParameter::LMDB) return std::make_unique<LmdbSource>(path);
  return open_leveldb_source(path, log);
}

std::unique_ptr<RecordDecoder> make_datum_decoder(ColorMode mode) { return std::make_unique<DatumDecoder>(mode); }

std::unique_ptr<BatchFeed> open_datum_feed(const caffe::LayerParameter& layer, const StreamOptions& options,
                                           std::vector<std::string>& warnings) {
  const caffe::DataParameter& param = layer.data_param();
  PictureFeedSettings settings;
  settings.layer = fmt::format("layer '{}' (Data)", layer.name());
  settings.message = "data_param";
  settings.batch_size = param.batch_size();
  settings.tops = static_cast<size_t>(layer.top_size());
  settings.skip_bad_records = param.skip_bad_records();
  check_picture_settings(settings, 1);
  ColorMode mode = ColorMode::kAsStored;
  if (layer.transform_param().force_color()) mode = ColorMode::kColor;
  if (layer.transform_param().force_gray()) mode = ColorMode::kGray;
  warn_of_ignored(layer, settings.layer, warnings);

  Transformer transformer(layer.transform_param(), options.phase,
                          philox_key(options.seed, options.net_name, layer.name(), "transform"), settings.layer);
  if (param.source().empty()) {
    throw config_error("{}: data_param.source is missing: the folder of the database", settings.layer);
  }
  std::unique_ptr<RecordSource> source = open_database(param.backend(), param.source(), options.log);
  Sampler sampler(source->size(), param.shuffle(), philox_key(options.seed, options.net_name, layer.name(), "shuffle"));
  if (param.shuffle()) source->prepare_random_access(options.log);
  if (mode != ColorMode::kAsStored) {
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
      warnings.push_back(fmt::format("{}: force_color and force_gray act on encoded records; those of {} are raw",
                                     settings.layer, source->path()));
    }
  }
  return std::make_unique<PictureFeed>(std::move(settings), std::move(source), std::move(sampler),
                                       std::move(transformer), [mode] { return make_datum_decoder(mode); });
}

}  // namespace trainer
