// Matrix products through cuBLASLt, with bias and relu in their epilogue.
//
// cuBLAS counts by columns: a row-major matrix is its transpose there, and y = a b is asked for as y^T = b^T a^T.
// Products of two types (floats that meet bf16 activations) round the floats first, and so is a bias, which cuBLASLt
// takes in the result's type only.
#include <array>

#include "base/error.h"
#include "device/cuda/implementations.h"
#include "device/cuda/libraries.h"

namespace trainer::cuda {
namespace {

constexpr int64_t kWorkspace = int64_t{32} << 20;  // that NVIDIA advises for its newest devices
constexpr uint32_t kOperandAlignment = 64;         // of every value and state; cuBLASLt takes 256 for granted

void check_cublas(cublasStatus_t status, const char* doing) {
  if (status != CUBLAS_STATUS_SUCCESS) throw device_error("cuBLASLt, {}: {}", doing, cublaslt().error_text(status));
}

cudaDataType_t cublas_type(DType dtype) {
  return dtype == DType::kBF16 ? CUDA_R_16BF : dtype == DType::kF16 ? CUDA_R_16F : CUDA_R_32F;
}

// The narrower type of both operands, in which they are multiplied.
DType product_type(const OpInstance& instance) {
  const DType a = instance.inputs[0].dtype, b = instance.inputs[1].dtype;
  return a == DType::kF32 ? b : a;
}

class CublasMatmul : public BoundKernel {
 public:
  CublasMatmul(Context& context, const OpInstance& instance) : BoundKernel(context, instance) {
    const MatmulAttributes& attributes = instance.op->as<MatmulAttributes>();
    type_ = product_type(instance);
    for (size_t i = 0; i < instance.inputs.size(); ++i) {
      const TensorDesc& operand = instance.inputs[i];
      TensorDesc rounded = operand;
      rounded.dtype = i == kBias ? instance.outputs[0].dtype : type_;
      if (operand.dtype == rounded.dtype) continue;
      copy_ops_[i].kind = OpKind::kMap;
      copy_ops_[i].attributes = MapBody::copy(operand.shape);
      copies_[i] = create_map(context, {&copy_ops_[i], {operand}, {rounded}});
      rounded_bytes_[i] = aligned(rounded.bytes());
    }
    if (context.planned()) return;
    describe(instance, attributes);
    choose();
  }
  ~CublasMatmul() override {
    if (product_ != nullptr) cublaslt().destroy_matmul(product_);
    for (cublasLtMatrixLayout_t layout : layouts_) {
      if (layout != nullptr) cublaslt().destroy_layout(layout);
    }
  }

  int64_t workspace_bytes() const override { return rounded_bytes_[0] + rounded_bytes_[1] + rounded_bytes_[kBias] + kWorkspace; }

  void bind(std::span<void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    BoundKernel::bind(inputs, outputs, workspace);
    std::byte* next = static_cast<std::byte*>(workspace);
    for (size_t i = 0; i < inputs.size(); ++i) {
      operands_[i] = inputs[i];
      if (copies_[i] == nullptr) continue;
      void* const from[] = {inputs[i]};
      void* const to[] = {next};
      copies_[i]->bind(from, to, nullptr);
      operands_[i] = next;
      next += rounded_bytes_[i];
    }
    scratch_ = next;
    if (product_ != nullptr && inputs.size() > kBias) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, operands_[kBias]);
  }

  void run(const RunContext& run) override {
    for (const auto& copy : copies_) {
      if (copy != nullptr) copy->run(run);
    }
    const float one = 1, zero = 0;
    check_cublas(cublaslt().matmul(context().cublaslt_handle(), product_, &one, operands_[1], layouts_[0], operands_[0], layouts_[1],
                                   &zero, output(0), layouts_[2], output(0), layouts_[2], &algorithm_, scratch_, kWorkspace,
                                   context().stream()),
                 "starting a product");
  }

