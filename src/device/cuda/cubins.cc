// NVRTC and the cache of what it made.
#include "device/cuda/cubins.h"

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "base/error.h"
#include "base/philox.h"
#include "device/cuda/libraries.h"

namespace trainer::cuda {
namespace {

namespace fs = std::filesystem;

void check_nvrtc(nvrtcResult result, const char* doing) {
  if (result != NVRTC_SUCCESS) throw device_error("NVRTC, {}: {}", doing, nvrtc().error_text(result));
}

fs::path cache_folder() {
  if (const char* folder = std::getenv("XDG_CACHE_HOME"); folder != nullptr && *folder == '/')
    return fs::path(folder) / "trainer" / "cuda";
  const char* home = std::getenv("HOME");
  return home == nullptr || *home != '/' ? fs::path() : fs::path(home) / ".cache" / "trainer" / "cuda";
}

// A cache file is what a cubin was made from, its length and its own; the name is a hash of it, which need
// not be unique.
std::string source_of(const std::string& text, const std::string& architecture) {
  int major = 0, minor = 0;
  check_nvrtc(nvrtc().version(&major, &minor), "asking its version");
  return fmt::format("NVRTC {}.{} {}\n{}", major, minor, architecture, text);
}

std::vector<char> read_cache(const fs::path& file, const std::string& source) {
  std::ifstream in(file, std::ios::binary);
  uint64_t sizes[2] = {};
  if (!in.read(reinterpret_cast<char*>(sizes), sizeof sizes) || sizes[0] != source.size() ||
      sizes[1] > (uint64_t{1} << 30))
    return {};
  std::string found(source.size(), '\0');
  std::vector<char> cubin(sizes[1]);
  in.read(found.data(), static_cast<std::streamsize>(found.size()));
  in.read(cubin.data(), static_cast<std::streamsize>(cubin.size()));
  return in && found == source && in.peek() == std::ifstream::traits_type::eof() ? cubin
                                                                                 : std::vector<char>();
}

// To a name of its own, and then renamed: processes that do the same at once do no harm.
void write_cache(const fs::path& file, const std::string& source, const std::vector<char>& cubin) {
  std::error_code failed;
  fs::create_directories(file.parent_path(), failed);
  const fs::path temporary = file.string() + fmt::format(".{}", getpid());
  {
    std::ofstream out(temporary, std::ios::binary);
    const uint64_t sizes[2] = {source.size(), cubin.size()};
    out.write(reinterpret_cast<const char*>(sizes), sizeof sizes);
    out.write(source.data(), static_cast<std::streamsize>(source.size()));
    out.write(cubin.data(), static_cast<std::streamsize>(cubin.size()));
    out.close();
    if (!out) {
      fs::remove(temporary, failed);
      return;
    }
  }
  fs::rename(temporary, file, failed);
  if (failed) fs::remove(temporary, failed);
}

// "sm_90" as it is; "compute_121" where NVRTC is older than the architecture.
std::string target_of(const std::string& architecture) {
  int count = 0;
  check_nvrtc(nvrtc().count_architectures(&count), "asking for its architectures");
  std::vector<int> known(static_cast<size_t>(count));
  check_nvrtc(nvrtc().architectures(known.data()), "asking for its architectures");
  const int wanted = std::stoi(architecture.substr(std::string_view("sm_").size()));
  std::erase_if(known, [wanted](int each) { return each > wanted; });
  if (known.empty()) throw device_error("NVRTC compiles for no architecture up to {}", architecture);
  const int newest = *std::max_element(known.begin(), known.end());
  return newest == wanted ? architecture : fmt::format("compute_{}", newest);
}

}  // namespace

std::vector<char> compile_text(const std::string& text, const std::string& architecture) {
  const Nvrtc& api = nvrtc();
  const std::string target = target_of(architecture), option = "--gpu-architecture=" + target;
  nvrtcProgram program = nullptr;
  check_nvrtc(api.create_program(&program, text.c_str(), "map.cu", 0, nullptr, nullptr), "making a program");
  const bool is_ptx = target != architecture;
  const char* options[] = {option.c_str(), "--std=c++17", "--minimal"};
  const nvrtcResult compiled = api.compile_program(program, 3, options);
  std::vector<char> code;
  std::string log;
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
    throw device_error("NVRTC cannot compile a kernel for {}: {}\n{}\n{}", target,
                       api.error_text(compiled), log.c_str(), text);
  return code;
}

std::vector<char> cached_cubin(const std::string& text, const std::string& architecture) {
  const fs::path folder = cache_folder();
  if (folder.empty()) return compile_text(text, architecture);
  const std::string source = source_of(text, architecture);
  const fs::path file = folder / fmt::format("{:016x}.cubin", philox_key(0, source, "", ""));
  std::vector<char> cubin = read_cache(file, source);
  if (!cubin.empty()) return cubin;
  cubin = compile_text(text, architecture);
  write_cache(file, source, cubin);
  return cubin;
}

}  // namespace trainer::cuda
