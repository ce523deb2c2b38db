// Independent sums hide the latency of multiply-adds.
#include "device/cpu/isa/peak.h"

#include "device/cpu/isa/product.h"

namespace trainer::cpu::TRAINER_ISA {
namespace {

constexpr int kSums = 12;

float multiply_add(int64_t rounds) {
  F sums[kSums];
  for (F& sum : sums) sum = broadcast<kLane>(1.0f);
  F factor = broadcast<kLane>(0.999f), term = broadcast<kLane>(0.001f);
  for (int64_t i = 0; i < rounds; ++i) {
    // Hides the values from the compiler, which would compute the loop at compile time.
    asm volatile("" : "+x"(factor), "+x"(term));
#pragma GCC unroll 12
    for (F& sum : sums) sum = sum * factor + term;
  }
  F total = sums[0];
  for (int i = 1; i < kSums; ++i) total += sums[i];
  return total[0];
}

}  // namespace

const PeakTable kPeakTable = {2 * kLane * kSums, multiply_add};

}  // namespace trainer::cpu::TRAINER_ISA