 private:
  template <typename T>
  void set(cublasLtMatmulDescAttributes_t name, const T& value) {
    check_cublas(cublaslt().set_matmul(product_, name, &value, sizeof value), "describing a product");
  }
  // Of `rows` x `columns` as it is stored, row-major.
  cublasLtMatrixLayout_t layout_of(const TensorDesc& desc, DType dtype, int32_t batch) {
    const int rank = desc.shape.rank();
    const int64_t rows = desc.shape[rank - 2], columns = desc.shape[rank - 1], apart = rows * columns;
    cublasLtMatrixLayout_t layout = nullptr;
    check_cublas(cublaslt().create_layout(&layout, cublas_type(dtype), static_cast<uint64_t>(columns), static_cast<uint64_t>(rows), columns),
                 "describing a matrix");
    if (batch > 1) {
      check_cublas(cublaslt().set_layout(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch, sizeof batch), "describing matrices");
      check_cublas(cublaslt().set_layout(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &apart, sizeof apart), "describing matrices");
    }
    return layout;
  }

  void describe(const OpInstance& instance, const MatmulAttributes& attributes) {
    const TensorDesc& y = instance.outputs[0];
    const int32_t batch = y.shape.rank() == 3 ? static_cast<int32_t>(y.shape[0]) : 1;
    const bool rounds = type_ == DType::kF32 && context().options.precision == Precision::kTF32;
    check_cublas(cublaslt().create_matmul(
                     &product_, rounds ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F),
                 "describing a product");
    const cublasOperation_t plain = CUBLAS_OP_N, turned = CUBLAS_OP_T;
    set(CUBLASLT_MATMUL_DESC_TRANSA, attributes.transpose_b ? turned : plain);
    set(CUBLASLT_MATMUL_DESC_TRANSB, attributes.transpose_a ? turned : plain);
    const bool bias = instance.inputs.size() > kBias;
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, bias ? (attributes.epilogue.relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS)
                                            : (attributes.epilogue.relu ? CUBLASLT_EPILOGUE_RELU : CUBLASLT_EPILOGUE_DEFAULT));
    if (bias) set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, cublas_type(y.dtype));
    layouts_ = {layout_of(instance.inputs[1], type_, batch), layout_of(instance.inputs[0], type_, batch), layout_of(y, y.dtype, batch)};
  }

  void choose() {
    cublasLtMatmulPreference_t preference = nullptr;
    check_cublas(cublaslt().create_preference(&preference), "asking for a way to multiply");
    const size_t bytes = kWorkspace;
    cublaslt().set_preference(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &bytes, sizeof bytes);
    for (const auto alignment : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                                 CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
      cublaslt().set_preference(preference, alignment, &kOperandAlignment, sizeof kOperandAlignment);
    // Parts of a sum that lie apart are added in one sequence.
    const uint32_t repeatable = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    if (context().options.deterministic)
      cublaslt().set_preference(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &repeatable, sizeof repeatable);
    cublasLtMatmulHeuristicResult_t result{};
    int found = 0;
    const cublasStatus_t status = cublaslt().heuristic(context().cublaslt_handle(), product_, layouts_[0], layouts_[1], layouts_[2],
                                                       layouts_[2], preference, 1, &result, &found);
    cublaslt().destroy_preference(preference);
    check_cublas(status, "choosing a way to multiply");
    if (found == 0) throw device_error("cuBLASLt knows no way to compute a product");
    algorithm_ = result.algo;
  }

  DType type_ = DType::kF32;
  static constexpr size_t kBias = 2;
  std::array<Op, 3> copy_ops_;
  std::array<std::unique_ptr<Kernel>, 3> copies_;  // that round an operand
  std::array<int64_t, 3> rounded_bytes_ = {};
  std::array<void*, 3> operands_ = {};
  void* scratch_ = nullptr;
  cublasLtMatmulDesc_t product_ = nullptr;
  std::array<cublasLtMatrixLayout_t, 3> layouts_ = {};
  cublasLtMatmulAlgo_t algorithm_{};
};

}  // namespace

std::string refuse_matmul(Context&, const OpInstance& instance) {
  const MatmulAttributes& attributes = instance.op->as<MatmulAttributes>();
  for (const TensorDesc& operand : instance.inputs) {
    if (operand.shape.count() == 0) return "an operand is empty";
  }
  if (instance.outputs[0].shape.count() == 0) return "the product is empty";
  if (attributes.epilogue.relu && attributes.epilogue.slope != 0) return "the relu has a slope";
  const DType a = instance.inputs[0].dtype, b = instance.inputs[1].dtype;
  if (a != b && a != DType::kF32 && b != DType::kF32) return "the operands have different 16-bit types";
  return "";
}

std::unique_ptr<Kernel> create_matmul(Context& context, const OpInstance& instance) {
  return std::make_unique<CublasMatmul>(context, instance);
}

}  // namespace trainer::cuda
