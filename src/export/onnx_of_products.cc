// Layers of matrix products in ONNX, attention and recurrences among them, and Softmax.
#include <algorithm>
#include <cmath>

#include "export/layer_to_onnx.h"

namespace trainer {
namespace {

void inner_product(LayerToOnnx& layer) {
  const caffe::InnerProductParameter& param = layer.param().inner_product_param();
  const int axis = layer.canonical(param.axis());
  const OnnxDims& dims = layer.dims(0);
  const int64_t outputs = param.num_output(), inputs = layer.shape(0).count(axis);
  for (int i = axis; i < layer.rank(0); ++i) layer.extent(0, i);
  OnnxDims rows(dims.begin(), dims.begin() + axis);
  if (axis != 1) rows = {kBatchExtent};
  rows.push_back(inputs);
  std::vector<std::string> terms{layer.reshape(layer.bottom(0), dims, rows), layer.weights(0)};
  if (layer.blobs() > 1) terms.push_back(layer.weights(1));
  const std::string y = layer.add("Gemm", terms, {{"transB", static_cast<int64_t>(!param.transpose())}});
  rows.back() = outputs;
  layer.set_top(0, layer.reshape(y, rows, layer.top_dims(0)));
}

void mat_mul(LayerToOnnx& layer) {
  const caffe::MatMulParameter& param = layer.param().matmul_param();
  const auto matrices = [&](int bottom, bool transposed) {
    std::vector<int64_t> order;
    for (int axis = 0; axis < layer.rank(bottom); ++axis) order.push_back(axis);
    if (transposed) std::swap(order[order.size() - 1], order[order.size() - 2]);
    return layer.transpose(layer.bottom(bottom), order);
  };
  const std::string a = matrices(0, param.transpose_a()), b = matrices(1, param.transpose_b());
  layer.set_top(0, layer.add("MatMul", {a, b}));
}

void softmax(LayerToOnnx& layer) {
  const int axis = layer.canonical(layer.param().softmax_param().axis());
  layer.set_top(0, layer.add("Softmax", {layer.bottom(0)}, {{"axis", static_cast<int64_t>(axis)}}));
}

void embed(LayerToOnnx& layer) {
  const std::string rows = layer.add("Cast", {layer.bottom(0)}, {{"to", static_cast<int64_t>(OnnxType::kInt64)}});
  std::string y = layer.add("Gather", {layer.weights(0), rows});
  if (layer.blobs() > 1) y = layer.add("Add", {y, layer.weights(1)});
  layer.set_top(0, y);
}

// (N, L, heads * F) as (N, heads, L, F), or with the last two axes exchanged.
std::string heads_of(LayerToOnnx& layer, int bottom, int64_t heads, bool exchanged) {
  const OnnxDims& dims = layer.dims(bottom);
  const std::string parts =
      layer.reshape(layer.bottom(bottom), dims, {dims[0], dims[1], heads, layer.extent(bottom, 2) / heads});
  return layer.transpose(parts, exchanged ? std::vector<int64_t>{0, 2, 3, 1} : std::vector<int64_t>{0, 2, 1, 3});
}

void attention(LayerToOnnx& layer) {
  const caffe::AttentionParameter& param = layer.param().attention_param();
  if (layer.bottoms() > 3) layer.fail("a mask");
  const int64_t heads = param.heads(), features = layer.extent(0, 2) / heads;
  const double scale = param.has_scale() ? param.scale() : 1 / std::sqrt(static_cast<double>(features));
  const std::string q = heads_of(layer, 0, heads, false), k = heads_of(layer, 1, heads, true),
                    v = heads_of(layer, 2, heads, false);
  std::string scores = layer.scaled(layer.add("MatMul", {q, k}), scale);
  if (param.causal()) {
    const int64_t queries = layer.extent(0, 1), keys = layer.extent(1, 1);
    std::vector<float> later;
    for (int64_t i = 0; i < queries * keys; ++i) later.push_back(i % keys > i / keys ? -1e30f : 0.0f);
    scores = layer.add("Add", {scores, layer.floats(Shape{queries, keys}, std::move(later))});
  }
  const std::string shares = layer.add("Softmax", {scores}, {{"axis", int64_t{3}}});
  const std::string parts = layer.transpose(layer.add("MatMul", {shares, v}), {0, 2, 1, 3});
  const OnnxDims &top = layer.top_dims(0), from{top[0], top[1], heads, layer.extent(2, 2) / heads};
  layer.set_top(0, layer.reshape(parts, from, top));
}

// The rows of a blob in another order of its blocks of H rows, as the weights of one direction.
std::vector<float> blocks_of(const WeightBlob& blob, int64_t hidden, const std::vector<int64_t>& order) {
  const int64_t row = blob.shape.count(1) * hidden;
  std::vector<float> out;
  for (const int64_t block : order)
    out.insert(out.end(), blob.data.begin() + block * row, blob.data.begin() + (block + 1) * row);
  return out;
}

// The states after all steps (T, N, H). `order`: the number of the block of each gate in Caffe's weights.
std::string recurrence(LayerToOnnx& layer, const char* type, const std::vector<int64_t>& order, size_t recurrent) {
  const caffe::RecurrentParameter& param = layer.param().recurrent_param();
  if (param.expose_hidden()) layer.fail("expose_hidden: true");
  if (layer.bottoms() > 2) layer.fail("a bottom x_static");
  const OnnxDims& dims = layer.dims(0);
  for (int axis = 2; axis < layer.rank(0); ++axis) layer.extent(0, axis);
  const int64_t hidden = param.num_output(), inputs = layer.shape(0).count(2),
                rows = hidden * static_cast<int64_t>(order.size());
  const std::string x = layer.reshape(layer.bottom(0), dims, {dims[0], dims[1], inputs});
  std::vector<float> bias = blocks_of(layer.blob(1), hidden, order);
  bias.resize(bias.size() * 2, 0);
  layer.add(type,
            {x, layer.floats(Shape{1, rows, inputs}, blocks_of(layer.blob(0), hidden, order)),
             layer.floats(Shape{1, rows, hidden}, blocks_of(layer.blob(recurrent), hidden, order)),
             layer.floats(Shape{1, 2 * rows}, std::move(bias))},
            {{"hidden_size", hidden}});
  return layer.add("Squeeze", {layer.output(0), layer.ints({1})});
}

// Caffe's gates are i, f, o, g, those of ONNX i, o, f, g.
void lstm(LayerToOnnx& layer) { layer.set_top(0, recurrence(layer, "LSTM", {0, 2, 1, 3}, 2)); }

void rnn(LayerToOnnx& layer) {
  const int64_t hidden = layer.param().recurrent_param().num_output();
  const std::string h = recurrence(layer, "RNN", {0}, 2);
  std::vector<float> transposed;
  for (int64_t i = 0; i < hidden * hidden; ++i)
    transposed.push_back(layer.blob(3).data[static_cast<size_t>(i % hidden * hidden + i / hidden)]);
  const std::string product = layer.add("MatMul", {h, layer.floats(Shape{hidden, hidden}, std::move(transposed))});
  layer.set_top(0, layer.add("Tanh", {layer.add("Add", {product, layer.weights(4)})}));
}

}  // namespace

void add_products(LayerTranslations* translations) {
  LayerTranslations& all = *translations;
  all["InnerProduct"] = inner_product;
  all["MatMul"] = mat_mul;
  all["Softmax"] = softmax;
  all["Embed"] = embed;
  all["Attention"] = attention;
  all["LSTM"] = lstm;
  all["RNN"] = rnn;
}

}  // namespace trainer
