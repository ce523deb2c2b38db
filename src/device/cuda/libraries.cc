// Loads NVIDIA's libraries and looks up their functions.
#include "device/cuda/libraries.h"

#include <dlfcn.h>

#include <climits>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace trainer::cuda {
namespace {

namespace fs = std::filesystem;

constexpr const char* kVariable = "TRAINER_CUDA_LIBRARIES";

// The search path; the empty folder means the system's search path.
const std::vector<fs::path>& folders() {
  static const std::vector<fs::path> found = [] {
    std::vector<fs::path> list;
    const char* text = std::getenv(kVariable);
    for (const std::string& word : split(text == nullptr ? "" : text, ':')) {
      if (word.empty()) continue;
      list.emplace_back(word);
      std::error_code ignored;
      for (const auto& entry : fs::directory_iterator(word, ignored)) {
        if (fs::is_directory(entry.path() / "lib", ignored)) list.push_back(entry.path() / "lib");
      }
    }
    list.emplace_back();
    list.emplace_back("/usr/local/cuda/lib64");
    return list;
  }();
  return found;
}

void* try_open(const fs::path& folder, const std::string& name) {
  if (!folder.empty() && !fs::exists(folder / name)) return nullptr;
  return dlopen((folder / name).c_str(), RTLD_NOW | RTLD_LOCAL);
}

// Libraries are never closed, because they keep threads and state. `first`: libraries to load before this one, which it
// would look for by name and not find in its own folder.
void* open_library(const std::string& name, const std::vector<std::string>& first = {}) {
  std::string reasons;
  for (const fs::path& folder : folders()) {
    if (!folder.empty() && !fs::exists(folder / name)) continue;
    for (const std::string& before : first) {
      for (const fs::path& other : folders()) {
        if (try_open(other, before) != nullptr) break;
      }
    }
    if (void* library = try_open(folder, name)) return library;
    const char* reason = dlerror();
    reasons += fmt::format("{}{}", reasons.empty() ? "" : "; ", reason == nullptr ? "?" : reason);
  }
  throw device_error(
      "{} cannot be opened: {}. Install NVIDIA's CUDA 13 libraries (pip install nvidia-cudnn-cu13 nvidia-cublas "
      "nvidia-cuda-nvrtc nvidia-nccl-cu13) and name their folder, .../site-packages/nvidia, in {}; or run on the CPU "
      "with --cpu",
      name, reasons, kVariable);
}

// Loads cuDNN's parts from the folder of cuDNN. cuDNN itself looks for them by name, may find those of another version,
// and ends the process if it finds none.
void open_cudnn_parts(void* cudnn) {
  char folder[PATH_MAX] = {};
  dlinfo(cudnn, RTLD_DI_ORIGIN, folder);
  for (const char* part : {"graph", "engines_precompiled", "heuristic", "engines_runtime_compiled"}) {
    if (dlopen(fmt::format("{}/libcudnn_{}.so.9", folder, part).c_str(), RTLD_NOW | RTLD_LOCAL) != nullptr) continue;
    const char* reason = dlerror();
    throw device_error(
        "a part of cuDNN cannot be opened: {}. Reinstall cuDNN (pip install --force-reinstall nvidia-cudnn-cu13), or "
        "run on the CPU with --cpu",
        reason == nullptr ? "?" : reason);
  }
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("libcudnn_") && name.ends_with(".so.9")) dlopen(entry.path().c_str(), RTLD_NOW | RTLD_LOCAL);
  }
}

struct Finder {
  void* library;
  const char* name;

  template <typename Function>
  void operator()(Function* function, const char* symbol) const {
    *function = reinterpret_cast<Function>(dlsym(library, symbol));
    if (*function == nullptr) throw device_error("{} is too old: it has no {}", name, symbol);
  }
};

}  // namespace

