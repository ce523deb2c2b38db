// Layers that compute each element by itself in ONNX.
#include <cmath>

#include "export/layer_to_onnx.h"

namespace trainer {
namespace {

constexpr double kSqrtHalf = 0.70710678118654752, kTwoOverPi = 0.63661977236758134;

// A layer that is one operator without attributes.
template <const char* const& type>
void same(LayerToOnnx& layer) {
  layer.set_top(0, layer.add(type, {layer.bottom(0)}));
}
constexpr const char *kSigmoid = "Sigmoid", *kTanh = "Tanh", *kSoftplus = "Softplus", *kAbs = "Abs", *kErf = "Erf";

std::string hard_sigmoid(LayerToOnnx& layer) {
  return layer.add("HardSigmoid", {layer.bottom(0)}, {{"alpha", 1 / 6.0f}, {"beta", 0.5f}});
}

void relu(LayerToOnnx& layer) {
  const float slope = layer.param().relu_param().negative_slope();
  layer.set_top(0, slope == 0 ? layer.add("Relu", {layer.bottom(0)})
                              : layer.add("LeakyRelu", {layer.bottom(0)}, {{"alpha", slope}}));
}

void clip_between(LayerToOnnx& layer, double low, double high) {
  layer.set_top(0, layer.add("Clip", {layer.bottom(0), layer.number(low), layer.number(high)}));
}

void prelu(LayerToOnnx& layer) {
  std::vector<int64_t> dims(static_cast<size_t>(layer.rank(0) - 1), 1);
  dims[0] = layer.blob(0).shape.count();
  layer.set_top(0, layer.add("PRelu", {layer.bottom(0), layer.weights(0, Shape(dims))}));
}

// base^(shift + scale * x); base -1 is e.
double natural_log(float base) { return base == -1 ? 1 : std::log(static_cast<double>(base)); }

void exponential(LayerToOnnx& layer) {
  const caffe::ExpParameter& param = layer.param().exp_param();
  const double log_base = natural_log(param.base());
  const std::string exponent = layer.shifted(layer.scaled(layer.bottom(0), param.scale() * log_base),
                                             static_cast<double>(param.shift()) * log_base);
  layer.set_top(0, layer.add("Exp", {exponent}));
}

void logarithm(LayerToOnnx& layer) {
  const caffe::LogParameter& param = layer.param().log_param();
  const std::string argument = layer.shifted(layer.scaled(layer.bottom(0), param.scale()), param.shift());
  layer.set_top(0, layer.scaled(layer.add("Log", {argument}), 1 / natural_log(param.base())));
}

void power(LayerToOnnx& layer) {
  const caffe::PowerParameter& param = layer.param().power_param();
  const std::string base = layer.shifted(layer.scaled(layer.bottom(0), param.scale()), param.shift());
  layer.set_top(0, param.power() == 1 ? base : layer.add("Pow", {base, layer.number(param.power())}));
}

void swish(LayerToOnnx& layer) {
  const std::string gate = layer.add("Sigmoid", {layer.scaled(layer.bottom(0), layer.param().swish_param().beta())});
  layer.set_top(0, layer.add("Mul", {layer.bottom(0), gate}));
}

void mish(LayerToOnnx& layer) {
  const std::string gate = layer.add("Tanh", {layer.add("Softplus", {layer.bottom(0)})});
  layer.set_top(0, layer.add("Mul", {layer.bottom(0), gate}));
}

void gelu(LayerToOnnx& layer) {
  const std::string& x = layer.bottom(0);
  std::string share;
  if (layer.param().gelu_param().approximate()) {
    const std::string cube = layer.add("Mul", {x, layer.add("Mul", {x, x})});
    const std::string sum = layer.add("Add", {x, layer.scaled(cube, 0.044715)});
    share = layer.add("Tanh", {layer.scaled(sum, std::sqrt(kTwoOverPi))});
  } else {
    share = layer.add("Erf", {layer.scaled(x, kSqrtHalf)});
  }
  layer.set_top(0, layer.scaled(layer.add("Mul", {x, layer.shifted(share, 1)}), 0.5));
}

void threshold(LayerToOnnx& layer) {
  const std::string above =
      layer.add("Greater", {layer.bottom(0), layer.number(layer.param().threshold_param().threshold())});
  layer.set_top(0, layer.add("Cast", {above}, {{"to", static_cast<int64_t>(OnnxType::kFloat)}}));
}

// Each top is the bottom.
void copy(LayerToOnnx& layer) {
  for (int i = 0; i < layer.tops(); ++i) layer.set_top(i, layer.bottom(0));
}

}  // namespace

void add_activations(LayerTranslations* translations) {
  LayerTranslations& all = *translations;
  all["ReLU"] = relu;
  all["PReLU"] = prelu;
  all["Exp"] = exponential;
  all["Log"] = logarithm;
  all["Power"] = power;
  all["Swish"] = swish;
  all["Mish"] = mish;
  all["GELU"] = gelu;
  all["Threshold"] = threshold;
  all["Sigmoid"] = same<kSigmoid>;
  all["TanH"] = same<kTanh>;
  all["BNLL"] = all["Softplus"] = same<kSoftplus>;
  all["AbsVal"] = same<kAbs>;
  all["Erf"] = same<kErf>;
  all["Split"] = all["Dropout"] = all["DropPath"] = copy;
  all["Silence"] = [](LayerToOnnx&) {};
  all["ReLU6"] = [](LayerToOnnx& layer) { clip_between(layer, 0, 6); };
  all["Clip"] = [](LayerToOnnx& layer) {
    clip_between(layer, layer.param().clip_param().min(), layer.param().clip_param().max());
  };
  all["ELU"] = [](LayerToOnnx& layer) {
    layer.set_top(0, layer.add("Elu", {layer.bottom(0)}, {{"alpha", layer.param().elu_param().alpha()}}));
  };
  all["HardSigmoid"] = [](LayerToOnnx& layer) { layer.set_top(0, hard_sigmoid(layer)); };
  all["HardSwish"] = [](LayerToOnnx& layer) {
    layer.set_top(0, layer.add("Mul", {layer.bottom(0), hard_sigmoid(layer)}));
  };
}

}  // namespace trainer
