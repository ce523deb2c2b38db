// Compares tests for `best` and `early_stop`.
#include "train/best.h"

#include <fmt/format.h>

#include <cmath>

namespace trainer {
namespace {

bool exceeds(const caffe::BestParameter& best, double value, double reference, double delta) {
  return best.mode() == caffe::SolverParameter::MAX ? value > reference + delta : value < reference - delta;
}

}  // namespace

bool is_new_best(const caffe::BestParameter& best, double value, const caffe::BestState& state) {
  return state.has_value() ? exceeds(best, value, state.value(), 0) : !std::isnan(value);
}

bool note_test(const caffe::SolverParameter& solver, double value, caffe::BestState* state) {
  const double delta = static_cast<double>(solver.early_stop().min_delta());
  if (state->has_reference() ? exceeds(solver.best(), value, state->reference(), delta) : !std::isnan(value)) {
    state->set_reference(value);
    state->set_bad_tests(0);
  } else {
    state->set_bad_tests(state->bad_tests() + 1);
  }
  return solver.has_early_stop() && state->bad_tests() >= solver.early_stop().patience();
}

std::string early_stop_text(const caffe::SolverParameter& solver) {
  const uint32_t patience = solver.early_stop().patience();
  return fmt::format("early stop: no improvement for {} test{}", patience, patience == 1 ? "" : "s");
}

}  // namespace trainer