const Nvrtc& nvrtc() {
  static const Nvrtc table = [] {
    Nvrtc t;
    // NVRTC looks for its builtins by name.
    std::vector<std::string> builtins;
    for (int minor = 0; minor < 10; ++minor) builtins.push_back(fmt::format("libnvrtc-builtins.so.13.{}", minor));
    const Finder find{open_library("libnvrtc.so.13", builtins), "libnvrtc.so.13"};
    find(&t.version, "nvrtcVersion");
    find(&t.count_architectures, "nvrtcGetNumSupportedArchs");
    find(&t.architectures, "nvrtcGetSupportedArchs");
    find(&t.create_program, "nvrtcCreateProgram");
    find(&t.compile_program, "nvrtcCompileProgram");
    find(&t.destroy_program, "nvrtcDestroyProgram");
    find(&t.log_size, "nvrtcGetProgramLogSize");
    find(&t.log, "nvrtcGetProgramLog");
    find(&t.cubin_size, "nvrtcGetCUBINSize");
    find(&t.cubin, "nvrtcGetCUBIN");
    find(&t.ptx_size, "nvrtcGetPTXSize");
    find(&t.ptx, "nvrtcGetPTX");
    find(&t.error_text, "nvrtcGetErrorString");
    return t;
  }();
  return table;
}

const CublasLt& cublaslt() {
  static const CublasLt table = [] {
    CublasLt t;
    const Finder find{open_library("libcublasLt.so.13"), "libcublasLt.so.13"};
    find(&t.create, "cublasLtCreate");
    find(&t.destroy, "cublasLtDestroy");
    find(&t.create_matmul, "cublasLtMatmulDescCreate");
    find(&t.destroy_matmul, "cublasLtMatmulDescDestroy");
    find(&t.set_matmul, "cublasLtMatmulDescSetAttribute");
    find(&t.create_layout, "cublasLtMatrixLayoutCreate");
    find(&t.destroy_layout, "cublasLtMatrixLayoutDestroy");
    find(&t.set_layout, "cublasLtMatrixLayoutSetAttribute");
    find(&t.create_preference, "cublasLtMatmulPreferenceCreate");
    find(&t.destroy_preference, "cublasLtMatmulPreferenceDestroy");
    find(&t.set_preference, "cublasLtMatmulPreferenceSetAttribute");
    find(&t.heuristic, "cublasLtMatmulAlgoGetHeuristic");
    find(&t.check_algorithm, "cublasLtMatmulAlgoCheck");
    find(&t.matmul, "cublasLtMatmul");
    find(&t.version, "cublasLtGetVersion");
    find(&t.error_text, "cublasLtGetStatusString");
    return t;
  }();
  return table;
}

const Cudnn& cudnn() {
  static const Cudnn table = [] {
    Cudnn t;
    // cuDNN ends the process if it does not find these itself.
    nvrtc();
    cublaslt();
    void* library = open_library("libcudnn.so.9");
    open_cudnn_parts(library);
    const Finder find{library, "libcudnn.so.9"};
    find(&t.version, "cudnnGetVersion");
    find(&t.cuda_version, "cudnnGetCudartVersion");
    find(&t.create, "cudnnCreate");
    find(&t.destroy, "cudnnDestroy");
    find(&t.set_stream, "cudnnSetStream");
    find(&t.create_descriptor, "cudnnBackendCreateDescriptor");
    find(&t.destroy_descriptor, "cudnnBackendDestroyDescriptor");
    find(&t.set_attribute, "cudnnBackendSetAttribute");
    find(&t.get_attribute, "cudnnBackendGetAttribute");
    find(&t.finalize, "cudnnBackendFinalize");
    find(&t.execute, "cudnnBackendExecute");
    find(&t.error_text, "cudnnGetErrorString");
    find(&t.last_error_text, "cudnnGetLastErrorString");
    return t;
  }();
  return table;
}

const Nccl& nccl() {
  static const Nccl table = [] {
    Nccl t;
    const Finder find{open_library("libnccl.so.2"), "libnccl.so.2"};
    find(&t.get_unique_id, "ncclGetUniqueId");
    find(&t.init_all, "ncclCommInitAll");
    find(&t.init_rank, "ncclCommInitRankConfig");
    find(&t.get_async_error, "ncclCommGetAsyncError");
    find(&t.destroy, "ncclCommDestroy");
    find(&t.abort, "ncclCommAbort");
    find(&t.group_start, "ncclGroupStart");
    find(&t.group_end, "ncclGroupEnd");
    find(&t.all_reduce, "ncclAllReduce");
    find(&t.error_text, "ncclGetErrorString");
    find(&t.last_error_text, "ncclGetLastError");
    return t;
  }();
  return table;
}

}  // namespace trainer::cuda
