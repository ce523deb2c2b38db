// cuBLASLt on the CPU: products as documented, and errors for undocumented uses. Its algorithms differ in their
// reduction scheme.
#include <cublasLt.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "emulated_runtime.h"
#include "numbers.h"

using emulator::Element;

namespace {

struct Layout {
  cudaDataType type;
  int64_t rows, columns, ld, stride = 0;
  int32_t batch = 1;

  Element element() const {
    return type == CUDA_R_32F ? Element::kF32 : type == CUDA_R_16BF ? Element::kBF16 : Element::kF16;
  }
  size_t bytes() const {
    return static_cast<size_t>((batch - 1) * stride + (columns - 1) * ld + rows) * emulator::size_of(element());
  }
  bool is_sound() const {
    return (type == CUDA_R_32F || type == CUDA_R_16BF || type == CUDA_R_16F) && rows > 0 && columns > 0 && ld >= rows &&
           batch > 0;
  }
};

struct Product {
  cublasOperation_t a = CUBLAS_OP_N, b = CUBLAS_OP_N;
  uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const float* bias = nullptr;
  int32_t bias_type = -1;
  bool rounds = false;  // f32 to TF32

  bool has_bias() const { return epilogue == CUBLASLT_EPILOGUE_BIAS; }
};

struct Preference {
  uint64_t workspace = 0;
  uint32_t alignment[4] = {256, 256, 256, 256};  // of A, B, C, D
  uint32_t schemes = CUBLASLT_REDUCTION_SCHEME_MASK;
};

// The content of the opaque words of an algorithm.
struct Algorithm {
  uint64_t mark, workspace;
  uint32_t alignment[4];
  uint32_t scheme;

  const char* launch() const {
    switch (scheme) {
      case CUBLASLT_REDUCTION_SCHEME_INPLACE: return "cublasLtMatmul in_place";
      case CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE: return "cublasLtMatmul in_workspace";
      default: return "cublasLtMatmul whole";
    }
  }
};
constexpr uint32_t kSchemes[] = {CUBLASLT_REDUCTION_SCHEME_NONE, CUBLASLT_REDUCTION_SCHEME_INPLACE,
                                 CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE};
// Only measurements of speed use more multiply-adds: the result is NaN.
constexpr int64_t kMaxWork = int64_t{1} << 32;
constexpr uint64_t kMark = 0x656d756c61746564, kWorkspace = 4096;

bool knows_nothing() {
  const char* behavior = std::getenv("EMULATED_CUBLASLT");
  return behavior != nullptr && std::string_view(behavior) == "absent-algorithms";
}

Layout* of(cublasLtMatrixLayout_t layout) { return reinterpret_cast<Layout*>(layout); }
Product* of(cublasLtMatmulDesc_t product) { return reinterpret_cast<Product*>(product); }
Preference* of(cublasLtMatmulPreference_t preference) { return reinterpret_cast<Preference*>(preference); }

// cuBLAS's table of types: operands of one type, f32 sums, results of the operands' type or f32, and a bias of the
// result's type.
cublasStatus_t status_of(const Product& p, const Layout& a, const Layout& b, const Layout& c, const Layout& d) {
  for (const Layout* layout : {&a, &b, &c, &d}) {
    if (!layout->is_sound() || layout->batch != d.batch) return CUBLAS_STATUS_INVALID_VALUE;
  }
  const bool turned_a = p.a != CUBLAS_OP_N, turned_b = p.b != CUBLAS_OP_N;
  const int64_t m = turned_a ? a.columns : a.rows, k = turned_a ? a.rows : a.columns;
  const int64_t k_of_b = turned_b ? b.columns : b.rows, n = turned_b ? b.rows : b.columns;
  if (k != k_of_b || d.rows != m || d.columns != n || c.rows != m || c.columns != n) return CUBLAS_STATUS_INVALID_VALUE;
  if (p.epilogue != CUBLASLT_EPILOGUE_DEFAULT && !p.has_bias()) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (a.type != b.type || c.type != d.type || (d.type != a.type && d.type != CUDA_R_32F))
    return CUBLAS_STATUS_NOT_SUPPORTED;
  if (p.has_bias() && p.bias_type != -1 && p.bias_type != d.type) return CUBLAS_STATUS_NOT_SUPPORTED;
  return CUBLAS_STATUS_SUCCESS;
}

// Prints the reason for an error, because the status has none.
cublasStatus_t refuse(const char* reason) {
  std::fprintf(stderr, "emulated cuBLASLt: %s\n", reason);
  return CUBLAS_STATUS_INVALID_VALUE;
}

// The matrix in column-major order, transposed if required.
std::vector<float> matrix_of(const void* memory, const Layout& layout, int64_t batch, bool turned) {
  std::vector<float> matrix(static_cast<size_t>(layout.rows * layout.columns));
  for (int64_t column = 0; column < layout.columns; ++column) {
    for (int64_t row = 0; row < layout.rows; ++row)
      matrix[static_cast<size_t>(turned ? row * layout.columns + column : column * layout.rows + row)] =
          emulator::load(memory, layout.element(), batch * layout.stride + column * layout.ld + row);
  }
  return matrix;
}

void multiply(const Product& p, float alpha, const void* a, const Layout& a_layout, const void* b,
              const Layout& b_layout, float beta, const void* c, const Layout& c_layout, void* d,
              const Layout& d_layout) {
  const int64_t m = d_layout.rows, n = d_layout.columns, k = p.a == CUBLAS_OP_N ? a_layout.columns : a_layout.rows;
  std::vector<float> sums(static_cast<size_t>(m));
  for (int64_t batch = 0; batch < d_layout.batch; ++batch) {
    std::vector<float> left = matrix_of(a, a_layout, batch, p.a != CUBLAS_OP_N);
    std::vector<float> right = matrix_of(b, b_layout, batch, p.b != CUBLAS_OP_N);
    for (std::vector<float>* factors : {&left, &right}) {
      for (float& factor : *factors) factor = p.rounds ? emulator::to_tf32(factor) : factor;
    }
    for (int64_t j = 0; j < n; ++j) {
      std::fill(sums.begin(), sums.end(), 0.0f);
      for (int64_t l = 0; l < k; ++l) {
        const float factor = right[static_cast<size_t>(j * k + l)];
        const float* column = &left[static_cast<size_t>(l * m)];
        for (int64_t i = 0; i < m; ++i) sums[static_cast<size_t>(i)] += column[i] * factor;
      }
      for (int64_t i = 0; i < m; ++i) {
        float x = alpha * sums[static_cast<size_t>(i)];
        if (beta != 0) x += beta * emulator::load(c, c_layout.element(), batch * c_layout.stride + j * c_layout.ld + i);
        if (p.has_bias()) x += emulator::load(p.bias, d_layout.element(), i);
        emulator::store(d, d_layout.element(), batch * d_layout.stride + j * d_layout.ld + i, x);
      }
    }
  }
}

}  // namespace

