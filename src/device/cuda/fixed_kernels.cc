// The ops that run as fixed kernels (kernels/), and the plain convolution and product behind the libraries'.
#include <algorithm>
#include <functional>
#include <utility>

#include "device/cuda/check.h"
#include "device/cuda/implementations.h"
#include "device/cuda/interpreted_map.h"
#include "device/cuda/kernel_arguments.h"
#include "device/cuda/kernels/launch.h"
#include "device/cuda/map_walk.h"

namespace trainer::cuda {
namespace {

// A kernel whose arguments are made when addresses become known.
template <typename Arguments>
class FixedKernel : public BoundKernel {
 public:
  using Launch = cudaError_t (*)(const Arguments& arguments, cudaStream_t stream);

  // `make` fills the arguments of all calls of `launch`, and says where scratch lies. `kernels`: that a call queues.
  // `more_bytes`: see KernelCost.
  template <typename Make>
  FixedKernel(Context& context, const OpInstance& instance, Launch launch, int64_t workspace, Make make,
              int64_t kernels = 1, int64_t more_bytes = 0)
      : BoundKernel(context, instance),
        op_(*instance.op),
        inputs_(instance.inputs),
        outputs_(instance.outputs),
        launch_(launch),
        workspace_(workspace),
        make_(std::move(make)),
        kernels_(kernels),
        more_bytes_(more_bytes) {}

  int64_t workspace_bytes() const override { return workspace_; }
  void bind(std::span<void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    const auto is_empty = [](const TensorDesc& desc) { return desc.shape.count() == 0; };
    if (std::all_of(outputs_.begin(), outputs_.end(), is_empty)) return;
    arguments_ = make_({&op_, inputs_, outputs_}, Addresses{inputs, outputs}, static_cast<float*>(workspace));
  }
  void run(const RunContext&) override {
    for (const Arguments& arguments : arguments_)
      check(launch_(arguments, context().stream()), "starting a {}", name_of(op_.kind));
  }
  KernelCost cost() const override { return {static_cast<int64_t>(arguments_.size()) * kernels_, more_bytes_}; }

 private:
  Op op_;
  std::vector<TensorDesc> inputs_, outputs_;
  Launch launch_;
  int64_t workspace_;
  std::function<std::vector<Arguments>(const OpInstance&, const Addresses&, float* scratch)> make_;
  int64_t kernels_, more_bytes_;
  std::vector<Arguments> arguments_;
};

bool is_float(DType dtype) { return dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16; }

std::string refuse_numbers(const OpInstance& instance, size_t inputs) {
  for (size_t i = 0; i < inputs; ++i) {
    if (!is_float(instance.inputs[i].dtype)) return fmt::format("an operand is {}", name_of(instance.inputs[i].dtype));
  }
  return "";
}

// The steps of a recurrence, each behind a product.
class RecurrenceKernel : public BoundKernel {
 public:
  RecurrenceKernel(Context& context, const OpInstance& instance)
      : BoundKernel(context, instance),
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
  // A product and a cell each step; the last step has no product backward. Beside the ops' values that is the products,
  // c's gradient, and what the next step reads again: weights and h or dp for its product, c for its cell.
  KernelCost cost() const override {
    const int64_t products = gradient_ ? std::max<int64_t>(steps_ - 1, 0) : steps_,
                  again = std::max<int64_t>(steps_ - 1, 0);
    int64_t floats = std::max<int64_t>(products - 1, 0) * hidden_ * sums_;
    floats += gradient_ ? products * 2 * state() + again * gate() : products * 2 * gate() + again * state();
    if (lstm_) floats += again * state() + (gradient_ ? (steps_ + products) * state() : 0);
    return {steps_ + products, floats * static_cast<int64_t>(sizeof(float))};
  }

 private:
  const float* in(size_t i) const { return static_cast<const float*>(input(i)); }
  float* out(size_t i) const { return static_cast<float*>(output(i)); }
  int64_t state() const { return items_ * hidden_; }
  int64_t gate() const { return items_ * sums_; }

