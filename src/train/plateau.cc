// Watches the metric of lr_policy "plateau".
#include "train/plateau.h"

#include <cmath>

namespace trainer {

bool is_plateau(const caffe::SolverParameter& solver) { return solver.lr_policy() == "plateau"; }

bool watches_test(const caffe::SolverParameter& solver) {
  return is_plateau(solver) && !solver.plateau().metric().empty();
}

bool note_check(const caffe::PlateauParameter& plateau, double value, caffe::PlateauState* state) {
  const double best = state->best(), delta = plateau.min_delta();
  const bool better = plateau.mode() == caffe::SolverParameter::MAX ? value > best + delta : value < best - delta;
  if (state->has_best() ? better : !std::isnan(value)) {
    state->set_best(value);
    state->set_bad_checks(0);
  } else {
    state->set_bad_checks(state->bad_checks() + 1);
  }
  if (state->cooldown() > 0) {
    state->set_cooldown(state->cooldown() - 1);
    state->set_bad_checks(0);
  }
  if (state->bad_checks() <= plateau.patience()) return false;
  state->set_reductions(state->reductions() + 1);
  state->set_cooldown(plateau.cooldown());
  state->set_bad_checks(0);
  return true;
}

bool note_training_loss(const caffe::SolverParameter& solver, float loss, caffe::PlateauState* state, double* mean) {
  state->set_loss_sum(state->loss_sum() + loss);
  state->set_losses(state->losses() + 1);
  if (state->losses() < static_cast<uint32_t>(solver.stepsize())) return false;
  *mean = state->loss_sum() / state->losses();
  state->set_loss_sum(0);
  state->set_losses(0);
  return true;
}

}  // namespace trainer
