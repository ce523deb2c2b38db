// Recurrences by the definition, step by step, item by item.
#include <cmath>
#include <vector>

#include "device/cpu/cpu_kernel.h"
#include "device/cpu/reference/reference.h"

namespace trainer::cpu {
namespace {

double logistic(double x) { return 1 / (1 + std::exp(-x)); }

class RecurrenceKernel : public CpuKernel {
 public:
  explicit RecurrenceKernel(const OpInstance& instance)
      : CpuKernel(instance),
        lstm_(instance.op->as<RecurrenceAttributes>().cell == Cell::kLstm),
        steps_(instance.inputs[0].shape[0]),
        items_(instance.inputs[0].shape[1]),
        hidden_(instance.inputs[1].shape[1]),
        sums_(instance.inputs[1].shape[0]) {}

 protected:
  int64_t state_at(int64_t t, int64_t item) const { return (t * items_ + item) * hidden_; }
  int64_t sums_at(int64_t t, int64_t item) const { return (t * items_ + item) * sums_; }

  const bool lstm_;
  const int64_t steps_, items_, hidden_, sums_;
};

class Forward : public RecurrenceKernel {
 public:
  using RecurrenceKernel::RecurrenceKernel;

  void run(const RunContext&) override {
    std::vector<double> sums(static_cast<size_t>(sums_));
    for (int64_t t = 0; t < steps_; ++t) {
      for (int64_t item = 0; item < items_; ++item) {
        const double cont = input(2)[t * items_ + item];
        const float* before = t == 0 ? input(3) + item * hidden_ : output(0) + state_at(t - 1, item);
        for (int64_t j = 0; j < sums_; ++j) {
          double& sum = sums[static_cast<size_t>(j)];
          sum = input(0)[sums_at(t, item) + j];
          for (int64_t k = 0; k < hidden_; ++k) sum += cont * before[k] * input(1)[j * hidden_ + k];
        }
        for (int64_t k = 0; k < hidden_; ++k) cell(t, item, k, cont, sums);
      }
    }
  }

 private:
  void cell(int64_t t, int64_t item, int64_t k, double cont, const std::vector<double>& sums) {
    const int64_t at = state_at(t, item) + k;
    const auto sum = [&](int64_t gate) { return sums[static_cast<size_t>(gate * hidden_ + k)]; };
    if (!lstm_) {
      output(0)[at] = static_cast<float>(std::tanh(sum(0)));
      return;
    }
    const double i = logistic(sum(0)), f = cont * logistic(sum(1)), o = logistic(sum(2)), g = std::tanh(sum(3));
    const double before = t == 0 ? input(4)[item * hidden_ + k] : output(1)[state_at(t - 1, item) + k];
    const double c = f * before + i * g;
    const double gates[] = {i, f, o, g};
    for (int64_t gate = 0; gate < 4; ++gate)
      output(2)[sums_at(t, item) + gate * hidden_ + k] = static_cast<float>(gates[gate]);
    output(1)[at] = static_cast<float>(c);
    output(0)[at] = static_cast<float>(o * std::tanh(c));
  }
};

class Gradient : public RecurrenceKernel {
 public:
  using RecurrenceKernel::RecurrenceKernel;

  void run(const RunContext&) override {
    std::vector<double> dc(static_cast<size_t>(items_ * hidden_), 0.0);
    for (int64_t t = steps_ - 1; t >= 0; --t) {
      for (int64_t item = 0; item < items_; ++item) {
        for (int64_t k = 0; k < hidden_; ++k) {
          double dh = input(0)[state_at(t, item) + k];
          if (t + 1 < steps_) dh += input(2)[(t + 1) * items_ + item] * through_weights(t + 1, item, k);
          cell(t, item, k, dh, &dc[static_cast<size_t>(item * hidden_ + k)]);
        }
      }
    }
  }

 private:
  double through_weights(int64_t t, int64_t item, int64_t k) const {
    double sum = 0;
    for (int64_t j = 0; j < sums_; ++j) sum += double{output(0)[sums_at(t, item) + j]} * input(1)[j * hidden_ + k];
    return sum;
  }

  void cell(int64_t t, int64_t item, int64_t k, double dh, double* dc) {
    const int64_t at = state_at(t, item) + k;
    float* dp = output(0) + sums_at(t, item) + k;
    if (!lstm_) {
      const double h = input(3)[at];
      dp[0] = static_cast<float>(dh * (1 - h * h));
      return;
    }
    const float* gates = input(5) + sums_at(t, item) + k;
    const double i = gates[0], f = gates[hidden_], o = gates[2 * hidden_], g = gates[3 * hidden_];
    const double before = t == 0 ? input(3)[item * hidden_ + k] : input(4)[state_at(t - 1, item) + k];
    const double squashed = std::tanh(double{input(4)[at]});
    const double d = *dc + dh * o * (1 - squashed * squashed);
    dp[0] = static_cast<float>(d * g * i * (1 - i));
    dp[hidden_] = static_cast<float>(d * before * f * (1 - f));
    dp[2 * hidden_] = static_cast<float>(dh * squashed * o * (1 - o));
    dp[3 * hidden_] = static_cast<float>(d * i * (1 - g * g));
    *dc = d * f;
  }
};

}  // namespace

std::unique_ptr<Kernel> create_recurrence_reference(const OpInstance& instance) {
  return std::make_unique<Forward>(instance);
}
std::unique_ptr<Kernel> create_recurrence_gradient_reference(const OpInstance& instance) {
  return std::make_unique<Gradient>(instance);
}

}  // namespace trainer::cpu
