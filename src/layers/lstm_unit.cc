// LSTMUnit: one step of an LSTM from the sums of its gates, blocks i, f, o, g.
//   i, o = sigmoid, f = cont * sigmoid, g = tanh of their blocks;  c = f * c_prev + i * g;  h = o * tanh(c)
//   bottoms  c_prev (1, N, H), sums (1, N, 4H), cont (1, N)
//   tops     c, h (1, N, H)
// As in Caffe, the derivative of f with respect to its sum is f * (1 - f), also for cont other than 0 and 1.
#include "layers/layer.h"

namespace trainer {
namespace {

void check(LayerContext& context, int bottom, const char* what, const Shape& needed) {
  if (context.shape(bottom) == needed) return;
  context.fail(fmt::format("bottom[{}]", bottom),
               fmt::format("{} \"{}\" is {}", what, context.param().bottom(bottom), context.shape(bottom).text()),
               fmt::format("with c_prev {} it needs the shape {}", context.shape(0).text(), needed.text()));
}

void lower(LayerContext& context) {
  const Shape& state = context.shape(0);
  if (state.rank() != 3 || state[0] != 1)
    context.fail("bottom[0]", fmt::format("c_prev \"{}\" is {}", context.param().bottom(0), state.text()),
                 "it needs the shape (1, items, hidden)");
  const int64_t items = state[1], hidden = state[2];
  check(context, 1, "the sums", Shape{1, items, 4 * hidden});
  check(context, 2, "cont", Shape{1, items});

  const auto block = [&](int64_t gate) { return slice(context.bottom(1), 2, gate * hidden, (gate + 1) * hidden); };
  const Value cont = reshape(context.bottom(2), Shape{1, items, 1});
  const Value f_sum = block(1), opened = cont * sigmoid(f_sum);
  const Value f =
      with_gradient(opened, {f_sum}, [=](Value g) -> std::vector<Value> { return {g * opened * (1.0f - opened)}; });
  const Value c = f * context.bottom(0) + sigmoid(block(0)) * tanh(block(3));
  context.set_top(0, c);
  context.set_top(1, sigmoid(block(2)) * tanh(c));
}

REGISTER_LAYER(lstm_unit, .type = "LSTMUnit", .summary = "one step of an LSTM, from the sums of its gates",
               .min_bottoms = 3, .max_bottoms = 3, .min_tops = 2, .max_tops = 2, .lower = lower, .example = R"(
layer { name: "c" type: "Input" top: "c_prev" input_param { shape { dim: 1 dim: 3 dim: 5 } } }
layer { name: "sums" type: "Input" top: "sums" input_param { shape { dim: 1 dim: 3 dim: 20 } } }
layer { name: "mark" type: "Input" top: "mark" input_param { shape { dim: 1 dim: 3 } } }
layer { name: "cont" type: "Threshold" bottom: "mark" top: "cont" threshold_param { threshold: 0.5 } }
layer { name: "unit" type: "LSTMUnit" bottom: "c_prev" bottom: "sums" bottom: "cont" top: "c" top: "h" }
)",
               .label_bottoms = {2}, .allows_in_place = false);

}  // namespace
}  // namespace trainer
