// Shared by RNN and LSTM: bottoms, input products, and states that are carried from batch to batch or exposed.
#pragma once

#include <string>

#include "layers/layer.h"

namespace trainer {

struct RecurrentInput {
  int64_t steps = 0, items = 0, hidden = 0;  // T, N, H
  Value x;                                   // (T * N, D)
  Value cont;                                // (T, N)
  Value x_static;                            // (N, S), optional
  bool exposed = false;                      // the last bottoms are initial states, the last tops final states
};

// Reads and checks recurrent_param and the bottoms of a layer with this number of states.
RecurrentInput recurrent_input(LayerContext& context, int states);

// W_x * x_t + b (+ W_static * x_static) for all steps as one product: (T, N, sums). Adds the blobs W_x (sums, D),
// b (sums) and, with x_static, W_static (sums, S).
Value input_sums(LayerContext& context, const RecurrentInput& input, int64_t sums);

// State number `index`, named `name`, before the first step: (N, H). No gradient passes.
Value first_state(LayerContext& context, const RecurrentInput& input, int index, const std::string& name);
// Writes the state after the last step to its top or carried state; `all` (T, N, H) holds it after each step.
void finish_state(LayerContext& context, const RecurrentInput& input, int index, const std::string& name, Value all);

}  // namespace trainer
