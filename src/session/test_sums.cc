// Adds up the values of passes, each with its own divisor.
#include "session/test_sums.h"

#include <cmath>

namespace trainer {

bool TestSum::fits(size_t elements) {
  if (!started_) {
    started_ = true;
    sums_.assign(elements, 0.0);
    divisors_.assign(elements, 0.0);
  }
  if (sums_.size() != elements) changed_ = true;
  return !changed_;
}

void TestSum::add(const std::vector<float>& value) {
  if (!fits(value.size())) return;
  for (size_t e = 0; e < value.size(); ++e) {
    sums_[e] += value[e];
    divisors_[e] += 1;
  }
}

void TestSum::add(const std::vector<float>& value, const Averaging& averaging, const std::vector<float>* divisor,
                  int64_t items, int epochs) {
  const auto rows = static_cast<size_t>(items);
  switch (averaging.kind) {
    case Averaging::Kind::kItems: {
      // A value of each record, or one of the batch.
      const bool of_records = value.size() > 1 && rows > 0 && value.size() % rows == 0;
      const size_t elements = of_records ? value.size() / rows : value.size();
      if (!fits(elements)) return;
      for (size_t i = 0; i < value.size(); ++i) sums_[i % elements] += of_records ? value[i] : value[i] * rows;
      for (double& sum : divisors_) sum += rows;
      return;
    }
    case Averaging::Kind::kSum:
      if (!fits(value.size())) return;
      for (size_t e = 0; e < value.size(); ++e) {
        sums_[e] += value[e];
        divisors_[e] = epochs;
      }
      return;
    default:
      if (!fits(value.size())) return;
      for (size_t e = 0; e < value.size(); ++e) {
        const double count = (*divisor)[divisor->size() == 1 ? 0 : e], sum = value[e] * count;
        sums_[e] += averaging.kind == Averaging::Kind::kShare ? std::round(sum) : sum;  // a number of records
        divisors_[e] += count;
      }
  }
}

void TestSums::add(const std::vector<std::vector<float>>& outputs, const std::vector<std::vector<float>>& measured,
                   float loss, int64_t items) {
  outputs_.resize(outputs.size());
  if (epochs_ == 0) {
    for (size_t k = 0; k < outputs.size(); ++k) outputs_[k].add(outputs[k]);
    one_[0] = loss;
    loss_.add(one_);
    return;
  }
  terms_.resize(net_.loss_terms.size());
  auto next = measured.begin();
  const auto divisor_of = [&](const Averaging& averaging) { return averaging.divisor ? &*next++ : nullptr; };
  for (size_t k = 0; k < outputs.size(); ++k) {
    const Averaging& averaging = net_.outputs[k].averaging;
    outputs_[k].add(outputs[k], averaging, divisor_of(averaging), items, epochs_);
  }
  for (size_t k = 0; k < terms_.size(); ++k) {
    const std::vector<float>& value = *next++;
    const Averaging& averaging = net_.loss_terms[k].averaging;
    terms_[k].add(value, averaging, divisor_of(averaging), items, epochs_);
  }
}

double TestSums::loss() const {
  if (epochs_ == 0) return loss_.size() == 0 ? 0 : loss_.result(0);
  double loss = 0;
  for (size_t k = 0; k < terms_.size(); ++k) {
    if (terms_[k].size() > 0) loss += net_.loss_terms[k].weight * terms_[k].result(0);
  }
  return loss;
}

}  // namespace trainer
