// What a core reaches at best, by instruction set: a loop of nothing but multiply-adds in registers.
#pragma once

#include <cstdint>

namespace trainer::cpu {

struct PeakTable {
  int64_t operations;  // of one round: a multiply-add counts as two
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
