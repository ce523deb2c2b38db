// WindowData: windows cut out of pictures, warped to transform_param.crop_size, background before foreground
// in each batch. No bottoms.
//   top 0  (batch_size, 3, crop_size, crop_size)
//   top 1  classes (batch_size), 0 for background
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const caffe::WindowDataParameter& param = context.param().window_data_param();
  const bool known = context.knows_source_shapes();
  if (!known && param.source().empty()) context.fail("window_data_param", "source is missing", "give a window file");
  if (!known && param.batch_size() == 0)
    context.fail("window_data_param", "batch_size is missing or 0", "give the number of windows in a batch");
  if (context.param().transform_param().crop_size() == 0)
    context.fail("transform_param", "crop_size is missing or 0", "give the side of the windows after warping");
  const std::vector<Shape> shapes = context.source_shapes();
  for (int i = 0; i < context.tops(); ++i) context.set_top(i, context.source(i, shapes.at(static_cast<size_t>(i))));
}

REGISTER_LAYER(window_data, .type = "WindowData", .summary = "batches of windows cut out of pictures", .min_bottoms = 0,
               .max_bottoms = 0, .min_tops = 2, .max_tops = 2, .lower = lower, .example = R"(
layer { name: "data" type: "WindowData" top: "data" top: "label"
  transform_param { crop_size: 227 mirror: true mean_value: 104 mean_value: 117 mean_value: 123 }
  window_data_param { source: "windows.txt" batch_size: 128 fg_fraction: 0.25 context_pad: 16 crop_mode: "warp" } }
)",
               .data_source = true);

}  // namespace
}  // namespace trainer
