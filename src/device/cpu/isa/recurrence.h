// One step of a recurrence by instruction set: the product with a matrix that is packed once, and the cell.
#pragma once

#include <cstdint>

namespace trainer::cpu {

// Rows of one step of an LSTM. A row of a state has `hidden` floats; a row of gates or of their gradients has 4 *
// hidden floats in the order i, f, o, g.
struct LstmStep {
  int64_t rows, hidden;
  const float* cont;    // one per row
  const float* before;  // c of the previous step
  float* c;
};
// The gradients that a step receives: g of its h from the reader, and `back` of cont * h from the next step, null in
// the last step. dc is the gradient of c; the step replaces it by that of the previous c.
struct StepGradient {
  const float* g;
  const float* back;
  const float* next_cont;
};

struct RecurrenceTable {
  // The size of a packed [k, n] matrix in floats.
  int64_t (*packed_floats)(int64_t k, int64_t n);
  // Packs b, which is [k, n], or [n, k] if transposed.
  void (*pack)(const float* b, bool transposed, int64_t k, int64_t n, float* packed);
  // y [rows, n] = start + a [rows, k] * b. `start` has the shape of y; null means zeros. The bits of a row do not
  // depend on `rows`.
  void (*multiply)(int64_t rows, int64_t k, int64_t n, const float* a, const float* packed, const float* start,
                   float* y);
  // y = factor[row] * x.
  void (*scale_rows)(int64_t rows, int64_t n, const float* factor, const float* x, float* y);
  // h: the sums of a step as input, their tanh as output.
  void (*tanh_forward)(int64_t count, float* h);
  void (*tanh_gradient)(int64_t rows, int64_t hidden, const StepGradient& from, const float* h, float* dp);
  // gates: the sums of a step as input, the activated gates as output.
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
