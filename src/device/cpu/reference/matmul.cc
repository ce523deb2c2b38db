// Matrix product by the definition.
#include "device/cpu/bound_kernel.h"
#include "device/cpu/reference/reference.h"

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
    const float *a = input(0), *b = input(1), *bias = optional_input(2);
    float* y = output(0);
    const int64_t a_row = attributes_.transpose_a ? 1 : k_, a_column = attributes_.transpose_a ? m_ : 1;
    const int64_t b_row = attributes_.transpose_b ? 1 : n_, b_column = attributes_.transpose_b ? k_ : 1;
    const Epilogue& epilogue = attributes_.epilogue;
#pragma omp parallel for collapse(2) num_threads(threads())
    for (int64_t i = 0; i < m_; ++i) {
      for (int64_t j = 0; j < n_; ++j) {
        double sum = bias == nullptr ? 0 : bias[j];
        for (int64_t l = 0; l < k_; ++l)
          sum += double{a[i * a_row + l * a_column]} * b[l * b_row + j * b_column];
        const float value = static_cast<float>(sum);
        y[i * n_ + j] = epilogue.relu && !(value > 0) ? epilogue.slope * value : value;
      }
    }
  }

 private:
  MatmulAttributes attributes_;
  int64_t m_, n_, k_;
};

}  // namespace

std::unique_ptr<Kernel> create_matmul_reference(const OpInstance& instance) {
  return std::make_unique<Matmul>(instance);
}

}  // namespace trainer::cpu
