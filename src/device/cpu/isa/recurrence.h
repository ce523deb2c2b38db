// One step of a recurrence by instruction set: products with a matrix that is packed once, and the cells.
#pragma once

#include <cstdint>

namespace trainer::cpu {

// Rows of one step of an LSTM. Rows of states hold `hidden` floats, those of gates and their gradients 4 *
// hidden in the order i, f, o, g.
struct LstmStep {
  int64_t rows, hidden;
  const float* cont;    // one a row
  const float* before;  // c of the step before
  float* c;
};
// What a step gets from above (g) and from the step behind it: `back` is the gradient of cont * h, or null in
// the last step; dc holds that of c, and takes that of the c before.
struct StepGradient {
  const float* g;
  const float* back;
  const float* next_cont;
};

struct RecurrenceTable {
  // Floats that a [k, n] matrix takes when packed.
  int64_t (*packed_floats)(int64_t k, int64_t n);
  // Packs b, stored [k, n], or [n, k] where transposed.
  void (*pack)(const float* b, bool transposed, int64_t k, int64_t n, float* packed);
  // y [rows, n] = start + a [rows, k] * b; start has y's form, null stands for zeros. A row's bits do not
  // depend on rows.
  void (*multiply)(int64_t rows, int64_t k, int64_t n, const float* a, const float* packed, const float* start,
                   float* y);
  // y = factor[row] * x.
  void (*scale_rows)(int64_t rows, int64_t n, const float* factor, const float* x, float* y);
  // h: the sums of a step in, their tanh out.
  void (*tanh_forward)(int64_t count, float* h);
  void (*tanh_gradient)(int64_t rows, int64_t hidden, const StepGradient& from, const float* h, float* dp);
  // gates: the sums of a step in, what they open out.
  void (*lstm_forward)(const LstmStep& step, float* gates, float* h);
  void (*lstm_gradient)(const LstmStep& step, const StepGradient& from, const float* gates, float* dc, float* dp);
};

namespace isa_v2 {
extern const RecurrenceTable kRecurrenceTable;
}
namespace isa_v3 {
extern const RecurrenceTable kRecurrenceTable;
}
namespace isa_v4 {
extern const RecurrenceTable kRecurrenceTable;
}

}  // namespace trainer::cpu
