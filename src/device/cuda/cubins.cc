// Calls NVRTC.
#include "device/cuda/cubins.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "device/cuda/disk_cache.h"
#include "device/cuda/libraries.h"

namespace trainer::cuda {
namespace {

void check_nvrtc(nvrtcResult result, const char* doing) {
  if (result != NVRTC_SUCCESS) throw device_error("NVRTC, {}: {}", doing, nvrtc().error_text(result));
}

// "sm_90" unchanged; "compute_121" if NVRTC is older than the architecture.
std::string target_of(const std::string& architecture) {
  int count = 0;
  check_nvrtc(nvrtc().count_architectures(&count), "reading the supported architectures");
  std::vector<int> known(static_cast<size_t>(count));
  check_nvrtc(nvrtc().architectures(known.data()), "reading the supported architectures");
  const int wanted = std::stoi(architecture.substr(std::string_view("sm_").size()));
  std::erase_if(known, [wanted](int each) { return each > wanted; });
  if (known.empty()) throw device_error("NVRTC supports no architecture up to {}", architecture);
  const int newest = *std::max_element(known.begin(), known.end());
  return newest == wanted ? architecture : fmt::format("compute_{}", newest);
}

}  // namespace

std::string compile_source(const std::string& source, const std::string& architecture) {
  const Nvrtc& api = nvrtc();
  const std::string target = target_of(architecture), option = "--gpu-architecture=" + target;
  nvrtcProgram program = nullptr;
  check_nvrtc(api.create_program(&program, source.c_str(), "map.cu", 0, nullptr, nullptr), "creating a program");
  const bool is_ptx = target != architecture;
  const char* options[] = {option.c_str(), "--std=c++17", "--minimal"};
  const nvrtcResult compiled = api.compile_program(program, 3, options);
  std::string code, log;
  size_t size = 0;
  if (compiled == NVRTC_SUCCESS && (is_ptx ? api.ptx_size : api.cubin_size)(program, &size) == NVRTC_SUCCESS) {
    code.resize(size);
    (is_ptx ? api.ptx : api.cubin)(program, code.data());
  } else if (api.log_size(program, &size) == NVRTC_SUCCESS && size > 1) {
    log.resize(size);
    api.log(program, log.data());
  }
  api.destroy_program(&program);
  if (code.empty())
    throw device_error("NVRTC cannot compile a kernel for {}: {}\n{}\n{}", target, api.error_text(compiled),
                       log.c_str(), source);
  return code;
}

std::string compile_cached(const std::string& source, const std::string& architecture) {
  int major = 0, minor = 0;
  check_nvrtc(nvrtc().version(&major, &minor), "reading the version");
  const std::string key = fmt::format("NVRTC {}.{} {}\n{}", major, minor, architecture, source);
  if (std::optional<std::string> found = find_cached(key)) return *std::move(found);
  std::string code = compile_source(source, architecture);
  store_cached(key, code);
  return code;
}

}  // namespace trainer::cuda
