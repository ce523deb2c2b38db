// Compares compiled random graphs with the same ops run one by one without the compiler: no pass may change a result.
#include <gtest/gtest.h>

#include <cmath>

#include "compile/evaluate.h"
#include "layers/run_graph.h"

namespace trainer {
namespace {

const Shape kDomain{2, 8, 16, 17};  // large enough for values to be worth recomputing
const Shape kRow{1, 8, 1, 1};
constexpr int kSources = 2, kStates = 2;

// Builds a graph of maps, convolutions, pools and routing ops, the same for the same seed. All values stay moderate and
// depend continuously on rounded values.
class Builder {
 public:
  Builder(Graph& graph, uint64_t seed) : graph_(graph), key_(philox_key(seed, "random", "graph", "")) {
    for (int i = 0; i < kSources; ++i) full_.push_back(graph.add_source("full" + std::to_string(i), kDomain));
    rows_.push_back(graph.add_source("row", kRow));
    weights_ = graph.add_source("weights", Shape{8, 8, 3, 3});
    for (int i = 0; i < kStates; ++i) full_.push_back(graph.read_state({"state" + std::to_string(i), kDomain}));
    given_ = full_.size();
  }

  std::vector<Value> build() {
    const int steps = 4 + below(16);
    for (int i = 0; i < steps; ++i) {
      graph_.set_context(i, i < steps / 2 ? Pass::kForward : Pass::kBackward);
      add();
    }
    for (int i = 0; i < kStates; ++i) {
      if (below(3) > 0) graph_.write_state("state" + std::to_string(i), pick(full_));
    }
    std::vector<Value> results{full_.back(), rows_.back(), pick(full_), pick(rows_)};
    results.insert(results.end(), others_.begin(), others_.end());
    return results;
  }

 private:
  int below(int n) { return static_cast<int>(philox_element(key_, 0, next_++) % static_cast<uint32_t>(n)); }
  // Prefers recent values.
  Value pick(const std::vector<Value>& from) {
    const int count = static_cast<int>(from.size());
    return from[static_cast<size_t>(count - 1 - std::min(below(count), below(count)))];
  }

  void add() {
    const Value x = pick(full_), y = pick(full_), row = pick(rows_);
    switch (below(19)) {
      case 0: full_.push_back(tanh(x + y)); break;
      case 1: full_.push_back(x * 0.5f - y * 0.25f); break;
      case 2: full_.push_back(relu(x, below(2) ? 0.0f : 0.25f)); break;
      case 3: full_.push_back(sigmoid(x) * y); break;
      case 4: full_.push_back(x - row); break;
      case 5: full_.push_back(tanh(x * row)); break;
      case 6: full_.push_back(maximum(x, y)); break;
      case 7:
        full_.push_back(select(greater(full_[static_cast<size_t>(below(static_cast<int>(given_)))], 0.1f), x, y));
        break;
      case 8: rows_.push_back(sum(x * y, {0, 2, 3}) * (1.0f / (2 * 16 * 17))); break;
      case 9: rows_.push_back(max(x, {0, 2, 3})); break;
      case 10: rows_.push_back(tanh(pick(rows_) - row * 0.5f)); break;
      case 11:
        full_.push_back(x * greater(random_uniform(graph_, kDomain, static_cast<uint64_t>(below(1000))), 0.3f));
        break;
      case 12: full_.push_back(x + 0.1f * random_normal(graph_, kDomain, static_cast<uint64_t>(below(1000)))); break;
      case 13: full_.push_back(concat({slice(x, 1, 5, 8), slice(y, 1, 0, 5)}, 1)); break;
      case 14: {
        const Value z = convolution(x, weights_, reshape(row, Shape{8}), {1, {1, 1}, {1, 1}, {1, 1}, {}});
        full_.push_back(below(2) ? relu(z) : tanh(z));
        break;
      }
      case 15: others_.push_back(max_pool(x, {{3, 3}, {2, 2}, {0, 0}}, {7, 8}).y); break;
      case 16: full_.push_back(reshape(reshape(x, Shape{16, 272}) * 0.5f, kDomain)); break;
      case 17: full_.push_back(y - slice(x, 0, 0, 1)); break;
      case 18: rows_.push_back(slice(slice(slice(x, 0, 0, 1), 2, 0, 1), 3, 0, 1)); break;
    }
  }

  Graph& graph_;
  uint64_t key_, next_ = 0;
  std::vector<Value> full_, rows_, others_;
  Value weights_;
  size_t given_ = 0;
};

std::map<std::string, std::vector<float>> given_values(uint64_t seed) {
  std::map<std::string, std::vector<float>> given;
  for (int i = 0; i < kSources; ++i)
    given["full" + std::to_string(i)] = random_values(kDomain, seed * 10 + static_cast<uint64_t>(i));
  for (int i = 0; i < kStates; ++i)
    given["state" + std::to_string(i)] = random_values(kDomain, seed * 10 + 5 + static_cast<uint64_t>(i));
  given["row"] = random_values(kRow, seed * 10 + 8);
  given["weights"] = random_values(Shape{8, 8, 3, 3}, seed * 10 + 9, -0.2f, 0.2f);
  return given;
}

void expect_close(const std::vector<float>& actual, const std::vector<float>& expected, const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_NEAR(actual[i], expected[i], 2e-4f * std::max(1.0f, std::fabs(expected[i]))) << what << ", element " << i;
  }
}

class RandomGraph : public testing::TestWithParam<int> {
 protected:
  void compare(Fusion fusion) {
    const auto seed = static_cast<uint64_t>(GetParam());
    std::map<std::string, std::vector<float>> given = given_values(seed);
    constexpr uint64_t kPass = 3;

    Graph plain;
    const std::vector<Value> wanted = Builder(plain, seed).build();
    const GraphRun expected(plain, given, kPass);

    Bench bench;
    for (int i = 0; i < kStates; ++i) {
      const std::string name = "state" + std::to_string(i);
      bench.store.add(name, kDomain);
      bench.store.write(name, given[name].data());
    }
    Module module;
    for (const Value& value : Builder(*module.graph, seed).build()) module.results.push_back(value.id());
    const std::unique_ptr<Program> program =
        compile(std::move(module), *bench.device, bench.store, bench.arena, {fusion});
    std::vector<std::vector<float>> placed;
    for (size_t i = 0; i < program->sources.size(); ++i) {
      const SourceInfo& source = program->sources[i];
      const std::vector<float>& values = given[source.name];
      placed.push_back(source.value < 0 ? values
                                        : in_order(program->values[static_cast<size_t>(source.value)].desc, values));
      program->set_source(static_cast<int>(i), placed.back().data());
    }
    program->run({kPass});
    for (size_t i = 0; i < wanted.size(); ++i) {
      std::vector<float> actual(static_cast<size_t>(wanted[i].shape().count()));
      program->read_result(static_cast<int>(i), actual.data());
      expect_close(actual, expected[wanted[i]], "result " + std::to_string(i));
    }
    for (int i = 0; i < kStates; ++i) {
      const std::string name = "state" + std::to_string(i);
      const std::vector<float> written = expected.written(name);
      expect_close(bench.store.read(name), written.empty() ? given[name] : written, name);
    }
  }
};

TEST_P(RandomGraph, CompiledGivesWhatItsOpsGive) { compare(Fusion::kOn); }
TEST_P(RandomGraph, UnfusedGivesWhatItsOpsGive) { compare(Fusion::kOff); }

INSTANTIATE_TEST_SUITE_P(Seeds, RandomGraph, testing::Range(0, 150));

}  // namespace
}  // namespace trainer
