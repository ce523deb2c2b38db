// LSTM: long short-term memory over T steps of N items, H = num_output.
//   s_t = W_xc * x_t + b_c + W_hc * (cont_t * h_{t-1}) (+ W_xc_static * x_static), in blocks i, f, o, g
//   i, f, o = sigmoid, g = tanh of their blocks;  c_t = cont_t * f * c_{t-1} + i * g;  h_t = o * tanh(c_t)
//   bottoms  x (T, N, ...), cont (T, N): 0 at the first step of a sequence, else 1; x_static (N, ...), optional;
//            with expose_hidden h_0 and c_0 (1, N, H)
//   tops     h (T, N, H); with expose_hidden h_T and c_T (1, N, H)
//   blobs    W_xc (4H, D), b_c (4H), W_xc_static (4H, S) with x_static, W_hc (4H, H)
// Without expose_hidden, the final states of a pass are the initial states of the next; the first pass starts with
// zeros. No gradient passes through initial and final states.
#include "layers/shared/recurrent.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const RecurrentInput input = recurrent_input(context, 2);
  const Value sums = input_sums(context, input, 4 * input.hidden);
  const Value weights =
      context.parameter(Shape{4 * input.hidden, input.hidden}, &context.param().recurrent_param().weight_filler());
  const Value h_0 = first_state(context, input, 0, "h"), c_0 = first_state(context, input, 1, "c");
  const RecurrenceResult result = recurrence(sums, weights, input.cont, h_0, c_0, Cell::kLstm);
  context.set_top(0, result.h);
  finish_state(context, input, 0, "h", result.h);
  finish_state(context, input, 1, "c", result.c);
}

REGISTER_LAYER(lstm, .type = "LSTM", .summary = "a recurrent layer with gated memory (long short-term memory)",
               .min_bottoms = 2, .max_bottoms = 5, .min_tops = 1, .max_tops = 3, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 3 dim: 5 } } }
layer { name: "mark" type: "Input" top: "mark" input_param { shape { dim: 4 dim: 3 } } }
layer { name: "cont" type: "Threshold" bottom: "mark" top: "cont" threshold_param { threshold: 0.5 } }
layer { name: "lstm" type: "LSTM" bottom: "x" bottom: "cont" top: "h"
  recurrent_param { num_output: 6 weight_filler { type: "xavier" } bias_filler { type: "uniform" } } }
)",
               .label_bottoms = {1}, .allows_in_place = false);

}  // namespace
}  // namespace trainer
