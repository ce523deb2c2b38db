// HDF5Data: batches of rows of HDF5 files, one data set for each top, by the top's name. No bottoms. `source`
// is a text file that lists the files; a row is what one index of a data set's first axis holds.
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const caffe::HDF5DataParameter& param = context.param().hdf5_data_param();
  const bool known = context.knows_source_shapes();
  if (context.param().has_transform_param())
    context.fail("transform_param", "HDF5Data does not transform data",
                 "remove transform_param; a Power or Scale layer can scale, a Bias layer can subtract a mean");
  if (!known && param.source().empty())
    context.fail("hdf5_data_param", "source is missing", "give a text file that lists HDF5 files, one a line");
  if (!known && param.batch_size() == 0)
    context.fail("hdf5_data_param", "batch_size is missing or 0",
                 "give the number of rows in a batch, for example batch_size: 64");
  const std::vector<Shape> shapes = context.source_shapes();
  for (int i = 0; i < context.tops(); ++i) context.set_top(i, context.source(i, shapes.at(static_cast<size_t>(i))));
}

REGISTER_LAYER(hdf5_data, .type = "HDF5Data", .summary = "batches of rows of HDF5 files", .min_bottoms = 0,
               .max_bottoms = 0, .min_tops = 1, .max_tops = kAnyNumber, .lower = lower, .example = R"(
layer { name: "data" type: "HDF5Data" top: "data" top: "label"
  hdf5_data_param { source: "train_files.txt" batch_size: 64 } }
)",
               .data_source = true);

}  // namespace
}  // namespace trainer
