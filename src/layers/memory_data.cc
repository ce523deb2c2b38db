// MemoryData: batches of the items of an HDF5 or .npy file, transformed by transform_param. No bottoms. In
// Caffe a program that embeds the net hands the items over.
//   top 0  (batch_size, channels, height, width), after the transformation
//   top 1  labels (batch_size)
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const caffe::MemoryDataParameter& param = context.param().memory_data_param();
  const bool known = context.knows_source_shapes();
  const std::pair<const char*, uint32_t> extents[] = {{"batch_size", param.batch_size()},
                                                      {"channels", param.channels()},
                                                      {"height", param.height()},
                                                      {"width", param.width()}};
  for (const auto& [field, value] : extents) {
    if (!known && value == 0)
      context.fail("memory_data_param", fmt::format("{} is missing or 0", field),
                   "batch_size, channels, height and width must be given");
  }
  if (!known && param.source().empty())
    context.fail("memory_data_param", "no program hands over its data here, and source is missing",
                 fmt::format("name an HDF5 file with data sets named as the tops, or a .npy file, in "
                             "memory_data_param.source, or with --set 'layer[{}].memory_data_param.source=FILE'",
                             context.param().name()));
  const std::vector<Shape> shapes = context.source_shapes();
  for (int i = 0; i < context.tops(); ++i) context.set_top(i, context.source(i, shapes.at(static_cast<size_t>(i))));
}

REGISTER_LAYER(memory_data, .type = "MemoryData", .summary = "batches of the items of an HDF5 or .npy file",
               .min_bottoms = 0, .max_bottoms = 0, .min_tops = 2, .max_tops = 2, .lower = lower, .example = R"(
layer { name: "data" type: "MemoryData" top: "data" top: "label"
  transform_param { scale: 0.00390625 }
  memory_data_param { source: "items.h5" batch_size: 16 channels: 1 height: 28 width: 28 } }
)",
               .data_source = true);

}  // namespace
}  // namespace trainer
