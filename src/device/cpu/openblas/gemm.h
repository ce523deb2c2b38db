// C = A B for row-major matrices by OpenBLAS's sgemm.
#pragma once

#include <cblas.h>

#include <cstdint>

namespace trainer::cpu {

// op(A) is [m,k], op(B) is [k,n], C is [m,n]. The steps are the distances of stored rows in elements. accumulate: C +=
// A B.
inline void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float* a, int64_t a_step,
                 const float* b, int64_t b_step, bool accumulate, float* c, int64_t c_step) {
  cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans,
              static_cast<blasint>(m), static_cast<blasint>(n), static_cast<blasint>(k), 1.0f, a,
              static_cast<blasint>(a_step), b, static_cast<blasint>(b_step), accumulate ? 1.0f : 0.0f, c,
              static_cast<blasint>(c_step));
}

}  // namespace trainer::cpu
