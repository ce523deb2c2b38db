// Texts of kernels, compiled for the device at hand: by NVRTC, once, and kept on disk for later runs.
#pragma once

#include <cuda_runtime_api.h>

#include <map>
#include <string>
#include <vector>

namespace trainer::cuda {

// The cubin of a text for an architecture ("sm_90"). Throws a device_error with NVRTC's log.
std::vector<char> compile_text(const std::string& text, const std::string& architecture);

// The same from the cache folder where it holds this text, else compiled and put there. The folder is
// $XDG_CACHE_HOME/trainer/cuda or ~/.cache/trainer/cuda; one that cannot be written costs compiling again.
std::vector<char> cached_cubin(const std::string& text, const std::string& architecture);

// The texts of a process, each loaded once.
class Texts {
 public:
  explicit Texts(std::string architecture) : architecture_(std::move(architecture)) {}
  ~Texts();
  Texts(const Texts&) = delete;
  Texts& operator=(const Texts&) = delete;

  // Notes that a text is needed; nothing is compiled yet.
  void add(const std::string& text) { loaded_.emplace(text, nullptr); }
  // A kernel of a text that was added.
  cudaKernel_t kernel(const std::string& text, const char* name);

 private:
  std::string architecture_;
  std::map<std::string, cudaLibrary_t> loaded_;  // null until a kernel is asked for
};

}  // namespace trainer::cuda
