// Matrix product by oneDNN.
#include <string_view>

#include <fmt/format.h>

#include "device/cpu/cpu_kernel.h"
#include "device/cpu/onednn/engine.h"
#include "device/cpu/onednn/onednn.h"
#include "runtime/matmul_sizes.h"

namespace trainer::cpu {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;
using Type = memory::data_type;

// A batch of row-major matrices of `rows` by `columns`, or of their transposes.
memory::desc matrices(const MatmulSizes& s, int64_t rows, int64_t columns, bool transposed, const TensorDesc& stored) {
  const Type type = stored.dtype == DType::kBF16 ? Type::bf16 : Type::f32;
  if (s.batch == 1) return memory::desc({rows, columns}, type, transposed ? Tag::ba : Tag::ab);
  return memory::desc({s.batch, rows, columns}, type, transposed ? Tag::acb : Tag::abc);
}

// The same matrices in bf16, with a layout that oneDNN chooses.
memory::desc any_bf16(const memory::desc& stored) { return memory::desc(stored.dims(), Type::bf16, Tag::any); }

struct Description {
  memory::desc a, b, bias, y;  // as they are stored
  dnnl::matmul::primitive_desc primitive;
};

// If one operand is bf16, an f32 operand is rounded to bf16 first.
Description describe(const OpInstance& instance) {
  const auto& attributes = instance.op->as<MatmulAttributes>();
  const MatmulSizes s = matmul_sizes(instance);
  Description d;
  d.a = matrices(s, s.m, s.k, attributes.transpose_a, instance.inputs[0]);
  d.b = matrices(s, s.k, s.n, attributes.transpose_b, instance.inputs[1]);
  d.y = matrices(s, s.m, s.n, false, instance.outputs[0]);
  d.bias = memory::desc({1, s.n}, Type::f32, Tag::ab);
  const bool rounds_a = d.b.data_type() == Type::bf16 && d.a.data_type() == Type::f32;
  const bool rounds_b = d.a.data_type() == Type::bf16 && d.b.data_type() == Type::f32;
  const memory::desc a = rounds_a ? any_bf16(d.a) : d.a, b = rounds_b ? any_bf16(d.b) : d.b;
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (attributes.epilogue.relu) attr.set_post_ops(onednn_relu(attributes.epilogue.slope));
  const dnnl::matmul::desc desc =
      instance.inputs.size() > 2 ? dnnl::matmul::desc(a, b, d.bias, d.y) : dnnl::matmul::desc(a, b, d.y);
  d.primitive = dnnl::matmul::primitive_desc(desc, attr, onednn_engine());
  return d;
}

class Matmul : public CpuKernel {
 public:
  explicit Matmul(const OpInstance& instance) : Matmul(instance, describe(instance)) {}

  int64_t workspace_bytes() const override { return scratchpad_bytes_ + rounded_bytes_; }

  void bind(std::span<void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    CpuKernel::bind(inputs, outputs, workspace);
    a_.set_data_handle(inputs[0]);
    b_.set_data_handle(inputs[1]);
    if (has_bias_) bias_.set_data_handle(inputs[2]);
    y_.set_data_handle(outputs[0]);
    if (scratchpad_bytes_ > 0) scratchpad_.set_data_handle(workspace);
    if (rounded_bytes_ > 0) rounded_.set_data_handle(this->workspace() + scratchpad_bytes_);
  }

  void run(const RunContext&) override {
    if (rounded_bytes_ > 0) round_.run();
    call_.run();
  }

 private:
  Matmul(const OpInstance& instance, const Description& d)
      : CpuKernel(instance),
        has_bias_(instance.inputs.size() > 2),
        a_(onednn_memory(d.a)),
        b_(onednn_memory(d.b)),
        y_(onednn_memory(d.y)),
        scratchpad_(onednn_memory(d.primitive.scratchpad_desc())),
        scratchpad_bytes_(aligned(static_cast<int64_t>(d.primitive.scratchpad_desc().get_size()))),
        call_(dnnl::matmul(d.primitive)) {
    if (has_bias_) {
      bias_ = onednn_memory(d.bias);
      call_.argument(DNNL_ARG_BIAS, bias_);
    }
    call_.argument(DNNL_ARG_SRC, operand(a_, d.primitive.src_desc()));
    call_.argument(DNNL_ARG_WEIGHTS, operand(b_, d.primitive.weights_desc()));
    call_.argument(DNNL_ARG_DST, y_);
    call_.argument(DNNL_ARG_SCRATCHPAD, scratchpad_);
  }

  // An operand for the primitive: itself, or rounded in the workspace. At most one of the two is rounded.
  const memory& operand(const memory& stored, const memory::desc& taken) {
    if (stored.get_desc() == taken) return stored;
    rounded_ = onednn_memory(taken);
    rounded_bytes_ = aligned(static_cast<int64_t>(taken.get_size()));
    round_ = onednn_reorder(stored, rounded_);
    return rounded_;
  }

  bool has_bias_;
  memory a_, b_, bias_, y_, scratchpad_, rounded_;
  int64_t scratchpad_bytes_, rounded_bytes_ = 0;
  OnednnCall call_, round_;
};

}  // namespace

std::string refuse_matmul_onednn(const OpInstance& instance) {
  for (const TensorDesc& desc : instance.inputs) {
    if (desc.shape.count() == 0) return "an operand is empty";
  }
  try {
    if (std::string_view(describe(instance).primitive.impl_info_str()).find("ref") != std::string_view::npos) {
      return "oneDNN has only plain loops for it";
    }
  } catch (const dnnl::error& error) {
    return fmt::format("oneDNN: {}", error.what());
  }
  return "";
}

std::unique_ptr<Kernel> create_matmul_onednn(const OpInstance& instance) { return std::make_unique<Matmul>(instance); }

}  // namespace trainer::cpu
