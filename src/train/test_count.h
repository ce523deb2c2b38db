// The number of test nets of a solver.
#pragma once

#include "trainer.pb.h"

namespace trainer {

inline int named_tests(const caffe::SolverParameter& solver) {
  return solver.test_net_size() + solver.test_net_param_size();
}

// With test_iter, a test for each entry; with test_epochs, the nets that are only tested or, without them, `net`.
inline int test_count(const caffe::SolverParameter& solver) {
  if (!solver.has_test_epochs()) return solver.test_iter_size();
  const bool generic = solver.has_net() || solver.has_net_param();
  return named_tests(solver) > 0 ? named_tests(solver) : generic ? 1 : 0;
}

}  // namespace trainer