  void multiply(int64_t n, int64_t k, const float* a, bool transpose_b, float* y) const {
    MatmulArguments product;
    product.m = items_;
    product.n = n;
    product.k = k;
    product.transpose_b = transpose_b;
    product.a = a;
    product.b = in(1);
    product.y = y;
    check(launch_matmul(product, context().stream()), "starting a step's product");
  }

  void run_forward() const {
    float* product = reinterpret_cast<float*>(workspace());
    for (int64_t t = 0; t < steps_; ++t) {
      multiply(sums_, hidden_, t == 0 ? in(3) : out(0) + (t - 1) * state(), true, product);
      RecurrenceStep step;
      step.items = items_;
      step.hidden = hidden_;
      step.p = in(0) + t * gate();
      step.product = product;
      step.cont = in(2) + t * items_;
      step.h = out(0) + t * state();
      if (lstm_) {
        step.c_before = t == 0 ? in(4) : out(1) + (t - 1) * state();
        step.c = out(1) + t * state();
        step.gates = out(2) + t * gate();
      }
      check((lstm_ ? launch_lstm_step : launch_tanh_step)(step, context().stream()), "starting a step");
    }
  }

  void run_gradient() const {
    float* product = reinterpret_cast<float*>(workspace());
    for (int64_t t = steps_ - 1; t >= 0; --t) {
      const bool last = t == steps_ - 1;
      if (!last) multiply(hidden_, sums_, out(0) + (t + 1) * gate(), false, product);
      RecurrenceGradientStep step;
      step.items = items_;
      step.hidden = hidden_;
      step.g = in(0) + t * state();
      step.product = last ? nullptr : product;
      step.cont_after = last ? nullptr : in(2) + (t + 1) * items_;
      step.dp = out(0) + t * gate();
      if (lstm_) {
        step.c_before = t == 0 ? in(3) : in(4) + (t - 1) * state();
        step.c = in(4) + t * state();
        step.gates = in(5) + t * gate();
        step.dc = product + state();
      } else {
        step.h = in(3) + t * state();
      }
      check((lstm_ ? launch_lstm_gradient_step : launch_tanh_gradient_step)(step, context().stream()),
            "starting a step");
    }
  }

