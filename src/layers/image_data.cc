// ImageData: batches of image files named in a list, transformed by transform_param. No bottoms.
//   top 0  (batch_size, C, H, W): C is 3 (blue, green, red) or 1 (is_color: false); H and W as new_height and
//          new_width say, or as the pictures are, cropped where transform_param says so
//   top 1  labels (batch_size)
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const caffe::ImageDataParameter& param = context.param().image_data_param();
  const bool known = context.knows_source_shapes();
  if (!known && param.source().empty())
    context.fail("image_data_param", "source is missing",
                 "give a text file with a line \"path label\" for each picture");
  if (!known && param.batch_size() == 0)
    context.fail("image_data_param.batch_size", "batch_size is 0", "give the number of pictures in a batch");
  if ((param.new_height() > 0) != (param.new_width() > 0))
    context.fail(param.new_height() > 0 ? "image_data_param.new_height" : "image_data_param.new_width",
                 param.new_height() > 0 ? "new_height without new_width" : "new_width without new_height",
                 "give both, or neither");
  const caffe::TransformationParameter& transform = context.param().transform_param();
  if (transform.has_mean_file() && transform.mean_value_size() > 0)
    context.fail("transform_param.mean_value", "both mean_file and mean_value are given",
                 "cannot specify mean_file and mean_value at the same time: keep one");

  const std::vector<Shape> shapes = context.source_shapes();
  for (int i = 0; i < context.tops(); ++i) context.set_top(i, context.source(i, shapes.at(static_cast<size_t>(i))));
}

REGISTER_LAYER(image_data, .type = "ImageData", .summary = "batches of image files named in a list", .min_bottoms = 0,
               .max_bottoms = 0, .min_tops = 2, .max_tops = 2, .lower = lower, .example = R"(
layer { name: "data" type: "ImageData" top: "data" top: "label"
  transform_param { crop_size: 224 mirror: true mean_value: 104 mean_value: 117 mean_value: 123 }
  image_data_param { source: "train.txt" root_folder: "images/" batch_size: 32 new_height: 256 new_width: 256
    shuffle: true } }
)",
               .data_source = true);

}  // namespace
}  // namespace trainer
