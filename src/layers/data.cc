// Data: batches of records of an LMDB or LevelDB database, transformed by transform_param. No bottoms.
//   top 0  (batch_size, C, H, W), cropped where transform_param says so
//   top 1  labels (batch_size), optional
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const caffe::DataParameter& param = context.param().data_param();
  const bool known = context.knows_source_shapes();
  if (!known && param.source().empty())
    context.fail("data_param", "source is missing",
                 "give the path of the database, for example source: \"train_lmdb\"");
  if (!known && param.batch_size() == 0)
    context.fail("data_param", "batch_size is missing or 0",
                 "give the number of records in a batch, for example batch_size: 64");
  const caffe::TransformationParameter& transform = context.param().transform_param();
  if (transform.has_mean_file() && transform.mean_value_size() > 0)
    context.fail("transform_param.mean_value", "both mean_file and mean_value are given",
                 "cannot specify mean_file and mean_value at the same time: keep one");
  if (transform.force_color() && transform.force_gray())
    context.fail("transform_param.force_gray", "cannot set both force_color and force_gray", "keep one");

  const std::vector<Shape> shapes = context.source_shapes();
  for (int i = 0; i < context.tops(); ++i) context.set_top(i, context.source(i, shapes.at(static_cast<size_t>(i))));
}

REGISTER_LAYER(data, .type = "Data", .summary = "batches of a database's records", .min_bottoms = 0, .max_bottoms = 0,
               .min_tops = 1, .max_tops = 2, .lower = lower, .example = R"(
layer { name: "data" type: "Data" top: "data" top: "label"
  transform_param { scale: 0.00390625 }
  data_param { source: "train_lmdb" batch_size: 64 backend: LMDB } }
)",
               .data_source = true);

}  // namespace
}  // namespace trainer
