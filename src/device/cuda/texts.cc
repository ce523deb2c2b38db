// Loads texts, compiled.
#include "device/cuda/texts.h"

#include "device/cuda/check.h"
#include "device/cuda/cubins.h"

namespace trainer::cuda {

std::vector<std::string> Texts::list() const {
  std::vector<std::string> texts;
  for (const auto& [text, library] : loaded_) texts.push_back(text);
  return texts;
}

Texts::~Texts() {
  for (auto& [text, library] : loaded_) {
    if (library != nullptr) ignore_result(cudaLibraryUnload(library));
  }
}

cudaKernel_t Texts::kernel(const std::string& text, const char* name) {
  cudaLibrary_t& library = loaded_.at(text);
  if (library == nullptr) {
    const std::string code = cached_code(text, architecture_);
    check(cudaLibraryLoadData(&library, code.data(), nullptr, nullptr, 0, nullptr, nullptr, 0),
          "loading a kernel's code");
  }
  cudaKernel_t kernel = nullptr;
  check(cudaLibraryGetKernel(&kernel, library, name), "finding the kernel \"{}\"", name);
  return kernel;
}

}  // namespace trainer::cuda
