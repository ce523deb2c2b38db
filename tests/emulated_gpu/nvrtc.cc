// NVRTC by the host's compiler: a source becomes a shared library, in which each kernel k is an EmulatedKernel
// kernel_k.
#include <nvrtc.h>
#include <stdlib.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

struct _nvrtcProgram {
  std::string text, cubin, ptx, log;
};

namespace {

namespace fs = std::filesystem;

constexpr int kArchitectures[] = {75, 80, 90, 100, 110, 120};

std::string content_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// All kernels begin with: extern "C" __global__ void __launch_bounds__(256) NAME(
std::string descriptions_of_kernels(const std::string& text) {
  constexpr std::string_view kBefore = "extern \"C\" __global__ void ";
  std::string descriptions;
  for (size_t at = text.find(kBefore); at != std::string::npos; at = text.find(kBefore, at)) {
    at += kBefore.size();
    constexpr std::string_view kBounds = "__launch_bounds__(";
    if (text.compare(at, kBounds.size(), kBounds) == 0) at = text.find(')', at) + 2;
    const std::string name = text.substr(at, text.find('(', at) - at);
    descriptions += "extern \"C\" EMULATED_EXPORT const EmulatedKernel kernel_" + name + " = emulated_kernel(\"" +
                    name + "\", " + name + ");\n";
  }
  return descriptions;
}

}  // namespace

extern "C" {

// The result depends on the emulator's header, so the version contains its hash for the sake of caches.
nvrtcResult nvrtcVersion(int* major, int* minor) {
  *major = 0;
  *minor = static_cast<int>(std::hash<std::string>()(content_of(EMULATOR_HEADER)) >> 33);
  return NVRTC_SUCCESS;
}
const char* nvrtcGetErrorString(nvrtcResult result) {
  return result == NVRTC_SUCCESS             ? "NVRTC_SUCCESS"
         : result == NVRTC_ERROR_COMPILATION ? "NVRTC_ERROR_COMPILATION"
                                             : "NVRTC_ERROR";
}
nvrtcResult nvrtcCreateProgram(nvrtcProgram* program, const char* text, const char*, int, const char* const*,
                               const char* const*) {
  *program = new _nvrtcProgram{text, {}, {}, {}};
  return NVRTC_SUCCESS;
}
nvrtcResult nvrtcDestroyProgram(nvrtcProgram* program) {
  delete *program;
  *program = nullptr;
  return NVRTC_SUCCESS;
}
nvrtcResult nvrtcGetNumSupportedArchs(int* count) {
  *count = static_cast<int>(std::size(kArchitectures));
  return NVRTC_SUCCESS;
}
nvrtcResult nvrtcGetSupportedArchs(int* architectures) {
  std::copy(std::begin(kArchitectures), std::end(kArchitectures), architectures);
  return NVRTC_SUCCESS;
}
// "PTX" is also the library.
nvrtcResult nvrtcCompileProgram(nvrtcProgram program, int, const char* const* options) {
  const std::string target = std::string(options[0]).substr(std::strlen("--gpu-architecture="));
  bool is_cubin = false, is_ptx = false;
  for (const int architecture : kArchitectures) {
    is_cubin = is_cubin || target == "sm_" + std::to_string(architecture);
    is_ptx = is_ptx || target == "compute_" + std::to_string(architecture);
  }
  if (!is_cubin && !is_ptx) return NVRTC_ERROR_INVALID_OPTION;
  std::string folder = (fs::temp_directory_path() / "emulated_nvrtc_XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return NVRTC_ERROR_INTERNAL_ERROR;
  std::ofstream(folder + "/map.cc") << "#include \"" EMULATOR_HEADER "\"\n#line 1 \"map.cu\"\n"
                                    << program->text << "\n"
                                    << descriptions_of_kernels(program->text);
  const std::string command =
      EMULATOR_COMPILER
      " -std=c++17 -O1 -ffp-contract=off -fno-strict-aliasing -fvisibility=hidden -w -shared -fPIC -o " +
      folder + "/map.so " + folder + "/map.cc " EMULATED_RUNTIME_LIBRARY " 2> " + folder + "/log";
  const bool compiled = std::system(command.c_str()) == 0;
  (is_cubin ? program->cubin : program->ptx) = compiled ? content_of(folder + "/map.so") : "";
  program->log = content_of(folder + "/log");
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  return compiled ? NVRTC_SUCCESS : NVRTC_ERROR_COMPILATION;
}
nvrtcResult nvrtcGetProgramLogSize(nvrtcProgram program, size_t* size) {
  *size = program->log.size() + 1;
  return NVRTC_SUCCESS;
}
nvrtcResult nvrtcGetProgramLog(nvrtcProgram program, char* log) {
  std::memcpy(log, program->log.c_str(), program->log.size() + 1);
  return NVRTC_SUCCESS;
}
nvrtcResult nvrtcGetCUBINSize(nvrtcProgram program, size_t* size) {
  *size = program->cubin.size();
  return NVRTC_SUCCESS;
}
nvrtcResult nvrtcGetCUBIN(nvrtcProgram program, char* cubin) {
  std::copy(program->cubin.begin(), program->cubin.end(), cubin);
  return NVRTC_SUCCESS;
}
nvrtcResult nvrtcGetPTXSize(nvrtcProgram program, size_t* size) {
  *size = program->ptx.size();
  return NVRTC_SUCCESS;
}
nvrtcResult nvrtcGetPTX(nvrtcProgram program, char* ptx) {
  std::copy(program->ptx.begin(), program->ptx.end(), ptx);
  return NVRTC_SUCCESS;
}

}  // extern "C"
