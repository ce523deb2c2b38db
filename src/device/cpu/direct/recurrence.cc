// Recurrences: each thread runs all steps for its own items of the batch, so that threads do not synchronize per step.
#include "device/cpu/isa/recurrence.h"

#include <algorithm>

#include "device/cpu/cpu_kernel.h"
#include "device/cpu/direct/direct.h"
#include "device/cpu/isa.h"
#include "device/cpu/parallel.h"

namespace trainer::cpu {
namespace {

class RecurrenceKernel : public CpuKernel {
 public:
  explicit RecurrenceKernel(const OpInstance& instance)
      : CpuKernel(instance),
        table_(for_isa(isa_v2::kRecurrenceTable, isa_v3::kRecurrenceTable, isa_v4::kRecurrenceTable)),
        lstm_(instance.op->as<RecurrenceAttributes>().cell == Cell::kLstm),
        steps_(instance.inputs[0].shape[0]),
        items_(instance.inputs[0].shape[1]),
        hidden_(instance.inputs[1].shape[1]),
        sums_(instance.inputs[1].shape[0]) {}

 protected:
  float* scratch(int64_t floats_before) const {
    return reinterpret_cast<float*>(workspace() + aligned(floats_before * static_cast<int64_t>(sizeof(float))));
  }
  int64_t states() const { return items_ * hidden_; }  // floats of h in one step
  int64_t gates() const { return items_ * sums_; }
  int64_t work_per_item() const { return steps_ * hidden_ * sums_; }

  const RecurrenceTable& table_;
  const bool lstm_;
  const int64_t steps_, items_, hidden_, sums_;
};

class Forward : public RecurrenceKernel {
 public:
  explicit Forward(const OpInstance& instance)
      : RecurrenceKernel(instance), packed_(table_.packed_floats(hidden_, sums_)) {}

  int64_t workspace_bytes() const override {
    return (packed_ + states()) * static_cast<int64_t>(sizeof(float)) + kAlignment;
  }

  void run(const RunContext&) override {
    table_.pack(input(1), true, hidden_, sums_, scratch(0));
    parallel_ranges(threads(), items_, work_per_item(),
                    [this](int, int64_t begin, int64_t end) { run_items(begin, end); });
  }

 private:
  void run_items(int64_t begin, int64_t end) {
    const int64_t rows = end - begin, state = begin * hidden_, gate = begin * sums_;
    float *h = output(0), *out = lstm_ ? output(2) : h, *carried = scratch(packed_) + state;
    for (int64_t t = 0; t < steps_; ++t) {
      const float* cont = input(2) + t * items_ + begin;
      table_.scale_rows(rows, hidden_, cont, t == 0 ? input(3) + state : h + (t - 1) * states() + state, carried);
      float* sums = out + t * gates() + gate;
      table_.multiply(rows, hidden_, sums_, carried, scratch(0), input(0) + t * gates() + gate, sums);
      if (!lstm_) {
        table_.tanh_forward(rows * hidden_, sums);
        continue;
      }
      float* c = output(1) + state;
      const float* before = t == 0 ? input(4) + state : c + (t - 1) * states();
      table_.lstm_forward({rows, hidden_, cont, before, c + t * states()}, sums, h + t * states() + state);
    }
  }

  int64_t packed_;
};

class Gradient : public RecurrenceKernel {
 public:
  explicit Gradient(const OpInstance& instance)
      : RecurrenceKernel(instance), packed_(table_.packed_floats(sums_, hidden_)) {}

  int64_t workspace_bytes() const override {
    return (packed_ + 2 * states()) * static_cast<int64_t>(sizeof(float)) + 2 * kAlignment;
  }

  void run(const RunContext&) override {
    table_.pack(input(1), false, sums_, hidden_, scratch(0));
    parallel_ranges(threads(), items_, work_per_item(),
                    [this](int, int64_t begin, int64_t end) { run_items(begin, end); });
  }

 private:
  void run_items(int64_t begin, int64_t end) {
    const int64_t rows = end - begin, state = begin * hidden_, gate = begin * sums_;
    float *back = scratch(packed_) + state, *dc = scratch(packed_ + states()) + state;
    std::fill_n(dc, rows * hidden_, 0.0f);
    for (int64_t t = steps_ - 1; t >= 0; --t) {
      const float* cont = input(2) + t * items_ + begin;
      float* dp = output(0) + t * gates() + gate;
      const bool last = t == steps_ - 1;
      if (!last) table_.multiply(rows, sums_, hidden_, dp + gates(), scratch(0), nullptr, back);
      const StepGradient from{input(0) + t * states() + state, last ? nullptr : back, cont + items_};
      if (!lstm_) {
        table_.tanh_gradient(rows, hidden_, from, input(3) + t * states() + state, dp);
        continue;
      }
      // The cell only reads c.
      float* c = const_cast<float*>(input(4)) + t * states() + state;
      const float* before = t == 0 ? input(3) + state : c - states();
      table_.lstm_gradient({rows, hidden_, cont, before, c}, from, input(5) + t * gates() + gate, dc, dp);
    }
  }

  int64_t packed_;
};

}  // namespace

std::string refuse_recurrence_direct(const OpInstance& instance) {
  for (const TensorDesc& desc : instance.inputs) {
    if (desc.dtype != DType::kF32) return std::string("an operand is ") + name_of(desc.dtype);
    if (!has_format(desc, MemoryFormat::kRowMajor)) return "an operand is channels-last";
  }
  return "";
}

std::unique_ptr<Kernel> create_recurrence_direct(const OpInstance& instance) {
  return std::make_unique<Forward>(instance);
}
std::unique_ptr<Kernel> create_recurrence_gradient_direct(const OpInstance& instance) {
  return std::make_unique<Gradient>(instance);
}

}  // namespace trainer::cpu
