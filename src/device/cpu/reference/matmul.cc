// Matrix product by the definition.
#include "device/cpu/cpu_kernel.h"
#include "device/cpu/epilogue.h"
#include "device/cpu/reference/reference.h"
#include "runtime/matmul_sizes.h"

namespace trainer::cpu {
namespace {

class Matmul : public CpuKernel {
 public:
  explicit Matmul(const OpInstance& instance)
      : CpuKernel(instance), attributes_(instance.op->as<MatmulAttributes>()), sizes_(matmul_sizes(instance)) {}

  void run(const RunContext&) override {
    const auto [batch, m, n, k] = sizes_;
    for (int64_t i = 0; i < batch; ++i)
      multiply(input(0) + i * m * k, input(1) + i * k * n, optional_input(2), output(0) + i * m * n);
  }

 private:
  void multiply(const float* a, const float* b, const float* bias, float* y) const {
    const int64_t m = sizes_.m, n = sizes_.n, k = sizes_.k;
    const int64_t a_row = attributes_.transpose_a ? 1 : k, a_column = attributes_.transpose_a ? m : 1;
    const int64_t b_row = attributes_.transpose_b ? 1 : n, b_column = attributes_.transpose_b ? k : 1;
#pragma omp parallel for collapse(2) num_threads(threads())
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double sum = bias == nullptr ? 0 : bias[j];
        for (int64_t l = 0; l < k; ++l) sum += double{a[i * a_row + l * a_column]} * b[l * b_row + j * b_column];
        y[i * n + j] = with_relu(attributes_.epilogue, static_cast<float>(sum));
      }
    }
  }

  MatmulAttributes attributes_;
  MatmulSizes sizes_;
};

}  // namespace

std::unique_ptr<Kernel> create_matmul_reference(const OpInstance& instance) {
  return std::make_unique<Matmul>(instance);
}

}  // namespace trainer::cpu
