// The choice of the best weights (`best`) and the end of a training that has stopped improving (`early_stop`).
#pragma once

#include <string>

#include "trainer.pb.h"

namespace trainer {

// Whether `value` of best's metric is better than that of all tests so far. NaN never is.
bool is_new_best(const caffe::BestParameter& best, double value, const caffe::BestState& state);

// Counts a test for early_stop. Returns whether the tests in succession without an improvement have reached patience.
bool note_test(const caffe::SolverParameter& solver, double value, caffe::BestState* state);

// "early stop: no improvement for 3 tests".
std::string early_stop_text(const caffe::SolverParameter& solver);

}  // namespace trainer
