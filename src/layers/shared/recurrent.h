// What RNN and LSTM have in common: bottoms, input products, states that pass from batch to batch or are
// exposed.
#pragma once

#include <string>

#include "layers/layer.h"

namespace trainer {

struct RecurrentInput {
  int64_t steps = 0, items = 0, hidden = 0;  // T, N, H
  Value x;                                   // (T * N, D)
  Value cont;                                // (T, N)
  Value x_static;                            // (N, S); empty where there is none
  bool exposed = false;                      // first states are the last bottoms, final ones the last tops
};

// Checks and reads recurrent_param and the bottoms of a layer that keeps `states` states.
RecurrentInput recurrent_input(LayerContext& context, int states);

// W_x * x_t + b (+ W_static * x_static) for all steps as one product: (T, N, sums). Makes those blobs: (sums,
// D), (sums), (sums, S).
Value input_sums(LayerContext& context, const RecurrentInput& input, int64_t sums);

// State number `index`, called `name`, before the first step: (N, H). No gradient passes.
Value first_state(LayerContext& context, const RecurrentInput& input, int index, const std::string& name);
// Hands on what the state is after the last step, from its values in all steps (T, N, H).
void finish_state(LayerContext& context, const RecurrentInput& input, int index, const std::string& name, Value all);

}  // namespace trainer
