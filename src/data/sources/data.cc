// Data: batches of records of an LMDB or LevelDB database, transformed by transform_param.
//   top 0  (batch_size, C, H, W), after the crop of transform_param
//   top 1  labels (batch_size), optional; (batch_size, classes) if batches are mixed
#include "base/text.h"
#include "data/data_source.h"
#include "data/feeds/datum_decoder.h"
#include "data/feeds/picture_feed.h"
#include "data/record_weights.h"
#include "data/records/open_database.h"
#include "formats/datum.h"

namespace trainer {

namespace {

void check(SourceContext& context) {
  context.require("data_param.source", "give the path of the database, for example source: \"train_lmdb\"");
  context.require("data_param.batch_size", "give the number of records in a batch, for example batch_size: 64");
  check_transform(context);
  check_mix(context, true);
  check_sampling(context, "data_param", context.layer().data_param().sampling(),
                 context.layer().data_param().shuffle());
  warn_of_moved_fields(context, "data_param", {"scale", "mean_file", "crop_size", "mirror"});
  const caffe::DataParameter& param = context.layer().data_param();
  if (param.rand_skip() > 0) context.warning("data_param.rand_skip", "data_param.rand_skip has no effect, as in Caffe");
  if (param.force_encoded_color())
    context.warning("data_param.force_encoded_color", "data_param.force_encoded_color has no effect, as in Caffe",
                    "set transform_param.force_color");
}

ColorMode color_mode(const caffe::TransformationParameter& param) {
  if (param.force_gray()) return ColorMode::kGray;
  return param.force_color() ? ColorMode::kColor : ColorMode::kAsStored;
}

void warn_of_raw_records(SourceContext& context, RecordSource& source) {
  Record first;
  DatumView datum;
  source.read(0, first);
  try {
    parse_datum(first.value, datum);
  } catch (const Error&) {
    return;  // reported with its position when a batch reads the record
  }
  if (datum.encoded) return;
  context.warning(
      context.layer().transform_param().force_gray() ? "transform_param.force_gray" : "transform_param.force_color",
      fmt::format("force_color and force_gray act on encoded records; those of {} are raw", source.path()));
}

// nullopt for a bad record that is skipped.
std::optional<int32_t> label_of(const RecordSource& source, const Record& record, bool skip_bad_records) {
  try {
    return datum_label(record.value);
  } catch (const Error& error) {
    source.check_intact();
    if (skip_bad_records) return std::nullopt;
    throw data_error("{}: {}. data_param {{ skip_bad_records: true }} skips bad records", source.describe(record),
                     error.what());
  }
}

template <typename Use>
void for_each_label(RecordSource& source, bool skip_bad_records, const Use& use) {
  Record record;
  for (uint64_t i = 0; i < source.size(); ++i) {
    source.read(i, record);
    use(record, label_of(source, record, skip_bad_records));
  }
  source.check_intact();
}

LabelCounts count_labels(RecordSource& source, bool skip_bad_records) {
  LabelCounts counts;
  for_each_label(source, skip_bad_records, [&](const Record&, std::optional<int32_t> label) {
    if (label) ++counts[*label];
  });
  return counts;
}

std::vector<uint32_t> read_classes(const SourceContext& context, RecordSource& source) {
  context.note(fmt::format("reading the labels of {} records of {}", format_count(static_cast<int64_t>(source.size())),
                           source.path()));
  std::vector<uint32_t> classes;
  classes.reserve(static_cast<size_t>(source.size()));
  for_each_label(source, context.layer().data_param().skip_bad_records(),
                 [&](const Record& record, std::optional<int32_t> label) {
                   classes.push_back(label ? class_of(*label, [&] { return source.describe(record); }) : kNoClass);
                 });
  return classes;
}

std::unique_ptr<BatchFeed> open(SourceContext& context) {
  const caffe::DataParameter& param = context.layer().data_param();
  const ColorMode mode = color_mode(context.layer().transform_param());
  Transformer transformer(context);
  std::unique_ptr<RecordSource> source = open_database(param.backend(), param.source(), context.options().log);
  const auto weights = weigh_records(context, {"data_param", param.sampling(), source->path(), source->size(), {}, [&] {
                                                 return read_classes(context, *source);
                                               }});
  Sampler sampler(source->size(), param.shuffle() && !context.options().in_order, context.random_key("shuffle"), 0,
                  weights);
  if (context.options().phase == caffe::TRAIN && context.options().processes > 1) source->prepare_sparse_access();
  if (param.shuffle()) source->prepare_random_access(context.options().log);
  if (mode != ColorMode::kAsStored) warn_of_raw_records(context, *source);
  PictureFeedSettings settings = picture_settings(context, "data_param", param.batch_size());
  settings.mix = BatchMix::make(context, source->class_names());
  set_skipping(context, "data_param", param.skip_bad_records(), &settings);
  settings.exact_decode = param.exact_decode();
  settings.count_labels = [skip = param.skip_bad_records()](RecordSource& records) {
    return count_labels(records, skip);
  };
  return std::make_unique<PictureFeed>(std::move(settings), std::move(source), std::move(sampler),
                                       std::move(transformer), [mode] { return make_datum_decoder(mode); });
}

void probe(const caffe::LayerParameter& layer) {
  open_database(layer.data_param().backend(), layer.data_param().source(), {});
}

ItemShape item(const caffe::LayerParameter& layer) { return item_shape(layer.transform_param(), {}); }

REGISTER_SOURCE(data, .type = "Data", .summary = "batches of a database's records", .min_tops = 1, .max_tops = 2,
                .source = "data_param.source", .batch_size = "data_param.batch_size", .check = check, .open = open,
                .probe = probe, .item = item, .labels = class_labels, .example = R"(
layer { name: "data" type: "Data" top: "data" top: "label"
  transform_param { scale: 0.00390625 }
  data_param { source: "train_lmdb" batch_size: 64 backend: LMDB } }
)");

}  // namespace
}  // namespace trainer
