// Matrix products by cuBLASLt. Its epilogue adds the bias. A map applies the relu, because cuBLASLt's relu turns NaN
// into 0.
//
// cuBLAS is column-major: a row-major matrix is its transpose there, so y = a b is computed as y^T = b^T a^T. For a
// product of two types (f32 and bf16 activations), a map rounds the f32 operand first. It also rounds the bias, which
// cuBLASLt accepts in the type of the result only.
#include <array>
#include <cstring>
#include <limits>
#include <optional>

#include "base/error.h"
#include "device/cuda/autotune.h"
#include "device/cuda/cuda_kernel.h"
#include "device/cuda/disk_cache.h"
#include "device/cuda/implementations.h"
#include "device/cuda/libraries.h"
#include "device/cuda/map_step.h"

namespace trainer::cuda {
namespace {

constexpr int64_t kMaxWorkspace = int64_t{32} << 20;  // NVIDIA's recommendation for its newest GPUs
constexpr uint32_t kOperandAlignment = 64;            // of all values and states; cuBLASLt assumes 256 by default
constexpr size_t kBias = 2;                           // its index among the inputs

void check_cublas(cublasStatus_t status, const char* doing) {
  if (status != CUBLAS_STATUS_SUCCESS) throw device_error("cuBLASLt, {}: {}", doing, cublaslt().error_text(status));
}

cudaDataType_t cublas_type(DType dtype) {
  return dtype == DType::kBF16 ? CUDA_R_16BF : dtype == DType::kF16 ? CUDA_R_16F : CUDA_R_32F;
}

// The operands in the types that cuBLASLt computes with: both factors in the narrower type, the bias in the result's.
std::vector<TensorDesc> rounded_operands(const OpInstance& instance) {
  std::vector<TensorDesc> operands = instance.inputs;
  const DType narrower = operands[0].dtype == DType::kF32 ? operands[1].dtype : operands[0].dtype;
  for (size_t i = 0; i < operands.size(); ++i) operands[i].dtype = i == kBias ? instance.outputs[0].dtype : narrower;
  return operands;
}

// The cuBLASLt descriptors of a product.
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
    const cublasOperation_t plain = CUBLAS_OP_N, transposed = CUBLAS_OP_T;
    set(CUBLASLT_MATMUL_DESC_TRANSA, attributes.transpose_b ? transposed : plain);
    set(CUBLASLT_MATMUL_DESC_TRANSB, attributes.transpose_a ? transposed : plain);
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

