// Averages of the values that the passes of a test compute.
#pragma once

#include <cstdint>
#include <vector>

#include "lowering/lower_net.h"

namespace trainer {

// The sum of a value over passes, and the divisor of each element.
class TestSum {
 public:
  // The mean of the values of all passes.
  void add(const std::vector<float>& value);
  // The value of one batch of all records, read `epochs` times. `divisor` and `sum` belong to an
  // averaging that has them; `items`: the records of the pass.
  void add(const std::vector<float>& value, const Averaging& averaging, const std::vector<float>* divisor,
           const std::vector<float>* sum, int64_t items, int epochs);

  // Whether the number of elements differed between passes: then there is no result.
  bool changed() const { return changed_; }
  size_t size() const { return changed_ ? 0 : sums_.size(); }
  // 0 if the divisor is 0.
  double result(size_t element) const { return divisors_[element] == 0 ? 0 : sums_[element] / divisors_[element]; }
  double divisor(size_t element) const { return divisors_[element]; }

 private:
  // Whether the pass has as many elements as those before it.
  bool fits(size_t elements);

  std::vector<double> sums_, divisors_;
  bool started_ = false, changed_ = false;
};

// The averages of a whole test.
class TestSums {
 public:
  // `epochs`: how often each record is read; 0 for a number of batches.
  TestSums(const LoweredNet& net, int epochs) : net_(net), epochs_(epochs) {}

  // The values of a pass: see NetProgram::measured. `loss` is its weighted loss.
  void add(const std::vector<std::vector<float>>& outputs, const std::vector<std::vector<float>>& measured, float loss,
           int64_t items);
  double loss() const;
  const std::vector<TestSum>& outputs() const { return outputs_; }

 private:
  const LoweredNet& net_;
  const int epochs_;
  std::vector<TestSum> outputs_, terms_;
  TestSum loss_;
  std::vector<float> one_ = {0};
};

}  // namespace trainer