  bool gradient_, lstm_;
  int64_t steps_, items_, hidden_, sums_;
};

}  // namespace

std::string refuse_copy(Context&, const OpInstance& instance) {
  for (const auto* descs : {&instance.inputs, &instance.outputs}) {
    for (const TensorDesc& desc : *descs) {
      if (desc.shape.rank() > kCopyDims) return fmt::format("more than {} axes", kCopyDims);
    }
  }
  return "";
}
std::unique_ptr<Kernel> create_copy(Context& context, const OpInstance& instance) {
  if (instance.op->kind == OpKind::kReshape)
    return std::make_unique<FixedKernel<ReshapeArguments>>(
        context, instance, launch_reshape, 0, [](const OpInstance& of, const Addresses& at, float*) {
          return std::vector<ReshapeArguments>{reshape_arguments(of, at)};
        });
  return std::make_unique<FixedKernel<CopyArguments>>(context, instance, launch_copy, 0,
                                                      [](const OpInstance& of, const Addresses& at, float*) {
                                                        std::vector<CopyArguments> copies;
                                                        for (size_t i = 0; i < of.inputs.size(); ++i) {
                                                          if (of.inputs[i].shape.count() > 0)
                                                            copies.push_back(copy_arguments(of, i, at));
                                                        }
                                                        return copies;
                                                      });
}

std::string refuse_small_map(Context&, const OpInstance& instance) { return refuse_interpreted_map(instance); }
std::unique_ptr<Kernel> create_small_map(Context& context, const OpInstance& instance) {
  return std::make_unique<FixedKernel<InterpretedMap>>(
      context, instance, launch_interpreted, 0,
      [pass = context.pass()](const OpInstance& of, const Addresses& at, float*) {
        return interpreted_map(of, at, pass);
      },
      1, bytes_read_again(instance, interpreted_walks(instance)));
}

std::string refuse_pool(Context&, const OpInstance& instance) { return refuse_numbers(instance, 1); }
std::unique_ptr<Kernel> create_pool(Context& context, const OpInstance& instance) {
  const OpKind kind = instance.op->kind;
  const auto launch = kind == OpKind::kMaxPool           ? launch_max_pool
                      : kind == OpKind::kMaxPoolGradient ? launch_max_pool_gradient
                      : kind == OpKind::kSumPool         ? launch_sum_pool
                                                         : launch_sum_pool_gradient;
  return std::make_unique<FixedKernel<PoolArguments>>(context, instance, launch, 0,
                                                      [](const OpInstance& of, const Addresses& at, float*) {
                                                        return std::vector<PoolArguments>{pool_arguments(of, at)};
                                                      });
}

std::string refuse_lrn(Context&, const OpInstance& instance) {
  return refuse_numbers(instance, instance.inputs.size());
}
std::unique_ptr<Kernel> create_lrn(Context& context, const OpInstance& instance) {
  const bool forward = instance.op->kind == OpKind::kLrn;
  const int64_t products = forward ? 0 : instance.inputs[0].shape.count() * static_cast<int64_t>(sizeof(float));
  const int64_t read_again = forward ? 0 : instance.inputs[0].bytes() + instance.inputs[1].bytes();
  return std::make_unique<FixedKernel<LrnArguments>>(
      context, instance, forward ? launch_lrn : launch_lrn_gradient, aligned(products),
      [](const OpInstance& of, const Addresses& at, float* scratch) {
        LrnArguments a = lrn_arguments(of, at);
        a.products = scratch;
        return std::vector<LrnArguments>{a};
      },
      forward ? 1 : 2, 2 * products + read_again);
}

std::string refuse_plain_matmul(Context&, const OpInstance& instance) {
  return refuse_numbers(instance, instance.inputs.size());
}
std::unique_ptr<Kernel> create_plain_matmul(Context& context, const OpInstance& instance) {
  return std::make_unique<FixedKernel<MatmulArguments>>(context, instance, launch_matmul, 0,
                                                        [](const OpInstance& of, const Addresses& at, float*) {
                                                          return std::vector<MatmulArguments>{matmul_arguments(of, at)};
                                                        });
}

std::string refuse_plain_convolution(Context&, const OpInstance& instance) {
  return refuse_numbers(instance, instance.inputs.size());
}
std::unique_ptr<Kernel> create_plain_convolution(Context& context, const OpInstance& instance) {
  const OpKind kind = instance.op->kind;
  const bool weights = kind == OpKind::kConvolutionWeightGradient;
  const auto launch = kind == OpKind::kConvolution ? launch_convolution
                      : weights                    ? launch_convolution_weight_gradient
                                                   : launch_convolution_input_gradient;
  int64_t partial = 0;
  if (weights) {
    void* const nowhere[] = {nullptr, nullptr};
    partial = partial_floats(convolution_arguments(instance, {nowhere, nowhere})) * static_cast<int64_t>(sizeof(float));
  }
  return std::make_unique<FixedKernel<ConvolutionArguments>>(
      context, instance, launch, aligned(partial),
      [](const OpInstance& of, const Addresses& at, float* scratch) {
        ConvolutionArguments a = convolution_arguments(of, at);
        a.partial = scratch;
        return std::vector<ConvolutionArguments>{a};
      },
      partial > 0 ? 2 : 1, 2 * partial);
}

std::string refuse_recurrence(Context&, const OpInstance&) { return ""; }
std::unique_ptr<Kernel> create_recurrence(Context& context, const OpInstance& instance) {
  return std::make_unique<RecurrenceKernel>(context, instance);
}

}  // namespace trainer::cuda
