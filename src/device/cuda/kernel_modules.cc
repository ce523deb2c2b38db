// Loads the compiled sources.
#include "device/cuda/kernel_modules.h"

#include "device/cuda/check.h"
#include "device/cuda/cubins.h"

namespace trainer::cuda {

std::vector<std::string> KernelModules::sources() const {
  std::vector<std::string> sources;
  for (const auto& [source, library] : libraries_) sources.push_back(source);
  return sources;
}

KernelModules::~KernelModules() {
  for (auto& [source, library] : libraries_) {
    if (library != nullptr) ignore_result(cudaLibraryUnload(library));
  }
}

cudaKernel_t KernelModules::kernel(const std::string& source, const char* name) {
  cudaLibrary_t& library = libraries_.at(source);
  if (library == nullptr) {
    const std::string code = compile_cached(source, architecture_);
    check(cudaLibraryLoadData(&library, code.data(), nullptr, nullptr, 0, nullptr, nullptr, 0), "loading a kernel");
  }
  cudaKernel_t kernel = nullptr;
  check(cudaLibraryGetKernel(&kernel, library, name), "finding the kernel \"{}\"", name);
  return kernel;
}

}  // namespace trainer::cuda
