// Caffe's learning-rate policies (`lr_policy`).
#pragma once

#include <string>

#include "trainer.pb.h"

namespace trainer {

// What is wrong with the policy's fields, or ""; `field` receives the faulty field's name.
std::string check_learning_rate(const caffe::SolverParameter& solver, std::string* field);

// The rate of iteration `iteration`, computed in float as Caffe does:
//   fixed      base_lr
//   step       base_lr * gamma ^ (iteration div stepsize)
//   exp        base_lr * gamma ^ iteration
//   inv        base_lr * (1 + gamma * iteration) ^ -power
//   multistep  base_lr * gamma ^ current_step
//   poly       base_lr * (1 - iteration / max_iter) ^ power
//   sigmoid    base_lr / (1 + e ^ (-gamma * (iteration - stepsize)))
// multistep moves *current_step on by at most one an iteration.
float learning_rate(const caffe::SolverParameter& solver, int iteration, int* current_step);

}  // namespace trainer
