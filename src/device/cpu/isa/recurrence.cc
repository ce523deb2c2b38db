// Recurrences: small products with one matrix, packed into panels of two registers, and pointwise cells.
#include "device/cpu/isa/recurrence.h"

#include "device/cpu/isa/map_functions.h"

namespace trainer::cpu::TRAINER_ISA {
namespace {

constexpr int64_t kPanel = 2 * kWidth;
#if defined(__AVX512F__)
constexpr int kRows = 12;  // with two registers of sums each, of 32 registers
#else
constexpr int kRows = 6;  // of 16
#endif

TRAINER_INLINE F load_some(const float* from, int64_t n) {
  return n >= kWidth ? load<F>(from) : n > 0 ? load_first(from, n) : F{};
}
TRAINER_INLINE void store_some(float* to, F v, int64_t n) {
  if (n >= kWidth) {
    store(to, v);
  } else if (n > 0) {
    store_first(to, v, n);
  }
}

int64_t packed_floats(int64_t k, int64_t n) { return (n + kPanel - 1) / kPanel * kPanel * k; }

void pack(const float* b, bool transposed, int64_t k, int64_t n, float* packed) {
  for (int64_t first = 0; first < n; first += kPanel) {
    const int64_t columns = min64(kPanel, n - first);
    for (int64_t row = 0; row < k; ++row, packed += kPanel) {
      for (int64_t j = 0; j < columns; ++j) packed[j] = transposed ? b[(first + j) * k + row] : b[row * n + first + j];
      for (int64_t j = columns; j < kPanel; ++j) packed[j] = 0;
    }
  }
}

// kCount rows by one panel.
template <int kCount>
TRAINER_INLINE void multiply_block(int64_t k, int64_t n, int64_t columns, const float* a, const float* panel,
                                   const float* start, float* y) {
  F sums[kCount][2];
  for (int r = 0; r < kCount; ++r) {
    sums[r][0] = start == nullptr ? F{} : load_some(start + r * n, columns);
    sums[r][1] = start == nullptr ? F{} : load_some(start + r * n + kWidth, columns - kWidth);
  }
  for (int64_t i = 0; i < k; ++i) {
    const F left = load<F>(panel + i * kPanel), right = load<F>(panel + i * kPanel + kWidth);
#pragma GCC unroll 12
    for (int r = 0; r < kCount; ++r) {
      const F factor = set(a[r * k + i]);
      sums[r][0] = sums[r][0] + factor * left;
      sums[r][1] = sums[r][1] + factor * right;
    }
  }
  for (int r = 0; r < kCount; ++r) {
    store_some(y + r * n, sums[r][0], columns);
    store_some(y + r * n + kWidth, sums[r][1], columns - kWidth);
  }
}

void multiply(int64_t rows, int64_t k, int64_t n, const float* a, const float* packed, const float* start, float* y) {
  for (int64_t first = 0; first < n; first += kPanel, packed += kPanel * k) {
    const int64_t columns = min64(kPanel, n - first);
    const auto block = [&](int64_t row) __attribute__((always_inline)) {
      return start == nullptr ? nullptr : start + row * n + first;
    };
    int64_t row = 0;
    for (; row + kRows <= rows; row += kRows)
      multiply_block<kRows>(k, n, columns, a + row * k, packed, block(row), y + row * n + first);
    for (; row + 4 <= rows; row += 4)
      multiply_block<4>(k, n, columns, a + row * k, packed, block(row), y + row * n + first);
    for (; row < rows; ++row) multiply_block<1>(k, n, columns, a + row * k, packed, block(row), y + row * n + first);
  }
}

void scale_rows(int64_t rows, int64_t n, const float* factor, const float* x, float* y) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < n; ++i) y[row * n + i] = factor[row] * x[row * n + i];
  }
}

void tanh_forward(int64_t count, float* h) {
  for (int64_t i = 0; i < count; i += kWidth) store_some(h + i, tanh(load_some(h + i, count - i)), count - i);
}

// The gradient of h: g + next_cont * back.
TRAINER_INLINE F from_above(const StepGradient& from, int64_t row, int64_t at, int64_t n) {
  const F g = load_some(from.g + at, n);
  return from.back == nullptr ? g : g + from.next_cont[row] * load_some(from.back + at, n);
}

void tanh_gradient(int64_t rows, int64_t hidden, const StepGradient& from, const float* h, float* dp) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < hidden; i += kWidth) {
      const int64_t at = row * hidden + i, n = hidden - i;
      const F y = load_some(h + at, n);
      store_some(dp + at, from_above(from, row, at, n) * (1.0f - y * y), n);
    }
  }
}

void lstm_forward(const LstmStep& step, float* gates, float* h) {
  const int64_t hidden = step.hidden;
  for (int64_t row = 0; row < step.rows; ++row) {
    for (int64_t k = 0; k < hidden; k += kWidth) {
      const int64_t at = row * hidden + k, n = hidden - k;
      float* gate = gates + row * 4 * hidden + k;
      const F i = sigmoid(load_some(gate, n));
      const F f = step.cont[row] * sigmoid(load_some(gate + hidden, n));
      const F o = sigmoid(load_some(gate + 2 * hidden, n));
      const F g = tanh(load_some(gate + 3 * hidden, n));
      const F c = f * load_some(step.before + at, n) + i * g;
      store_some(gate, i, n);
      store_some(gate + hidden, f, n);
      store_some(gate + 2 * hidden, o, n);
      store_some(gate + 3 * hidden, g, n);
      store_some(step.c + at, c, n);
      store_some(h + at, o * tanh(c), n);
    }
  }
}

void lstm_gradient(const LstmStep& step, const StepGradient& from, const float* gates, float* dc, float* dp) {
  const int64_t hidden = step.hidden;
  for (int64_t row = 0; row < step.rows; ++row) {
    for (int64_t k = 0; k < hidden; k += kWidth) {
      const int64_t at = row * hidden + k, n = hidden - k;
      const float* gate = gates + row * 4 * hidden + k;
      float* out = dp + row * 4 * hidden + k;
      const F i = load_some(gate, n), f = load_some(gate + hidden, n), o = load_some(gate + 2 * hidden, n),
              g = load_some(gate + 3 * hidden, n);
      const F t = tanh(load_some(step.c + at, n));
      const F dh = from_above(from, row, at, n);
      const F d = load_some(dc + at, n) + dh * o * (1.0f - t * t);
      store_some(out, d * g * i * (1.0f - i), n);
      store_some(out + hidden, d * load_some(step.before + at, n) * f * (1.0f - f), n);
      store_some(out + 2 * hidden, dh * t * o * (1.0f - o), n);
      store_some(out + 3 * hidden, d * i * (1.0f - g * g), n);
      store_some(dc + at, d * f, n);
    }
  }
}

}  // namespace

const RecurrenceTable kRecurrenceTable = {packed_floats, pack,          multiply,     scale_rows,
                                          tanh_forward,  tanh_gradient, lstm_forward, lstm_gradient};

}  // namespace trainer::cpu::TRAINER_ISA
