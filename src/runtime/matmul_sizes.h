// The extents of a kMatmul: `batch` products [m,k] x [k,n]; `batch` is 1 for operands of rank 2.
#pragma once

#include "runtime/device.h"

namespace trainer {

struct MatmulSizes {
  int64_t batch, m, n, k;
};

inline MatmulSizes matmul_sizes(const OpInstance& instance) {
  const Shape &a = instance.inputs[0].shape, &y = instance.outputs[0].shape;
  const int rank = y.rank();
  const bool transposed = instance.op->as<MatmulAttributes>().transpose_a;
  return {rank == 3 ? y[0] : 1, y[rank - 2], y[rank - 1], a[transposed ? rank - 2 : rank - 1]};
}

}  // namespace trainer
