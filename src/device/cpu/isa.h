// The instruction set of the kernels in isa/, chosen once at start.
//
// Each file of isa/ is compiled for x86-64-v2, v3 and v4, into the namespaces isa_v2, isa_v3 and isa_v4 (macro
// TRAINER_ISA). It exports a table of plain functions, which callers get through for_isa(). Files of isa/ call inline
// functions of shared headers only if these are always inlined: otherwise the linker keeps one copy, which may be
// compiled for a newer processor.
#pragma once

#include <cstdint>

namespace trainer::cpu {

enum class IsaLevel : uint8_t { v2, v3, v4 };

// The highest level of the processor, limited by the environment: TRAINER_ISA=v2|v3|v4 and DNNL_MAX_CPU_ISA (AVX2 means
// v3, SSE41 means v2, so that this variable limits oneDNN and these kernels). Throws a config_error for an unknown
// TRAINER_ISA.
IsaLevel isa_level();

const char* name_of(IsaLevel level);  // "x86-64-v3"

template <typename T>
const T& for_isa(const T& v2, const T& v3, const T& v4) {
  switch (isa_level()) {
    case IsaLevel::v2: return v2;
    case IsaLevel::v3: return v3;
    case IsaLevel::v4: break;
  }
  return v4;
}

}  // namespace trainer::cpu
