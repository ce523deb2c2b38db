// NVRTC.
#include "device/cuda/cubins.h"

#include "base/error.h"
#include "device/cuda/disk_cache.h"
#include "device/cuda/libraries.h"

namespace trainer::cuda {
namespace {

void check_nvrtc(nvrtcResult result, const char* doing) {
  if (result != NVRTC_SUCCESS) throw device_error("NVRTC, {}: {}", doing, nvrtc().error_text(result));
}

}  // namespace

std::string compile_text(const std::string& text, const std::string& architecture) {
  const Nvrtc& api = nvrtc();
  nvrtcProgram program = nullptr;
  check_nvrtc(api.create_program(&program, text.c_str(), "map.cu", 0, nullptr, nullptr), "making a program");
  const std::string target = "--gpu-architecture=" + architecture;
  const char* options[] = {target.c_str(), "--std=c++17", "--minimal"};
  const nvrtcResult compiled = api.compile_program(program, 3, options);
  std::string cubin;
  std::string log;
  size_t size = 0;
  if (compiled == NVRTC_SUCCESS && api.cubin_size(program, &size) == NVRTC_SUCCESS) {
    cubin.resize(size);
    api.cubin(program, cubin.data());
  } else if (api.log_size(program, &size) == NVRTC_SUCCESS && size > 1) {
    log.resize(size);
    api.log(program, log.data());
  }
  api.destroy_program(&program);
  if (cubin.empty())
    throw device_error("NVRTC cannot compile a kernel for {}: {}\n{}\n{}", architecture,
                       api.error_text(compiled), log.c_str(), text);
  return cubin;
}

std::string cached_cubin(const std::string& text, const std::string& architecture) {
  int major = 0, minor = 0;
  check_nvrtc(nvrtc().version(&major, &minor), "asking its version");
  const std::string key = fmt::format("NVRTC {}.{} {}\n{}", major, minor, architecture, text);
  if (std::optional<std::string> found = find_cached(key)) return *std::move(found);
  std::string cubin = compile_text(text, architecture);
  keep_cached(key, cubin);
  return cubin;
}

}  // namespace trainer::cuda
