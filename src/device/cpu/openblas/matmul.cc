// Matrix product by OpenBLAS.
#include <climits>

#include <fmt/format.h>

#include "device/cpu/cpu_kernel.h"
#include "device/cpu/epilogue.h"
#include "device/cpu/openblas/gemm.h"
#include "device/cpu/openblas/openblas.h"
#include "runtime/matmul_sizes.h"

namespace trainer::cpu {
namespace {

class Matmul : public CpuKernel {
 public:
  explicit Matmul(const OpInstance& instance)
      : CpuKernel(instance), attributes_(instance.op->as<MatmulAttributes>()), sizes_(matmul_sizes(instance)) {}

  void run(const RunContext&) override {
    const auto [batch, m, n, k] = sizes_;
    for (int64_t i = 0; i < batch; ++i) {
      gemm(attributes_.transpose_a, attributes_.transpose_b, m, n, k, input(0) + i * m * k,
           attributes_.transpose_a ? m : k, input(1) + i * k * n, attributes_.transpose_b ? k : n, false,
           output(0) + i * m * n, n);
    }
    apply_epilogue_to_rows(threads(), batch * m, n, optional_input(2), attributes_.epilogue, output(0));
  }

 private:
  MatmulAttributes attributes_;
  MatmulSizes sizes_;
};

}  // namespace

std::string refuse_matmul_openblas(const OpInstance& instance) {
  const std::string reason = refuse_bf16(instance);
  if (!reason.empty()) return reason;
  for (const TensorDesc& desc : instance.inputs) {
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
