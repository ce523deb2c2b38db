// The op that sums over the ranks.
#include "ops/rank_sums.h"

#include <algorithm>

#include "base/error.h"
#include "ops/math.h"
#include "ops/opaque.h"

namespace trainer {
namespace {

// The values to sum, then a result of the sum before this one, if there is one -> the sums. The last input keeps the
// order of the sums: all ranks run them in the same order, also if their batches have different shapes.
class SumOverRanks : public OpaqueOp {
 public:
  SumOverRanks(std::shared_ptr<RankSums> ranks, int number, std::vector<int64_t> counts)
      : ranks_(std::move(ranks)), number_(number), counts_(std::move(counts)) {}

  int number() const { return number_; }
  std::string name() const override { return "sum_over_ranks"; }
  bool has_effect() const override { return true; }

  void run(std::span<const float* const> inputs, std::span<float* const> outputs, uint64_t) const override {
    std::vector<float> values;
    for (size_t i = 0; i < counts_.size(); ++i) values.insert(values.end(), inputs[i], inputs[i] + counts_[i]);
    ranks_->sum(number_, values);
    const float* sums = values.data();
    for (size_t i = 0; i < counts_.size(); ++i) {
      std::copy_n(sums, counts_[i], outputs[i]);
      sums += counts_[i];
    }
  }

  std::vector<Value> gradient(const std::vector<Value>& inputs, const std::vector<Value>&,
                              const std::vector<Value>& output_gradients) const override {
    std::vector<Value> gradients = sum_over_ranks(ranks_, output_gradients);
    gradients.resize(inputs.size());
    return gradients;
  }

 private:
  const std::shared_ptr<RankSums> ranks_;
  const int number_;
  const std::vector<int64_t> counts_;  // of the elements of each value
};

const SumOverRanks* as_sum(const Op& op) {
  return op.kind == OpKind::kOpaque ? dynamic_cast<const SumOverRanks*>(op.as<OpaqueAttributes>().op.get()) : nullptr;
}

}  // namespace

std::vector<Value> sum_over_ranks(const std::shared_ptr<RankSums>& ranks, const std::vector<Value>& values) {
  TRAINER_ASSERT(!values.empty());
  Graph& graph = *values.front().graph();
  std::vector<Value> inputs = values;
  std::vector<Shape> shapes;
  std::vector<int64_t> counts;
  for (const Value& value : values) {
    shapes.push_back(value.shape());
    counts.push_back(value.shape().count());
  }
  int number = 0;
  const auto before = std::find_if(graph.ops.rbegin(), graph.ops.rend(), [](const Op& op) { return as_sum(op); });
  if (before != graph.ops.rend()) {
    inputs.push_back(graph.value(before->outputs.front()));
    number = as_sum(*before)->number() + 1;
  }
  return opaque(graph, std::make_shared<SumOverRanks>(ranks, number, std::move(counts)), inputs, shapes);
}

}  // namespace trainer