  // Up to `max` algorithms, ordered by cuBLASLt's estimate of their speed.
  std::vector<cublasLtMatmulHeuristicResult_t> algorithms(Context& context, size_t max) const {
    cublasLtMatmulPreference_t preference = nullptr;
    check_cublas(cublaslt().create_preference(&preference), "describing a preference");
    const size_t bytes = kMaxWorkspace;
    cublaslt().set_preference(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &bytes, sizeof bytes);
    for (const auto alignment :
         {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
          CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
      cublaslt().set_preference(preference, alignment, &kOperandAlignment, sizeof kOperandAlignment);
    // This split-K scheme adds partial sums in a fixed order and in f32. The other schemes add them in the type of the
    // result.
    const uint32_t reduction = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    if (context.options.deterministic || narrow_result_)
      cublaslt().set_preference(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reduction, sizeof reduction);
    std::vector<cublasLtMatmulHeuristicResult_t> results(max);
    int found = 0;
    const cublasStatus_t status =
        cublaslt().heuristic(context.cublaslt_handle(), product_, layouts_[0], layouts_[1], layouts_[2], layouts_[2],
                             preference, static_cast<int>(max), results.data(), &found);
    cublaslt().destroy_preference(preference);
    results.resize(status == CUBLAS_STATUS_SUCCESS ? static_cast<size_t>(found) : 0);
    return results;
  }
  // Whether a cached algorithm supports the product; sets the size of its workspace.
  bool supports(Context& context, cublasLtMatmulHeuristicResult_t* result) const {
    const cublasLtMatmulAlgo_t algorithm = result->algo;
    const bool supported =
        cublaslt().check_algorithm(context.cublaslt_handle(), product_, layouts_[0], layouts_[1], layouts_[2],
                                   layouts_[2], &algorithm, result) == CUBLAS_STATUS_SUCCESS;
    result->algo = algorithm;
    return supported && result->workspaceSize <= static_cast<size_t>(kMaxWorkspace);
  }

  // `bias` is nullptr if there is none.
  void run(Context& context, const cublasLtMatmulAlgo_t& algorithm, const void* a, const void* b, const void* bias,
           void* y, void* workspace, int64_t workspace_bytes) {
    if (bias != nullptr && bias != bias_) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias_ = bias);
    const float one = 1, zero = 0;
    check_cublas(cublaslt().matmul(context.cublaslt_handle(), product_, &one, b, layouts_[0], a, layouts_[1], &zero, y,
                                   layouts_[2], y, layouts_[2], &algorithm, workspace,
                                   static_cast<size_t>(workspace_bytes), context.stream()),
                 "launching a product");
  }

 private:
  template <typename T>
  void set(cublasLtMatmulDescAttributes_t name, const T& value) {
    check_cublas(cublaslt().set_matmul(product_, name, &value, sizeof value), "describing a product");
  }
  // A row-major matrix, or a batch of them.
  static void describe(cublasLtMatrixLayout_t* layout, const TensorDesc& desc) {
    const int rank = desc.shape.rank();
    const int64_t rows = desc.shape[rank - 2], columns = desc.shape[rank - 1], stride = rows * columns;
    const int32_t batch = rank == 3 ? static_cast<int32_t>(desc.shape[0]) : 1;
    check_cublas(cublaslt().create_layout(layout, cublas_type(desc.dtype), static_cast<uint64_t>(columns),
                                          static_cast<uint64_t>(rows), columns),
                 "describing a matrix");
    if (batch == 1) return;
    check_cublas(cublaslt().set_layout(*layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch, sizeof batch),
                 "describing matrices");
    check_cublas(cublaslt().set_layout(*layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride),
                 "describing matrices");
  }

  const bool narrow_result_;
  cublasLtMatmulDesc_t product_ = nullptr;
  std::array<cublasLtMatrixLayout_t, 3> layouts_ = {};
  const void* bias_ =
      reinterpret_cast<const void*>(uintptr_t{kOperandAlignment});  // the heuristic may depend on the alignment
};

// The algorithm of a product; none if cuBLASLt has none.
struct Algorithm {
  std::optional<cublasLtMatmulAlgo_t> algorithm;
  int64_t workspace = 0;
};

// What the algorithm depends on, beside the device.
std::string signature_of(const OpInstance& instance) {
  const MatmulAttributes& attributes = instance.op->as<MatmulAttributes>();
  std::string text = fmt::format("product {} {}", attributes.transpose_a, attributes.transpose_b);
  for (const TensorDesc& desc : rounded_operands(instance))
    text += fmt::format(" {} {}", name_of(desc.dtype), desc.shape.text());
  return text + fmt::format(" to {}", name_of(instance.outputs[0].dtype));
}

Autotuner::Choice fastest_of(Context& context, Autotuner* autotuner, const OpInstance& instance, Product* product,
                             const std::vector<cublasLtMatmulHeuristicResult_t>& algorithms) {
  std::vector<int64_t> bytes = {kMaxWorkspace, instance.outputs[0].bytes()};
  for (const TensorDesc& operand : rounded_operands(instance)) bytes.push_back(operand.bytes());
  return autotuner->fastest(algorithms.size(), bytes, [&](std::span<void* const> buffers) {
    const auto operands = buffers.subspan(2);
    void *const workspace = buffers[0], *const y = buffers[1], *const a = operands[0], *const b = operands[1];
    void* const bias = operands.size() > kBias ? operands[kBias] : nullptr;
    std::vector<Autotuner::Candidate> candidates;
    for (const auto& each : algorithms)
      candidates.push_back(
          {[=, &context, &each] { product->run(context, each.algo, a, b, bias, y, workspace, kMaxWorkspace); }, {}});
    return candidates;
  });
}

Algorithm choose(Context& context, const OpInstance& instance, const std::string& signature) {
  Product product(instance, context.options.precision);
  const std::string key =
      fmt::format("cuBLASLt {} for {}\n{}", cublaslt().version(), context.autotune_key(), signature);
  cublasLtMatmulHeuristicResult_t chosen{};
  if (const std::optional<std::string> cached = find_cached(key); cached && cached->size() == sizeof chosen.algo) {
    std::memcpy(&chosen.algo, cached->data(), sizeof chosen.algo);
    if (product.supports(context, &chosen)) return {chosen.algo, static_cast<int64_t>(chosen.workspaceSize)};
  }
  Autotuner autotuner(context);
  const auto algorithms = product.algorithms(context, autotuner.max_candidates());
  if (algorithms.empty()) return {};
  const Autotuner::Choice choice = fastest_of(context, &autotuner, instance, &product, algorithms);
  chosen = algorithms[choice.candidate.value_or(0)];
  if (choice.is_final) store_cached(key, std::string(reinterpret_cast<const char*>(&chosen.algo), sizeof chosen.algo));
  return {chosen.algo, static_cast<int64_t>(chosen.workspaceSize)};
}

// Equal products share an algorithm.
const Algorithm& algorithm_of(Context& context, const OpInstance& instance) {
  std::string signature = signature_of(instance);
  const auto known = context.matmul_algorithms.find(signature);
  if (known != context.matmul_algorithms.end()) return *std::static_pointer_cast<Algorithm>(known->second);
  // Without a device, cuBLASLt lists no algorithms. The plan assumes one with the largest workspace.
  auto made = std::make_shared<Algorithm>(context.planned() ? Algorithm{cublasLtMatmulAlgo_t{}, kMaxWorkspace}
                                                            : choose(context, instance, signature));
  context.matmul_algorithms.emplace(std::move(signature), made);
  return *made;
}

class CublasltMatmul : public CudaKernel {
 public:
  CublasltMatmul(Context& context, const OpInstance& instance)
      : CudaKernel(context, instance), algorithm_(algorithm_of(context, instance)) {
    const std::vector<TensorDesc> rounded = rounded_operands(instance);
    for (size_t i = 0; i < rounded.size(); ++i) {
      const TensorDesc& operand = instance.inputs[i];
      if (operand.dtype == rounded[i].dtype) continue;
      roundings_[i].emplace(context, MapBody::copy(operand.shape), std::vector{operand}, rounded[i]);
      rounded_bytes_[i] = aligned(rounded[i].bytes());
      cost_ += roundings_[i]->cost(rounded[i]);
    }
    const Epilogue& epilogue = instance.op->as<MatmulAttributes>().epilogue;
    const TensorDesc& y = instance.outputs[0];
    if (epilogue.relu) {
      relu_.emplace(context, epilogue_map(epilogue, y.shape, false), std::vector{y}, y);
      cost_ += relu_->cost(y);
    }
    if (!context.planned()) product_.emplace(instance, context.options.precision);
  }

