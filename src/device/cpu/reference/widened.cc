// Copies in, runs the kernel and copies out.
#include "device/cpu/reference/widened.h"

#include "device/cpu/cpu_kernel.h"
#include "device/cpu/parallel.h"
#include "tensor/bf16.h"

namespace trainer::cpu {
namespace {

// The bf16 tensors among the operands or results, and the offsets of their f32 copies in the workspace.
class WidenedSide {
 public:
  // Changes `descs` to f32 and adds the size of the copies to `*bytes`.
  WidenedSide(std::vector<TensorDesc>* descs, int64_t* bytes) {
    for (size_t i = 0; i < descs->size(); ++i) {
      TensorDesc& desc = (*descs)[i];
      if (desc.dtype != DType::kBF16) continue;
      desc.dtype = DType::kF32;
      tensors_.push_back({i, desc.shape.count(), *bytes});
      *bytes += aligned(desc.bytes());
    }
  }
  // The addresses, with those of the f32 copies in place of the bf16 tensors.
  std::vector<void*> replaced(std::span<void* const> addresses, std::byte* workspace) {
    std::vector<void*> out(addresses.begin(), addresses.end());
    for (Tensor& tensor : tensors_) {
      tensor.narrow = static_cast<Bf16*>(out[tensor.index]);
      tensor.wide = reinterpret_cast<float*>(workspace + tensor.at);
      out[tensor.index] = tensor.wide;
    }
    return out;
  }
  void widen(int threads) const {
    for (const Tensor& t : tensors_) {
      parallel_ranges(threads, t.count, 1, [&t](int, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) t.wide[i] = to_float(t.narrow[i]);
      });
    }
  }
  void round(int threads) const {
    for (const Tensor& t : tensors_) {
      parallel_ranges(threads, t.count, 1, [&t](int, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) t.narrow[i] = to_bf16(t.wide[i]);
      });
    }
  }

 private:
  struct Tensor {
    size_t index;
    int64_t count, at;  // floats, bytes into the workspace
    Bf16* narrow = nullptr;
    float* wide = nullptr;
  };
  std::vector<Tensor> tensors_;
};

class Widened : public Kernel {
 public:
  Widened(OpInstance instance, CreateKernel create)
      : threads_(omp_get_max_threads()),
        inputs_(&instance.inputs, &bytes_),
        outputs_(&instance.outputs, &bytes_),
        kernel_(create(instance)) {}

  int64_t workspace_bytes() const override { return bytes_ + kernel_->workspace_bytes(); }

  void bind(std::span<void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    auto* memory = static_cast<std::byte*>(workspace);
    kernel_->bind(inputs_.replaced(inputs, memory), outputs_.replaced(outputs, memory), memory + bytes_);
  }

  void run(const RunContext& context) override {
    inputs_.widen(threads_);
    kernel_->run(context);
    outputs_.round(threads_);
  }

 private:
  int threads_;
  int64_t bytes_ = 0;
  WidenedSide inputs_, outputs_;
  std::unique_ptr<Kernel> kernel_;
};

}  // namespace

std::unique_ptr<Kernel> create_widened(const OpInstance& instance, CreateKernel create) {
  if (refuse_bf16(instance).empty()) return create(instance);
  return std::make_unique<Widened>(instance, create);
}

}  // namespace trainer::cpu
