// The plain recurrence: kernels for kRecurrence and kRecurrenceGradient, one step at a time.
#include "device/cuda/kernels/recurrence.h"

#include <algorithm>

#include "device/cuda/fixed_kernel.h"
#include "device/cuda/kernels/matmul.h"

namespace trainer::cuda {
namespace {

// The steps of a recurrence, each after its matrix product.
class RecurrenceKernel : public CudaKernel {
 public:
  RecurrenceKernel(Context& context, const OpInstance& instance)
      : CudaKernel(context, instance),
        gradient_(instance.op->kind == OpKind::kRecurrenceGradient),
        lstm_(instance.op->as<RecurrenceAttributes>().cell == Cell::kLstm),
        steps_(instance.inputs[0].shape[0]),
        items_(instance.inputs[0].shape[1]),
        hidden_(instance.inputs[1].shape[1]),
        sums_(instance.inputs[1].shape[0]) {}

  int64_t workspace_bytes() const override {
    return aligned((gradient_ ? 2 * items_ * hidden_ : items_ * sums_) * static_cast<int64_t>(sizeof(float)));
  }
  void run(const RunContext&) override { gradient_ ? run_gradient() : run_forward(); }
  // Each step launches a product and a cell; backward, the step T-1 has no product. Beside the operands and results,
  // the steps write and read the products and the gradient of c, and read again: the weights, h or dp for the product,
  // and c.
  KernelCost cost() const override {
    const int64_t products = gradient_ ? std::max<int64_t>(steps_ - 1, 0) : steps_,
                  again = std::max<int64_t>(steps_ - 1, 0);
    int64_t floats = std::max<int64_t>(products - 1, 0) * hidden_ * sums_;
    floats += gradient_ ? products * 2 * state() + again * gate() : products * 2 * gate() + again * state();
    if (lstm_) floats += again * state() + (gradient_ ? (steps_ + products) * state() : 0);
    return {steps_ + products, floats * static_cast<int64_t>(sizeof(float))};
  }

 private:
  int64_t state() const { return items_ * hidden_; }
  int64_t gate() const { return items_ * sums_; }

  void multiply(int64_t n, int64_t k, const float* a, bool transpose_b, float* y) const {
    MatmulArguments product;
    product.m = items_;
    product.n = n;
    product.k = k;
    product.transpose_b = transpose_b;
    product.a = a;
    product.b = input(1);
    product.y = y;
    check(launch_matmul(product, context().stream()), "launching the product of a recurrence");
  }

  void run_forward() const {
    float* product = reinterpret_cast<float*>(workspace());
    for (int64_t t = 0; t < steps_; ++t) {
      multiply(sums_, hidden_, t == 0 ? input(3) : output(0) + (t - 1) * state(), true, product);
      RecurrenceStep step;
      step.items = items_;
      step.hidden = hidden_;
      step.p = input(0) + t * gate();
      step.product = product;
      step.cont = input(2) + t * items_;
      step.h = output(0) + t * state();
      if (lstm_) {
        step.c_before = t == 0 ? input(4) : output(1) + (t - 1) * state();
        step.c = output(1) + t * state();
        step.gates = output(2) + t * gate();
      }
      check((lstm_ ? launch_lstm_step : launch_tanh_step)(step, context().stream()),
            "launching a step of a recurrence");
    }
  }

  void run_gradient() const {
    float* product = reinterpret_cast<float*>(workspace());
    for (int64_t t = steps_ - 1; t >= 0; --t) {
      const bool last = t == steps_ - 1;
      if (!last) multiply(hidden_, sums_, output(0) + (t + 1) * gate(), false, product);
      RecurrenceGradientStep step;
      step.items = items_;
      step.hidden = hidden_;
      step.g = input(0) + t * state();
      step.product = last ? nullptr : product;
      step.cont_after = last ? nullptr : input(2) + (t + 1) * items_;
      step.dp = output(0) + t * gate();
      if (lstm_) {
        step.c_before = t == 0 ? input(3) : input(4) + (t - 1) * state();
        step.c = input(4) + t * state();
        step.gates = input(5) + t * gate();
        step.dc = product + state();
      } else {
        step.h = input(3) + t * state();
      }
      check((lstm_ ? launch_lstm_gradient_step : launch_tanh_gradient_step)(step, context().stream()),
            "launching a step of a recurrence");
    }
  }

  bool gradient_, lstm_;
  int64_t steps_, items_, hidden_, sums_;
};

std::string refuse(Context&, const OpInstance&) { return ""; }

std::unique_ptr<Kernel> create(Context& context, const OpInstance& instance) {
  return std::make_unique<RecurrenceKernel>(context, instance);
}

}  // namespace

const Implementation plain_recurrence{"plain", refuse, create};

}  // namespace trainer::cuda
