// The peak rate of a core by instruction set: a loop of multiply-adds in registers.
#pragma once

#include <cstdint>

namespace trainer::cpu {

struct PeakTable {
  int64_t operations;  // per round; a multiply-add counts as two
  float (*multiply_add)(int64_t rounds);
};

namespace isa_v2 {
extern const PeakTable kPeakTable;
}
namespace isa_v3 {
extern const PeakTable kPeakTable;
}
namespace isa_v4 {
extern const PeakTable kPeakTable;
}

}  // namespace trainer::cpu
