// Primitives of MapTable other than pointwise ops: reductions, fills, conversions, random numbers. Only for files of
// isa/.
#pragma once

#include <cstdint>

#include "tensor/bf16.h"

namespace trainer::cpu::TRAINER_ISA {

void sum_each_row(double* to, const float* x, int64_t rows, int64_t n);
void sum_rows(double* to, const float* x, int64_t rows, int64_t n);
void max_each_row(double* to, const float* x, int64_t rows, int64_t n);
void max_rows(double* to, const float* x, int64_t rows, int64_t n);
float dot(const float* a, const float* b, int64_t n);
void fill_rows(float* to, const float* from, int64_t stride, int64_t rows, int64_t n);
void convert_u8(float* to, const uint8_t* from, int64_t n);
void convert_s32(float* to, const int32_t* from, int64_t n);
void convert_bf16(float* to, const Bf16* from, int64_t n);
void round_bf16(Bf16* to, const float* from, int64_t n);
void uniform(float* to, uint64_t key, uint64_t stream, uint64_t first, uint64_t stride, int64_t rows, int64_t n);
void normal(float* to, uint64_t key, uint64_t stream, uint64_t first, uint64_t stride, int64_t rows, int64_t n);

}  // namespace trainer::cpu::TRAINER_ISA
