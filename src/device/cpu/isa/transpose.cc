// Transposes blocks of 8 x 8 words in registers, and narrow matrices, such as images with three channels, by
// interleaving.
#include "device/cpu/isa/transpose.h"

#include "device/cpu/isa/lanes.h"

namespace trainer::cpu::TRAINER_ISA {
namespace {

typedef uint32_t W8 __attribute__((vector_size(32)));

// Three rounds of exchanges between rows with a distance of 1, 2 and 4.
TRAINER_INLINE void transpose_block(const uint32_t* from, int64_t from_step, uint32_t* to, int64_t to_step) {
  W8 r[8], s[8];
  for (int i = 0; i < 8; ++i) r[i] = load<W8>(from + i * from_step);
  for (int i = 0; i < 8; i += 2) {
    s[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
    s[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
  }
  for (int i = 0; i < 8; i += 4) {
    for (int j = i; j < i + 2; ++j) {
      r[j] = __builtin_shufflevector(s[j], s[j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      r[j + 2] = __builtin_shufflevector(s[j], s[j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  }
  for (int i = 0; i < 4; ++i) {
    s[i] = __builtin_shufflevector(r[i], r[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    s[i + 4] = __builtin_shufflevector(r[i], r[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
  for (int i = 0; i < 8; ++i) store(to + i * to_step, s[i]);
}

template <typename T>
TRAINER_INLINE void transpose_plain(int64_t rows, int64_t columns, const T* __restrict from, int64_t from_step,
                                    T* __restrict to, int64_t to_step) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) to[j * to_step + i] = from[i * from_step + j];
  }
}

// Few rows to a dense result: reads R streams and writes one.
template <int R, typename T>
TRAINER_INLINE void interleave(int64_t columns, const T* __restrict from, int64_t from_step, T* __restrict to) {
  for (int64_t j = 0; j < columns; ++j) {
    for (int i = 0; i < R; ++i) to[j * R + i] = from[i * from_step + j];
  }
}
// A dense source with few columns: reads one stream and writes C.
template <int C, typename T>
TRAINER_INLINE void separate(int64_t rows, const T* __restrict from, T* __restrict to, int64_t to_step) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int j = 0; j < C; ++j) to[j * to_step + i] = from[i * C + j];
  }
}

template <typename T>
TRAINER_INLINE bool transpose_narrow(int64_t rows, int64_t columns, const T* from, int64_t from_step, T* to,
                                     int64_t to_step) {
  if (rows == 2 && to_step == 2) {
    interleave<2>(columns, from, from_step, to);
  } else if (rows == 3 && to_step == 3) {
    interleave<3>(columns, from, from_step, to);
  } else if (rows == 4 && to_step == 4) {
    interleave<4>(columns, from, from_step, to);
  } else if (columns == 2 && from_step == 2) {
    separate<2>(rows, from, to, to_step);
  } else if (columns == 3 && from_step == 3) {
    separate<3>(rows, from, to, to_step);
  } else if (columns == 4 && from_step == 4) {
    separate<4>(rows, from, to, to_step);
  } else {
    return false;
  }
  return true;
}

void words(int64_t rows, int64_t columns, const uint32_t* from, int64_t from_step, uint32_t* to, int64_t to_step) {
  if (transpose_narrow(rows, columns, from, from_step, to, to_step)) return;
  // Strips of 16 rows fill whole cache lines of the result. They fit in L1 even if the distance of rows is a power of
  // two.
  constexpr int64_t kStrip = 16;
  const int64_t whole_rows = rows / 8 * 8, whole_columns = columns / 8 * 8;
  for (int64_t first = 0; first < whole_rows; first += kStrip) {
    for (int64_t j = 0; j < whole_columns; j += 8) {
      for (int64_t i = first; i < min64(first + kStrip, whole_rows); i += 8) {
        transpose_block(from + i * from_step + j, from_step, to + j * to_step + i, to_step);
      }
    }
  }
  transpose_plain(rows - whole_rows, columns, from + whole_rows * from_step, from_step, to + whole_rows, to_step);
  transpose_plain(whole_rows, columns - whole_columns, from + whole_columns, from_step, to + whole_columns * to_step,
                  to_step);
}

template <typename T>
void blocks(int64_t rows, int64_t columns, const T* from, int64_t from_step, T* to, int64_t to_step) {
  if (transpose_narrow(rows, columns, from, from_step, to, to_step)) return;
  constexpr int64_t kBlock = 32;
  for (int64_t j = 0; j < columns; j += kBlock) {
    for (int64_t i = 0; i < rows; i += kBlock) {
      transpose_plain(min64(kBlock, rows - i), min64(kBlock, columns - j), from + i * from_step + j, from_step,
                      to + j * to_step + i, to_step);
    }
  }
}

}  // namespace

const TransposeTable kTransposeTable = {words, blocks<uint16_t>, blocks<uint8_t>};

}  // namespace trainer::cpu::TRAINER_ISA
