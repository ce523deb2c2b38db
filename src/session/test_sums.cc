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
                  const std::vector<float>* sum, int64_t items, int epochs) {
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
        const double count = (*divisor)[divisor->size() == 1 ? 0 : e];
        const double counted = sum != nullptr ? (*sum)[e] : value[e] * count;
        sums_[e] += averaging.kind == Averaging::Kind::kShare ? std::round(counted) : counted;  // a number of records
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
  const auto add_to = [&](TestSum* sum, const std::vector<float>& value, const Averaging& averaging) {
    const std::vector<float>* const divisor = averaging.divisor ? &*next++ : nullptr;
    const std::vector<float>* const divided = averaging.sum ? &*next++ : nullptr;
    sum->add(value, averaging, divisor, divided, items, epochs_);
  };
  for (size_t k = 0; k < outputs.size(); ++k) {
    add_to(&outputs_[k], outputs[k], net_.outputs[k].averaging);
  }
  for (size_t k = 0; k < terms_.size(); ++k) {
    const std::vector<float>& value = *next++;
    add_to(&terms_[k], value, net_.loss_terms[k].averaging);
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
