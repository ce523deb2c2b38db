// The generated kernels of a device, compiled and loaded.
#pragma once

#include <cuda_runtime_api.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace trainer::cuda {

// Each source is compiled and loaded once per process, when its first kernel is needed.
class KernelModules {
 public:
  explicit KernelModules(std::string architecture) : architecture_(std::move(architecture)) {}
  ~KernelModules();
  KernelModules(const KernelModules&) = delete;
  KernelModules& operator=(const KernelModules&) = delete;

  // Registers a source without compiling it.
  void add(const std::string& source) { libraries_.emplace(source, nullptr); }
  // The registered sources, each once.
  std::vector<std::string> sources() const;
  // A kernel of a registered source.
  cudaKernel_t kernel(const std::string& source, const char* name);

 private:
  std::string architecture_;
  std::map<std::string, cudaLibrary_t> libraries_;  // by source; null until loaded
};

}  // namespace trainer::cuda
