// Sums in double, which is exact for any number of 8-bit pictures.
#include "base/error.h"
#include "data/convert/convert.h"
#include "data/feeds/datum_decoder.h"
#include "data/records/open_database.h"
#include "formats/atomic_file.h"
#include "formats/mean_file.h"

namespace trainer {

namespace {

caffe::DataParameter::DB backend_called(const std::string& name) {
  if (name == "lmdb") return caffe::DataParameter::LMDB;
  if (name == "leveldb") return caffe::DataParameter::LEVELDB;
  throw config_error("unknown backend \"{}\": use lmdb or leveldb", name);
}

void add(const PixelView& view, std::vector<double>& sums) {
  const int64_t pixels = view.shape.height * view.shape.width, channels = view.shape.channels;
  const int64_t step_c = view.interleaved ? 1 : pixels, step = view.interleaved ? channels : 1;
  for (int64_t c = 0; c < channels; ++c) {
    double* sum = sums.data() + c * pixels;
    if (view.bytes != nullptr) {
      for (int64_t i = 0; i < pixels; ++i) sum[i] += view.bytes[c * step_c + i * step];
    } else {
      for (int64_t i = 0; i < pixels; ++i) sum[i] += static_cast<double>(view.floats[c * step_c + i * step]);
    }
  }
}

}  // namespace

DatabaseMean compute_mean(const std::string& database, const std::string& backend, const std::string& target,
                          const LogLine& log, const ConvertProgress& progress) {
  constexpr int64_t kRecordsBetweenReports = 10000;
  if (!target.empty()) refuse_existing(target);
  const std::unique_ptr<RecordSource> source = open_database(backend_called(backend), database, log);
  const std::unique_ptr<RecordDecoder> decoder = make_datum_decoder(ColorMode::kAsStored);
  WholePicture whole;
  const auto total = static_cast<int64_t>(source->size());
  DatabaseMean mean;
  ItemShape shape;
  std::vector<double> sums;
  Record record;
  for (uint64_t i = 0; i < source->size(); ++i) {
    source->read(i, record);
    try {
      float label = 0;
      const PixelView view = decoder->decode(record, whole, &label);
      if (sums.empty()) {
        shape = view.shape;
        sums.resize(static_cast<size_t>(shape.count()));
      }
      if (view.shape != shape) {
        throw data_error(
            "it is {}, but the first record is {}: a mean image needs one size, as `trainer convert imageset "
            "--resize_height=H --resize_width=W` gives",
            view.shape.text(), shape.text());
      }
      add(view, sums);
    } catch (const Error& error) {
      source->check_intact();
      throw Error(error.code(), fmt::format("{}: {}", source->describe(record), error.what()));
    }
    source->check_intact();
    ++mean.records;
    if (progress && mean.records % kRecordsBetweenReports == 0) progress(mean.records, total);
  }
  MeanImage image;
  image.shape = Shape{shape.channels, shape.height, shape.width};
  const auto count = static_cast<float>(mean.records);
  for (double sum : sums) image.data.push_back(static_cast<float>(sum) / count);
  const int64_t pixels = shape.height * shape.width;
  for (int64_t c = 0; c < shape.channels; ++c) {
    double sum = 0;
    for (int64_t i = 0; i < pixels; ++i) sum += static_cast<double>(image.data[static_cast<size_t>(c * pixels + i)]);
    mean.channels.push_back(sum / static_cast<double>(pixels));
  }
  if (!target.empty()) write_mean_file(target, image);
  return mean;
}

}  // namespace trainer
