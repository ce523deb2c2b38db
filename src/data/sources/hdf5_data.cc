// HDF5Data: batches of rows of HDF5 files, one dataset for each top, with the top's name. `source` is a text file that
// lists the files, or one file; a row is one index of a dataset's first axis.
#include "data/data_source.h"
#include "data/feeds/hdf5_feed.h"
#include "layers/layer.h"

namespace trainer {

namespace {

void check(SourceContext& context) {
  context.require("hdf5_data_param.source", "give a text file that lists HDF5 files, one per line, or an HDF5 file");
  context.require("hdf5_data_param.batch_size", "give the number of rows in a batch, for example batch_size: 64");
  if (context.layer().has_transform_param())
    context.error("transform_param", "HDF5Data does not transform data",
                  "remove transform_param; a Power or Scale layer can scale, a Bias layer can subtract a mean");
}

Hdf5Rows rows_of(const caffe::LayerParameter& layer, bool shuffle, uint64_t key) {
  return {layer.hdf5_data_param().source(), {layer.top().begin(), layer.top().end()}, shuffle, key};
}

std::unique_ptr<BatchFeed> open(SourceContext& context) {
  const caffe::LayerParameter& layer = context.layer();
  const caffe::HDF5DataParameter& param = layer.hdf5_data_param();
  const bool shuffle = param.shuffle() && !context.options().in_order;
  return make_hdf5_feed(param.batch_size(), rows_of(layer, shuffle, context.random_key("shuffle")));
}

void probe(const caffe::LayerParameter& layer) { rows_of(layer, false, 0); }

REGISTER_SOURCE(hdf5_data, .type = "HDF5Data", .summary = "batches of rows of HDF5 files", .min_tops = 1,
                .max_tops = kAnyNumber, .source = "hdf5_data_param.source", .batch_size = "hdf5_data_param.batch_size",
                .check = check, .open = open, .probe = probe, .example = R"(
layer { name: "data" type: "HDF5Data" top: "data" top: "label"
  hdf5_data_param { source: "train_files.txt" batch_size: 64 } }
)");

}  // namespace
}  // namespace trainer