extern "C" {

const char* cublasLtGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS: return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
    default: return "CUBLAS_STATUS_EXECUTION_FAILED";
  }
}

size_t cublasLtGetVersion() { return 130100; }
cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = reinterpret_cast<cublasLtHandle_t>(new int(0));
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete reinterpret_cast<int*>(handle);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* product, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  const bool floats = compute == CUBLAS_COMPUTE_32F || compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  if (!floats || scale != CUDA_R_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
  auto* made = new Product;
  made->rounds = compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  *product = reinterpret_cast<cublasLtMatmulDesc_t>(made);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t product) {
  delete of(product);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t product, cublasLtMatmulDescAttributes_t name,
                                              const void* value, size_t bytes) {
  Product& p = *of(product);
  const auto set = [value, bytes](auto* member) {
    if (bytes != sizeof *member) return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(member, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
  };
  switch (name) {
    case CUBLASLT_MATMUL_DESC_TRANSA: return set(&p.a);
    case CUBLASLT_MATMUL_DESC_TRANSB: return set(&p.b);
    case CUBLASLT_MATMUL_DESC_EPILOGUE: return set(&p.epilogue);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER: return set(&p.bias);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE: return set(&p.bias_type);
    default: return CUBLAS_STATUS_NOT_SUPPORTED;
  }
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type, uint64_t rows,
                                          uint64_t columns, int64_t ld) {
  *layout = reinterpret_cast<cublasLtMatrixLayout_t>(
      new Layout{type, static_cast<int64_t>(rows), static_cast<int64_t>(columns), ld});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete of(layout);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t name,
                                                const void* value, size_t bytes) {
  if (name == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT && bytes == sizeof(int32_t)) {
    std::memcpy(&of(layout)->batch, value, bytes);
  } else if (name == CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET && bytes == sizeof(int64_t)) {
    std::memcpy(&of(layout)->stride, value, bytes);
  } else {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = reinterpret_cast<cublasLtMatmulPreference_t>(new Preference);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete of(preference);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t name, const void* value,
                                                    size_t bytes) {
  if (name == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES && bytes == sizeof(uint64_t)) {
    std::memcpy(&of(preference)->workspace, value, bytes);
  } else if (name == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK && bytes == sizeof(uint32_t)) {
    std::memcpy(&of(preference)->schemes, value, bytes);
  } else if (name >= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES && name <= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES &&
             bytes == sizeof(uint32_t)) {
    std::memcpy(&of(preference)->alignment[name - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES], value, bytes);
  } else {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t product, cublasLtMatrixLayout_t a,
                                              cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
                                              cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t preference,
                                              int requested, cublasLtMatmulHeuristicResult_t results[], int* count) {
  *count = 0;
  const cublasStatus_t status = status_of(*of(product), *of(a), *of(b), *of(c), *of(d));
  if (status != CUBLAS_STATUS_SUCCESS || requested < 1) return status;
  if (knows_nothing()) return CUBLAS_STATUS_NOT_SUPPORTED;
  const Preference& wishes = *of(preference);
  for (const uint32_t scheme : kSchemes) {
    if (*count == requested || (scheme & ~wishes.schemes) != 0) continue;
    Algorithm algorithm{kMark, std::min(kWorkspace, wishes.workspace), {}, scheme};
    std::copy_n(wishes.alignment, 4, algorithm.alignment);
    cublasLtMatmulHeuristicResult_t& result = results[(*count)++] = {};
    std::memcpy(&result.algo, &algorithm, sizeof algorithm);
    result.workspaceSize = algorithm.workspace;
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t, cublasLtMatmulDesc_t product, cublasLtMatrixLayout_t a,
                                       cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                       const cublasLtMatmulAlgo_t* algo, cublasLtMatmulHeuristicResult_t* result) {
  Algorithm algorithm{};
  std::memcpy(&algorithm, algo, sizeof algorithm);
  if (algorithm.mark != kMark) return CUBLAS_STATUS_INVALID_VALUE;
  if (knows_nothing()) return CUBLAS_STATUS_NOT_SUPPORTED;
  *result = {};
  result->workspaceSize = algorithm.workspace;
  return status_of(*of(product), *of(a), *of(b), *of(c), *of(d));
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t product, const void* alpha, const void* a,
                              cublasLtMatrixLayout_t a_layout, const void* b, cublasLtMatrixLayout_t b_layout,
                              const void* beta, const void* c, cublasLtMatrixLayout_t c_layout, void* d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* algo, void* workspace,
                              size_t workspace_bytes, cudaStream_t stream) {
  const Product p = *of(product);
  const Layout la = *of(a_layout), lb = *of(b_layout), lc = *of(c_layout), ld = *of(d_layout);
  if (const cublasStatus_t status = status_of(p, la, lb, lc, ld); status != CUBLAS_STATUS_SUCCESS) return status;
  const float factor = *static_cast<const float*>(alpha), old = *static_cast<const float*>(beta);
  Algorithm algorithm{kMark, 0, {1, 1, 1, 1}, CUBLASLT_REDUCTION_SCHEME_NONE};
  if (algo != nullptr) std::memcpy(&algorithm, algo, sizeof algorithm);
  if (algorithm.mark != kMark || workspace_bytes < algorithm.workspace)
    return refuse("not the algorithm of a heuristic, or too small a workspace");
  const void* const operands[] = {a, b, c, d};
  const Layout* const layouts[] = {&la, &lb, &lc, &ld};
  for (int i = 0; i < 4; ++i) {
    if (i == 2 && old == 0) continue;
    if (reinterpret_cast<uintptr_t>(operands[i]) % algorithm.alignment[i] != 0)
      return refuse("an operand is not as aligned as the preferences promised (256 bytes where they say nothing)");
    if (!emulated_on_device(operands[i], layouts[i]->bytes()))
      return refuse("an operand does not lie in one allocation");
  }
  if (p.has_bias() && !emulated_on_device(p.bias, static_cast<size_t>(ld.rows) * emulator::size_of(ld.element())))
    return refuse("the bias does not lie in one allocation");
  if (algorithm.workspace > 0 &&
      (reinterpret_cast<uintptr_t>(workspace) % 256 != 0 || !emulated_on_device(workspace, workspace_bytes)))
    return refuse("the workspace is misaligned or not in one allocation");
  const cudaError_t queued = emulated_enqueue(stream, algorithm.launch(), [=] {
    std::memset(workspace, 0xFF, algorithm.workspace);
    if (ld.rows * ld.columns * (la.rows * la.columns / ld.rows) * ld.batch > kMaxWork) {
      std::memset(d, 0xFF, ld.bytes());
      return;
    }
    multiply(p, factor, a, la, b, lb, old, c, lc, d, ld);
  });
  return queued == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

}  // extern "C"
