// DummyData: tops of given shapes, filled by fillers. No bottoms. Constant fillers give the same values in every pass;
// the others draw new values.
#include "layers/layer.h"
#include "layers/shared/filler.h"
#include "layers/shared/given_shape.h"
#include "layers/shared/random_fill.h"

namespace trainer {
namespace {

using caffe::DummyDataParameter;

// The shape by num, channels, height and width, each given once or once per top.
Shape legacy_shape(LayerContext& context, const DummyDataParameter& param, int top) {
  caffe::BlobShape shape;
  const std::pair<const char*, const google::protobuf::RepeatedField<uint32_t>*> fields[] = {
      {"num", &param.num()}, {"channels", &param.channels()}, {"height", &param.height()}, {"width", &param.width()}};
  for (const auto& [name, values] : fields) {
    if (values->size() != 1 && values->size() != context.tops())
      context.fail("dummy_data_param", fmt::format("{} {} for {} tops", values->size(), name, context.tops()),
                   "give shape { dim: ... } once, or once for each top");
    shape.add_dim(values->Get(values->size() == 1 ? 0 : top));
  }
  return given_shape(context, shape, "dummy_data_param");
}

Shape shape_of(LayerContext& context, const DummyDataParameter& param, int top) {
  const bool legacy = param.num_size() + param.channels_size() + param.height_size() + param.width_size() > 0;
  if (legacy && param.shape_size() > 0)
    context.fail("dummy_data_param.shape", "both shape and num, channels, height, width are given", "keep shape");
  if (legacy) return legacy_shape(context, param, top);
  if (param.shape_size() != 1 && param.shape_size() != context.tops())
    context.fail("dummy_data_param", fmt::format("{} shapes for {} tops", param.shape_size(), context.tops()),
                 "give shape { dim: ... } once, or once for each top");
  return given_shape(context, param.shape(param.shape_size() == 1 ? 0 : top), "dummy_data_param.shape");
}

void lower(LayerContext& context) {
  const DummyDataParameter& param = context.param().dummy_data_param();
  const int fillers = param.data_filler_size();
  if (fillers > 1 && fillers != context.tops())
    context.fail("dummy_data_param.data_filler", fmt::format("{} data_filler for {} tops", fillers, context.tops()),
                 "give none (zeros), one, or one for each top");
  for (int i = 0; i < context.tops(); ++i) {
    const Shape shape = shape_of(context, param, i);
    if (fillers == 0) {
      context.set_top(i, constant(context.graph(), shape, 0));
      continue;
    }
    const caffe::FillerParameter& filler = param.data_filler(fillers == 1 ? 0 : i);
    std::string field;
    const std::string problem = check_filler(filler, shape, &field);
    if (!problem.empty()) context.fail("dummy_data_param.data_filler", problem);
    context.set_top(i, random_fill(context, filler, shape, fmt::format("top {}", i)));
  }
}

REGISTER_LAYER(dummy_data, .type = "DummyData", .summary = "blobs filled by fillers, to run a net without data",
               .min_bottoms = 0, .max_bottoms = 0, .min_tops = 1, .max_tops = kAnyNumber, .lower = lower, .example = R"(
layer { name: "dummy" type: "DummyData" top: "data" top: "label"
  dummy_data_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } shape { dim: 2 }
    data_filler { type: "gaussian" std: 2 } data_filler { value: 1 } } }
)");

}  // namespace
}  // namespace trainer
