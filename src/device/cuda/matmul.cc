// Matrix products through cuBLASLt, with a bias in their epilogue, and the relu in a pass behind: cuBLASLt's makes 0 of
// NaN.
//
// cuBLAS counts by columns: a row-major matrix is its transpose there, and y = a b is asked for as y^T = b^T a^T.
// Products of two types (floats that meet bf16 activations) round the floats first, and so is a bias, which cuBLASLt
// takes in the result's type only.
#include <array>
#include <cstring>
#include <limits>
#include <optional>

#include "base/error.h"
#include "device/cuda/autotune.h"
#include "device/cuda/disk_cache.h"
#include "device/cuda/implementations.h"
#include "device/cuda/libraries.h"
#include "device/cuda/map_step.h"

namespace trainer::cuda {
namespace {

constexpr int64_t kMostWorkspace = int64_t{32} << 20;  // that NVIDIA advises for its newest devices
constexpr uint32_t kOperandAlignment = 64;             // of every value and state; cuBLASLt takes 256 for granted
constexpr size_t kBias = 2;                            // its place among the inputs

void check_cublas(cublasStatus_t status, const char* doing) {
  if (status != CUBLAS_STATUS_SUCCESS) throw device_error("cuBLASLt, {}: {}", doing, cublaslt().error_text(status));
}

cudaDataType_t cublas_type(DType dtype) {
  return dtype == DType::kBF16 ? CUDA_R_16BF : dtype == DType::kF16 ? CUDA_R_16F : CUDA_R_32F;
}

// The operands as they are multiplied and added: both factors of the narrower type, a bias of the result's.
std::vector<TensorDesc> rounded_operands(const OpInstance& instance) {
  std::vector<TensorDesc> operands = instance.inputs;
  const DType narrower = operands[0].dtype == DType::kF32 ? operands[1].dtype : operands[0].dtype;
  for (size_t i = 0; i < operands.size(); ++i) operands[i].dtype = i == kBias ? instance.outputs[0].dtype : narrower;
  return operands;
}

// A product as cuBLASLt is told of it.
class Product {
 public:
  Product(const OpInstance& instance, Precision precision) : narrow_result_(instance.outputs[0].dtype != DType::kF32) {
    const MatmulAttributes& attributes = instance.op->as<MatmulAttributes>();
    const std::vector<TensorDesc> operands = rounded_operands(instance);
    const TensorDesc& y = instance.outputs[0];
    const bool rounds = operands[0].dtype == DType::kF32 && precision == Precision::kTF32;
    check_cublas(
        cublaslt().create_matmul(&product_, rounds ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F),
        "describing a product");
    const cublasOperation_t plain = CUBLAS_OP_N, turned = CUBLAS_OP_T;
    set(CUBLASLT_MATMUL_DESC_TRANSA, attributes.transpose_b ? turned : plain);
    set(CUBLASLT_MATMUL_DESC_TRANSB, attributes.transpose_a ? turned : plain);
    if (operands.size() > kBias) {
      set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
      set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, cublas_type(y.dtype));
      set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias_);
    }
    describe(&layouts_[0], operands[1]);
    describe(&layouts_[1], operands[0]);
    describe(&layouts_[2], y);
  }
  ~Product() {
    for (cublasLtMatrixLayout_t layout : layouts_) {
      if (layout != nullptr) cublaslt().destroy_layout(layout);
    }
    if (product_ != nullptr) cublaslt().destroy_matmul(product_);
  }
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  // Up to `most` algorithms, what cuBLASLt takes for the fastest first.
  std::vector<cublasLtMatmulHeuristicResult_t> algorithms(Context& context, size_t most) const {
    cublasLtMatmulPreference_t preference = nullptr;
    check_cublas(cublaslt().create_preference(&preference), "asking for a way to multiply");
    const size_t bytes = kMostWorkspace;
    cublaslt().set_preference(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &bytes, sizeof bytes);
    for (const auto alignment :
         {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
          CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
      cublaslt().set_preference(preference, alignment, &kOperandAlignment, sizeof kOperandAlignment);
    // Parts of a sum that lie apart are added in one sequence, and as floats; the other schemes add them in the
    // result's type.
    const uint32_t apart = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    if (context.options.deterministic || narrow_result_)
      cublaslt().set_preference(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &apart, sizeof apart);
    std::vector<cublasLtMatmulHeuristicResult_t> results(most);
    int found = 0;
    const cublasStatus_t status =
        cublaslt().heuristic(context.cublaslt_handle(), product_, layouts_[0], layouts_[1], layouts_[2], layouts_[2],
                             preference, static_cast<int>(most), results.data(), &found);
    cublaslt().destroy_preference(preference);
    results.resize(status == CUBLAS_STATUS_SUCCESS ? static_cast<size_t>(found) : 0);
    return results;
  }
  // Whether an algorithm that an earlier run kept is one for it; fills in the workspace.
  bool takes(Context& context, cublasLtMatmulHeuristicResult_t* result) const {
    const cublasLtMatmulAlgo_t kept = result->algo;
    const bool taken = cublaslt().check_algorithm(context.cublaslt_handle(), product_, layouts_[0], layouts_[1],
                                                  layouts_[2], layouts_[2], &kept, result) == CUBLAS_STATUS_SUCCESS;
    result->algo = kept;
    return taken && result->workspaceSize <= static_cast<size_t>(kMostWorkspace);
  }

  // `bias` may be nullptr where there is none.
  void run(Context& context, const cublasLtMatmulAlgo_t& algorithm, const void* a, const void* b, const void* bias,
           void* y, void* workspace, int64_t workspace_bytes) {
    if (bias != nullptr && bias != bias_) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias_ = bias);
    const float one = 1, zero = 0;
    check_cublas(cublaslt().matmul(context.cublaslt_handle(), product_, &one, b, layouts_[0], a, layouts_[1], &zero, y,
                                   layouts_[2], y, layouts_[2], &algorithm, workspace,
                                   static_cast<size_t>(workspace_bytes), context.stream()),
                 "starting a product");
  }

 private:
  template <typename T>
  void set(cublasLtMatmulDescAttributes_t name, const T& value) {
    check_cublas(cublaslt().set_matmul(product_, name, &value, sizeof value), "describing a product");
  }
  // A matrix as it is stored, row-major, or several one after another.
  static void describe(cublasLtMatrixLayout_t* layout, const TensorDesc& desc) {
    const int rank = desc.shape.rank();
    const int64_t rows = desc.shape[rank - 2], columns = desc.shape[rank - 1], apart = rows * columns;
    const int32_t batch = rank == 3 ? static_cast<int32_t>(desc.shape[0]) : 1;
    check_cublas(cublaslt().create_layout(layout, cublas_type(desc.dtype), static_cast<uint64_t>(columns),
                                          static_cast<uint64_t>(rows), columns),
                 "describing a matrix");
    if (batch == 1) return;
    check_cublas(cublaslt().set_layout(*layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch, sizeof batch),
                 "describing matrices");
    check_cublas(cublaslt().set_layout(*layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &apart, sizeof apart),
                 "describing matrices");
  }

  const bool narrow_result_;
  cublasLtMatmulDesc_t product_ = nullptr;
  std::array<cublasLtMatrixLayout_t, 3> layouts_ = {};
  const void* bias_ =
      reinterpret_cast<const void*>(uintptr_t{kOperandAlignment});  // a choice may look at how it is aligned
};

// How a product is computed; no algorithm where cuBLASLt knows none.
struct Choice {
  std::optional<cublasLtMatmulAlgo_t> algorithm;
  int64_t workspace = 0;
};

// All that the choice depends on, beside the device.
std::string signature_of(const OpInstance& instance) {
  const MatmulAttributes& attributes = instance.op->as<MatmulAttributes>();
  std::string text = fmt::format("product {} {}", attributes.transpose_a, attributes.transpose_b);
  for (const TensorDesc& desc : rounded_operands(instance))
    text += fmt::format(" {} {}", name_of(desc.dtype), desc.shape.text());
  return text + fmt::format(" to {}", name_of(instance.outputs[0].dtype));
}

Trials::Verdict fastest_of(Context& context, Trials* trials, const OpInstance& instance, Product* product,
                           const std::vector<cublasLtMatmulHeuristicResult_t>& algorithms) {
  std::vector<int64_t> bytes = {kMostWorkspace, instance.outputs[0].bytes()};
  for (const TensorDesc& operand : rounded_operands(instance)) bytes.push_back(operand.bytes());
  return trials->fastest(algorithms.size(), bytes, [&](std::span<void* const> blocks) {
    const auto operands = blocks.subspan(2);
    void *const workspace = blocks[0], *const y = blocks[1], *const a = operands[0], *const b = operands[1];
    void* const bias = operands.size() > kBias ? operands[kBias] : nullptr;
    std::vector<Trials::Way> ways;
    for (const auto& way : algorithms)
      ways.push_back(
          {[=, &context, &way] { product->run(context, way.algo, a, b, bias, y, workspace, kMostWorkspace); }, {}});
    return ways;
  });
}

Choice choose(Context& context, const OpInstance& instance, const std::string& signature) {
  Product product(instance, context.options.precision);
  const std::string key = fmt::format("cuBLASLt {} for {}\n{}", cublaslt().version(), context.conditions(), signature);
  cublasLtMatmulHeuristicResult_t chosen{};
  if (const std::optional<std::string> kept = find_cached(key); kept && kept->size() == sizeof chosen.algo) {
    std::memcpy(&chosen.algo, kept->data(), sizeof chosen.algo);
    if (product.takes(context, &chosen)) return {chosen.algo, static_cast<int64_t>(chosen.workspaceSize)};
  }
  Trials trials(context);
  const auto algorithms = product.algorithms(context, trials.most_ways());
  if (algorithms.empty()) return {};
  const Trials::Verdict verdict = fastest_of(context, &trials, instance, &product, algorithms);
  chosen = algorithms[verdict.way.value_or(0)];
  if (verdict.is_final) keep_cached(key, std::string(reinterpret_cast<const char*>(&chosen.algo), sizeof chosen.algo));
  return {chosen.algo, static_cast<int64_t>(chosen.workspaceSize)};
}

// Equal products are computed alike.
const Choice& choice_of(Context& context, const OpInstance& instance) {
  std::string signature = signature_of(instance);
  const auto known = context.products.find(signature);
  if (known != context.products.end()) return *std::static_pointer_cast<Choice>(known->second);
  // Without a device cuBLASLt tells nothing: it is taken to know a way, and to want all the workspace.
  auto made = std::make_shared<Choice>(context.planned() ? Choice{cublasLtMatmulAlgo_t{}, kMostWorkspace}
                                                         : choose(context, instance, signature));
  context.products.emplace(std::move(signature), made);
  return *made;
}

class CublasMatmul : public BoundKernel {
 public:
  CublasMatmul(Context& context, const OpInstance& instance)
      : BoundKernel(context, instance), choice_(choice_of(context, instance)) {
    const std::vector<TensorDesc> rounded = rounded_operands(instance);
    for (size_t i = 0; i < rounded.size(); ++i) {
      const TensorDesc& operand = instance.inputs[i];
      if (operand.dtype == rounded[i].dtype) continue;
      copies_[i].emplace(context, MapBody::copy(operand.shape), std::vector{operand}, rounded[i]);
      rounded_bytes_[i] = aligned(rounded[i].bytes());
      cost_ += copies_[i]->cost(rounded[i]);
    }
    const Epilogue& epilogue = instance.op->as<MatmulAttributes>().epilogue;
    const TensorDesc& y = instance.outputs[0];
    if (epilogue.relu) {
      relu_.emplace(context, body_of(epilogue, y.shape, false), std::vector{y}, y);
      cost_ += relu_->cost(y);
    }
    if (!context.planned()) product_.emplace(instance, context.options.precision);
  }

