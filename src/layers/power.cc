// Power: y = (shift + scale * x)^power. Any shape.
//
// The gradient is that of Caffe, which divides y by its base: it is NaN if the base is 0, for any power except 0, 1 and
// 2.
#include <cmath>

#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const caffe::PowerParameter& param = context.param().power_param();
  const Value x = context.bottom(0);
  const float exponent = param.power(), scale = param.scale(), shift = param.shift();
  if (scale * exponent == 0) {
    const float value = exponent == 0 ? 1.0f : std::pow(shift, exponent);
    return context.set_top(0, constant(context.graph(), x.shape(), value));
  }
  const Value base = x * scale + shift;
  if (exponent == 1) return context.set_top(0, base);
  if (exponent == 2) return context.set_top(0, base * base);
  const Value y = power(base, exponent);
  context.set_top(0, with_gradient(y, {x}, [=](Value g) -> std::vector<Value> {
                    if (shift == 0) return {g * (exponent * y / x)};
                    return {g * (exponent * scale * y / base)};
                  }));
}

REGISTER_LAYER(power, .type = "Power", .summary = "(shift + scale * x)^power", .min_bottoms = 1, .max_bottoms = 1,
               .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "power" type: "Power" bottom: "x" top: "y" power_param { power: 2 scale: 0.5 shift: 1 } }
)");

}  // namespace
}  // namespace trainer
