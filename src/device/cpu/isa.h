// The instruction set that kernels of folder isa/ run with, chosen once at start.
//
// Each file of isa/ is compiled for x86-64-v2, v3 and v4 into namespaces isa_v2, isa_v3 and isa_v4 (the macro
// TRAINER_ISA) and exports a table of plain functions; callers take theirs through for_isa(). Files of isa/
// use no inline function of a shared header that is not sure to be inlined: the linker keeps one copy of such
// a function, which could be the one for a newer processor.
#pragma once

#include <cstdint>

namespace trainer::cpu {

enum class IsaLevel : uint8_t { v2, v3, v4 };

// The highest level the processor has, capped by the environment: TRAINER_ISA=v2|v3|v4, and DNNL_MAX_CPU_ISA,
// whose AVX2 means v3 and SSE41 v2, so that one variable limits both. Throws a config_error on an unknown
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
