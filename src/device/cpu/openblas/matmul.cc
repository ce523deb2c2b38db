// Matrix product by OpenBLAS.
#include <climits>

#include <fmt/format.h>

#include "device/cpu/bound_kernel.h"
#include "device/cpu/finish.h"
#include "device/cpu/openblas/gemm.h"
#include "device/cpu/openblas/openblas.h"

namespace trainer::cpu {
namespace {

class Matmul : public BoundKernel {
 public:
  explicit Matmul(const OpInstance& instance)
      : BoundKernel(instance),
        attributes_(instance.op->as<MatmulAttributes>()),
        m_(instance.outputs[0].shape[0]),
        n_(instance.outputs[0].shape[1]),
        k_(instance.inputs[0].shape[attributes_.transpose_a ? 0 : 1]) {}

  void run(const RunContext&) override {
    gemm(attributes_.transpose_a, attributes_.transpose_b, m_, n_, k_, input(0),
         attributes_.transpose_a ? m_ : k_, input(1), attributes_.transpose_b ? k_ : n_, false, output(0),
         n_);
    finish_rows(threads(), m_, n_, optional_input(2), attributes_.epilogue, output(0));
  }

 private:
  MatmulAttributes attributes_;
  int64_t m_, n_, k_;
};

}  // namespace

std::string refuse_matmul_openblas(const OpInstance& instance) {
  for (const TensorDesc& desc : instance.inputs) {
    if (desc.dtype != DType::kF32) return fmt::format("an operand is {}", name_of(desc.dtype));
    if (desc.shape.count() == 0) return "an operand is empty";
    for (int64_t dim : desc.shape.dims()) {
      if (dim > INT_MAX) return "an extent is past OpenBLAS's 32-bit sizes";
    }
  }
  return "";
}

std::unique_ptr<Kernel> create_matmul_openblas(const OpInstance& instance) {
  return std::make_unique<Matmul>(instance);
}

}  // namespace trainer::cpu
