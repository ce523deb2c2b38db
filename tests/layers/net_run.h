// Lowers a net from prototxt text and runs it on given numbers, for the tests of layers.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "compile/differentiate.h"
#include "config/prototxt.h"
#include "layers/run_graph.h"
#include "lowering/lower_net.h"
#include "ops/math.h"

namespace trainer {

using Numbers = std::vector<float>;
using Given = std::map<std::string, Numbers>;

inline void expect_near(const Numbers& actual, const Numbers& expected, float tolerance = 1e-5f) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    if (std::isnan(expected[i])) {
      EXPECT_TRUE(std::isnan(actual[i])) << "element " << i << " is " << actual[i];
    } else {
      EXPECT_NEAR(actual[i], expected[i], tolerance * std::max(1.0f, std::fabs(expected[i]))) << "element " << i;
    }
  }
}

class NetText {
 public:
  explicit NetText(const std::string& text, caffe::Phase phase = caffe::TRAIN, int ranks = 1,
                   std::shared_ptr<RankSums> rank_sums = nullptr) {
    parse_prototxt(text, "net.prototxt", &param_, &positions_, &diagnostics_);
    LowerOptions options;
    options.phase = phase;
    options.seed = 1;
    options.ranks = ranks;
    options.rank_sums = std::move(rank_sums);
    lowered_ = lower_net(param_, positions_, options, &diagnostics_);
  }

  LoweredNet& net() { return *lowered_; }
  Graph& graph() { return *lowered_->graph; }
  // All problems as the user sees them; "" if there are none.
  std::string problems() const { return diagnostics_.render(); }

  // The last blob with this name.
  Value blob(const std::string& name) {
    Value found;
    for (const LoweredLayer& layer : lowered_->layers)
      for (const LoweredTop& top : layer.tops)
        if (top.name == name) found = top.value;
    EXPECT_TRUE(found) << "no blob " << name << "\n" << problems();
    return found;
  }
  // The value of a source or state.
  Value leaf(const std::string& name) {
    for (const SourceInfo& source : graph().sources)
      if (source.name == name) return graph().value(source.value);
    for (const Op& op : graph().ops)
      if (op.kind == OpKind::kStateRead &&
          graph().states[static_cast<size_t>(op.as<IndexAttributes>().index)].name == name)
        return graph().value(op.outputs.front());
    ADD_FAILURE() << "no source or state " << name;
    return Value();
  }

  Numbers forward(const std::string& name, const Given& given) {
    const Value value = blob(name);
    return value ? GraphRun(graph(), given)[value] : Numbers();
  }

  // The gradient of sum of weights * blob with respect to a source or state.
  Numbers gradient(const std::string& name, const Numbers& weights, const std::string& of, const Given& given) {
    const Value value = blob(name);
    const Value target = leaf(of);
    const Value weight = graph().add_source("test weights", value.shape());
    const Value weighted = value * weight;
    const Value scalar = reshape(sum(weighted, all_axes(weighted.shape())), Shape{});
    const Value result = differentiate(graph(), scalar, {target}).front();
    if (!result) return {};
    Given all = given;
    all["test weights"] = weights;
    return GraphRun(graph(), all)[result];
  }

 private:
  caffe::NetParameter param_;
  Positions positions_;
  Diagnostics diagnostics_;
  std::unique_ptr<LoweredNet> lowered_;
};

inline std::string input_layer(const std::string& name, const std::vector<int>& dims) {
  std::string text = "layer { name: \"" + name + "\" type: \"Input\" top: \"" + name + "\" input_param { shape {";
  for (int dim : dims) text += " dim: " + std::to_string(dim);
  return text + " } } }\n";
}

// 0.1, 0.2, ... in a fixed irregular order with both signs.
inline Numbers uneven(size_t count, float scale = 1) {
  Numbers values(count);
  for (size_t i = 0; i < count; ++i) values[i] = scale * (static_cast<float>((i * 37 + 11) % 41) - 20) / 10;
  return values;
}

}  // namespace trainer