  int64_t workspace_bytes() const override {
    return rounded_bytes_[0] + rounded_bytes_[1] + rounded_bytes_[kBias] + choice_.workspace;
  }

  KernelCost cost() const override { return cost_; }

  void bind(std::span<void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    BoundKernel::bind(inputs, outputs, workspace);
    std::byte* next = static_cast<std::byte*>(workspace);
    for (size_t i = 0; i < inputs.size(); ++i) {
      operands_[i] = inputs[i];
      if (!copies_[i]) continue;
      copies_[i]->bind({&inputs[i], 1}, next);
      operands_[i] = next;
      next += rounded_bytes_[i];
    }
    scratch_ = next;
    if (relu_) relu_->bind({&outputs[0], 1}, outputs[0]);
  }

  void run(const RunContext& run) override {
    for (auto& copy : copies_) {
      if (copy) copy->run(run);
    }
    product_->run(context(), *choice_.algorithm, operands_[0], operands_[1], operands_[kBias], output(0), scratch_,
                  choice_.workspace);
    if (relu_) relu_->run(run);
  }

 private:
  const Choice& choice_;
  KernelCost cost_;                               // of the product's one call, and of the maps
  std::array<std::optional<MapStep>, 3> copies_;  // that round an operand
  std::optional<MapStep> relu_;
  std::array<int64_t, 3> rounded_bytes_ = {};
  std::array<void*, 3> operands_ = {};
  void* scratch_ = nullptr;
  std::optional<Product> product_;
};

}  // namespace

std::string refuse_matmul(Context& context, const OpInstance& instance) {
  for (const TensorDesc& operand : instance.inputs) {
    if (operand.shape.count() == 0) return "an operand is empty";
    if (operand.shape.rank() == 3 && operand.shape[0] > std::numeric_limits<int32_t>::max())
      return "cuBLASLt counts products in 32 bits";
  }
  if (instance.outputs[0].shape.count() == 0) return "the product is empty";
  const DType a = instance.inputs[0].dtype, b = instance.inputs[1].dtype;
  if (a != b && a != DType::kF32 && b != DType::kF32) return "the operands have different 16-bit types";
  return choice_of(context, instance).algorithm ? "" : "it knows no way to compute this";
}

std::unique_ptr<Kernel> create_matmul(Context& context, const OpInstance& instance) {
  return std::make_unique<CublasMatmul>(context, instance);
}

}  // namespace trainer::cuda