  int64_t workspace_bytes() const override {
    return rounded_bytes_[0] + rounded_bytes_[1] + rounded_bytes_[kBias] + algorithm_.workspace;
  }

  KernelCost cost() const override { return cost_; }

  void bind(std::span<void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    CudaKernel::bind(inputs, outputs, workspace);
    std::byte* next = static_cast<std::byte*>(workspace);
    for (size_t i = 0; i < inputs.size(); ++i) {
      operands_[i] = inputs[i];
      if (!roundings_[i]) continue;
      roundings_[i]->bind({&inputs[i], 1}, next);
      operands_[i] = next;
      next += rounded_bytes_[i];
    }
    scratch_ = next;
    if (relu_) relu_->bind({&outputs[0], 1}, outputs[0]);
  }

  void run(const RunContext& run) override {
    for (auto& rounding : roundings_) {
      if (rounding) rounding->run(run);
    }
    product_->run(context(), *algorithm_.algorithm, operands_[0], operands_[1], operands_[kBias], output(0), scratch_,
                  algorithm_.workspace);
    if (relu_) relu_->run(run);
  }

 private:
  const Algorithm& algorithm_;
  KernelCost cost_;                                  // of the call and of the maps
  std::array<std::optional<MapStep>, 3> roundings_;  // round operands
  std::optional<MapStep> relu_;
  std::array<int64_t, 3> rounded_bytes_ = {};
  std::array<void*, 3> operands_ = {};
  void* scratch_ = nullptr;
  std::optional<Product> product_;
};

std::string refuse(Context& context, const OpInstance& instance) {
  for (const TensorDesc& operand : instance.inputs) {
    if (operand.shape.count() == 0) return "an operand is empty";
    if (operand.shape.rank() == 3 && operand.shape[0] > std::numeric_limits<int32_t>::max())
      return "cuBLASLt's batch count has 32 bits";
  }
  if (instance.outputs[0].shape.count() == 0) return "the product is empty";
  const DType a = instance.inputs[0].dtype, b = instance.inputs[1].dtype;
  if (a != b && a != DType::kF32 && b != DType::kF32) return "the operands have different 16-bit types";
  return algorithm_of(context, instance).algorithm ? "" : "it has no algorithm for this product";
}

std::unique_ptr<Kernel> create(Context& context, const OpInstance& instance) {
  return std::make_unique<CublasltMatmul>(context, instance);
}

}  // namespace

const Implementation cublaslt_matmul{"cublaslt", refuse, create};

}  // namespace trainer::cuda
