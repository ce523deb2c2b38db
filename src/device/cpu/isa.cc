// Detects the x86-64 level of the processor.
#include "device/cpu/isa.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "base/error.h"

namespace trainer::cpu {
namespace {

IsaLevel supported() {
  __builtin_cpu_init();
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                  __builtin_cpu_supports("bmi2");
  if (!v3) return IsaLevel::v2;
  const bool v4 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  return v4 ? IsaLevel::v4 : IsaLevel::v3;
}

IsaLevel cap_by_environment() {
  IsaLevel cap = IsaLevel::v4;
  if (const char* text = std::getenv("TRAINER_ISA"); text != nullptr && *text != '\0') {
    const std::string level = text;
    if (level == "v2") {
      cap = IsaLevel::v2;
    } else if (level == "v3") {
      cap = IsaLevel::v3;
    } else if (level != "v4") {
      throw config_error("environment variable TRAINER_ISA is \"{}\"; it can be v2, v3 or v4", level);
    }
  }
  if (const char* text = std::getenv("DNNL_MAX_CPU_ISA")) {
    const std::string isa = text;
    if (isa == "SSE41" || isa == "AVX") cap = std::min(cap, IsaLevel::v2);
    if (isa.rfind("AVX2", 0) == 0) cap = std::min(cap, IsaLevel::v3);
  }
  return cap;
}

}  // namespace

IsaLevel isa_level() {
  static const IsaLevel level = std::min(supported(), cap_by_environment());
  return level;
}

const char* name_of(IsaLevel level) {
  switch (level) {
    case IsaLevel::v2: return "x86-64-v2";
    case IsaLevel::v3: return "x86-64-v3";
    case IsaLevel::v4: break;
  }
  return "x86-64-v4";
}

}  // namespace trainer::cpu
