// The plain matrix product: a kernel for kMatmul.
#include "device/cuda/kernels/matmul.h"

#include "device/cuda/fixed_kernel.h"
#include "runtime/matmul_sizes.h"

namespace trainer::cuda {

MatmulArguments matmul_arguments(const OpInstance& instance, const Addresses& at) {
  const auto& attributes = instance.op->as<MatmulAttributes>();
  const MatmulSizes sizes = matmul_sizes(instance);
  MatmulArguments a;
  a.batch = sizes.batch;
  a.m = sizes.m;
  a.n = sizes.n;
  a.k = sizes.k;
  a.transpose_a = attributes.transpose_a;
  a.transpose_b = attributes.transpose_b;
  a.epilogue = {attributes.epilogue.relu, attributes.epilogue.slope};
  a.a = at.inputs[0];
  a.b = at.inputs[1];
  a.bias = at.inputs.size() > 2 ? static_cast<const float*>(at.inputs[2]) : nullptr;
  a.y = at.outputs[0];
  a.a_type = type_of(instance.inputs[0]);
  a.b_type = type_of(instance.inputs[1]);
  a.y_type = type_of(instance.outputs[0]);
  return a;
}

namespace {

std::string refuse(Context&, const OpInstance& instance) { return refuse_integers(instance, instance.inputs.size()); }

std::unique_ptr<Kernel> create(Context& context, const OpInstance& instance) {
  return std::make_unique<FixedKernel<MatmulArguments>>(
      context, instance, launch_matmul,
      [](const OpInstance& of, const Addresses& at, float*) { return std::vector{matmul_arguments(of, at)}; });
}

}  // namespace

const Implementation plain_matmul{"plain", refuse, create};

}  // namespace trainer::cuda
