// RNN: a recurrent layer of T steps of N items, H = num_output.
//   h_t = tanh(W_hh * (cont_t * h_{t-1}) + W_xh * x_t + b_h (+ W_xh_static * x_static))
//   o_t = tanh(W_ho * h_t + b_o)
//   bottoms  x (T, N, ...), cont (T, N): 0 at the first step of a sequence, else 1; x_static (N, ...), optional;
//            with expose_hidden h_0 (1, N, H)
//   tops     o (T, N, H); with expose_hidden h_T (1, N, H)
//   blobs    W_xh (H, D), b_h (H), W_xh_static (H, S) with x_static, W_hh (H, H), W_ho (H, H), b_o (H)
// Without expose_hidden, the final state of a pass is the initial state of the next; the first pass starts with zeros.
// No gradient passes through initial and final states.
#include "layers/shared/recurrent.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const caffe::RecurrentParameter& param = context.param().recurrent_param();
  const RecurrentInput input = recurrent_input(context, 1);
  const Shape square{input.hidden, input.hidden};
  const Value sums = input_sums(context, input, input.hidden);
  const Value hidden_weights = context.parameter(square, &param.weight_filler());
  const Value output_weights = context.parameter(square, &param.weight_filler());
  const Value output_bias = context.parameter(Shape{input.hidden}, &param.bias_filler());
  const Value h_0 = first_state(context, input, 0, "h");
  const Value h = recurrence(sums, hidden_weights, input.cont, h_0, Value(), Cell::kTanh).h;
  const Value rows = reshape(h, Shape{input.steps * input.items, input.hidden});
  const Value o = tanh(matmul(rows, output_weights, output_bias, false, true));
  context.set_top(0, reshape(o, h.shape()));
  finish_state(context, input, 0, "h", h);
}

REGISTER_LAYER(rnn, .type = "RNN", .summary = "a plain recurrent layer", .min_bottoms = 2, .max_bottoms = 4,
               .min_tops = 1, .max_tops = 2, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 3 dim: 5 } } }
layer { name: "fixed" type: "Input" top: "fixed" input_param { shape { dim: 3 dim: 2 } } }
layer { name: "mark" type: "Input" top: "mark" input_param { shape { dim: 4 dim: 3 } } }
layer { name: "cont" type: "Threshold" bottom: "mark" top: "cont" threshold_param { threshold: 0.5 } }
layer { name: "rnn" type: "RNN" bottom: "x" bottom: "cont" bottom: "fixed" top: "o"
  recurrent_param { num_output: 6 weight_filler { type: "xavier" } bias_filler { type: "uniform" } } }
)",
               .label_bottoms = {1}, .allows_in_place = false);

}  // namespace
}  // namespace trainer
