// Texts of kernels as code on the device at hand.
#pragma once

#include <cuda_runtime_api.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace trainer::cuda {

// The texts of a process, each loaded once.
class Texts {
 public:
  explicit Texts(std::string architecture) : architecture_(std::move(architecture)) {}
  ~Texts();
  Texts(const Texts&) = delete;
  Texts& operator=(const Texts&) = delete;

  // Notes that a text is needed; nothing is compiled yet.
  void add(const std::string& text) { loaded_.emplace(text, nullptr); }
  // Those that were added, each once.
  std::vector<std::string> list() const;
  // A kernel of a text that was added.
  cudaKernel_t kernel(const std::string& text, const char* name);

 private:
  std::string architecture_;
  std::map<std::string, cudaLibrary_t> loaded_;  // null until a kernel is asked for
};

}  // namespace trainer::cuda
