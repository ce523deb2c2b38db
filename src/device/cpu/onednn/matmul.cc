// Matrix product by oneDNN.
#include <string_view>

#include <fmt/format.h>

#include "device/cpu/bound_kernel.h"
#include "device/cpu/matmul_sizes.h"
#include "device/cpu/onednn/engine.h"
#include "device/cpu/onednn/onednn.h"

namespace trainer::cpu {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;
using Type = memory::data_type;

// A row-major batch of matrices of `rows` by `columns`, each stored as it is or transposed.
memory::desc matrices(const MatmulSizes& s, int64_t rows, int64_t columns, bool transposed) {
  if (s.batch == 1) return memory::desc({rows, columns}, Type::f32, transposed ? Tag::ba : Tag::ab);
  return memory::desc({s.batch, rows, columns}, Type::f32, transposed ? Tag::acb : Tag::abc);
}

dnnl::matmul::primitive_desc matmul_desc(const OpInstance& instance) {
  const auto& attributes = instance.op->as<MatmulAttributes>();
  const MatmulSizes s = matmul_sizes(instance);
  const memory::desc a = matrices(s, s.m, s.k, attributes.transpose_a), b = matrices(s, s.k, s.n, attributes.transpose_b),
                     y = matrices(s, s.m, s.n, false);
  const memory::desc bias({1, s.n}, Type::f32, Tag::ab);
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (attributes.epilogue.relu) attr.set_post_ops(onednn_relu(attributes.epilogue.slope));
  const dnnl::matmul::desc desc =
      instance.inputs.size() > 2 ? dnnl::matmul::desc(a, b, bias, y) : dnnl::matmul::desc(a, b, y);
  return dnnl::matmul::primitive_desc(desc, attr, onednn_engine());
}

class Matmul : public BoundKernel {
 public:
  explicit Matmul(const OpInstance& instance) : Matmul(instance, matmul_desc(instance)) {}

  int64_t workspace_bytes() const override { return scratchpad_bytes_; }

  void bind(std::span<void* const> inputs, std::span<void* const> outputs, void* memory) override {
    a_.set_data_handle(inputs[0]);
    b_.set_data_handle(inputs[1]);
    if (has_bias_) bias_.set_data_handle(inputs[2]);
    y_.set_data_handle(outputs[0]);
    if (scratchpad_bytes_ > 0) scratchpad_.set_data_handle(memory);
  }

  void run(const RunContext&) override { call_.run(); }

 private:
  Matmul(const OpInstance& instance, const dnnl::matmul::primitive_desc& desc)
      : BoundKernel(instance),
        has_bias_(instance.inputs.size() > 2),
        a_(onednn_memory(desc.src_desc())),
        b_(onednn_memory(desc.weights_desc())),
        y_(onednn_memory(desc.dst_desc())),
        scratchpad_(onednn_memory(desc.scratchpad_desc())),
        scratchpad_bytes_(aligned(static_cast<int64_t>(desc.scratchpad_desc().get_size()))),
        call_(dnnl::matmul(desc)) {
    if (has_bias_) {
      bias_ = onednn_memory(desc.bias_desc());
      call_.argument(DNNL_ARG_BIAS, bias_);
    }
    call_.argument(DNNL_ARG_SRC, a_);
    call_.argument(DNNL_ARG_WEIGHTS, b_);
    call_.argument(DNNL_ARG_DST, y_);
    call_.argument(DNNL_ARG_SCRATCHPAD, scratchpad_);
  }

  bool has_bias_;
  memory a_, b_, bias_, y_, scratchpad_;
  int64_t scratchpad_bytes_;
  OnednnCall call_;
};

}  // namespace

std::string refuse_matmul_onednn(const OpInstance& instance) {
  for (const TensorDesc& desc : instance.inputs) {
    if (desc.dtype != DType::kF32) return fmt::format("an operand is {}", name_of(desc.dtype));
    if (desc.shape.count() == 0) return "an operand is empty";
  }
  try {
    const dnnl::matmul::primitive_desc desc = matmul_desc(instance);
    if (std::string_view(desc.impl_info_str()).find("ref") != std::string_view::npos) {
      return "oneDNN has only plain loops for it";
    }
  } catch (const dnnl::error& error) {
    return fmt::format("oneDNN: {}", error.what());
  }
  return "";
}

std::unique_ptr<Kernel> create_matmul_onednn(const OpInstance& instance) {
  return std::make_unique<Matmul>(instance);
}

}  // namespace trainer::cpu
