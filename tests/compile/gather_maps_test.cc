// Tests the gathering of maps: which maps move, and which stay.
#include <gtest/gtest.h>

#include "compile/passes.h"
#include "ops/math.h"

namespace trainer {
namespace {

const Shape kImages{4, 8, 16, 16}, kFilters{8, 8, 3, 3};
using V = const std::vector<Value>&;

ConvolutionAttributes same_size() { return {1, {1, 1}, {1, 1}, {1, 1}, {}}; }

// The kinds of the ops after the pass, maps by the text of their body: "convolution", "map in0".
std::vector<std::string> order_of(const Module& module) {
  std::vector<std::string> order;
  for (const Op& op : module.graph->ops) {
    if (op.kind == OpKind::kSource) continue;
    order.push_back(op.kind == OpKind::kMap ? op.as<MapBody>().text() : name_of(op.kind));
  }
  return order;
}

// The order of the graph that `build` creates from two images and filters, after the pass.
template <typename Build>
std::vector<std::string> gathered(const Build& build) {
  Module module;
  Graph& graph = *module.graph;
  const std::vector<Value> s{graph.add_source("x", kImages), graph.add_source("y", kImages),
                             graph.add_source("w", kFilters)};
  for (const Value& value : build(s)) module.results.push_back(value.id());
  return order_of(gather_maps(module));
}

using Order = std::vector<std::string>;
const std::string kSum = "sum[0,2,3] in0", kRelu = "relu(in0)", kConvolution = "convolution";

// The sums of the second branch move to those of the first, with the convolution that they read.
TEST(GatherMaps, BringsTheMapsOfBranchesTogether) {
  const Order order = gathered([](V s) {
    const Value a = sum(convolution(s[0], s[2], Value(), same_size()), {0, 2, 3});
    const Value b = sum(convolution(s[1], s[2], Value(), same_size()), {0, 2, 3});
    return std::vector<Value>{a, b};
  });
  EXPECT_EQ(order, (Order{kConvolution, kConvolution, kSum, kSum}));
}

TEST(GatherMaps, LeavesMapsThatDependOnEachOther) {
  const Order order = gathered([](V s) {
    const Value a = relu(convolution(s[0], s[2], Value(), same_size()));
    return std::vector<Value>{relu(convolution(a, s[2], Value(), same_size()))};
  });
  EXPECT_EQ(order, (Order{kConvolution, kRelu, kConvolution, kRelu}));
}

// The relu of y is computed in place, unless a pool reads y after it.
TEST(GatherMaps, LeavesMapsThatWouldNeedMoreMemory) {
  const auto branches = [](bool pools) {
    return gathered([pools](V s) {
      std::vector<Value> results{relu(convolution(s[0], s[2], Value(), same_size()))};
      const Value y = convolution(s[1], s[2], Value(), same_size());
      if (pools) results.push_back(sum_pool(y, {{2, 2}, {2, 2}, {0, 0}}, {8, 8}));
      results.push_back(relu(y));
      return results;
    });
  };
  EXPECT_EQ(branches(false), (Order{kConvolution, kConvolution, kRelu, kRelu}));
  EXPECT_EQ(branches(true), (Order{kConvolution, kRelu, kConvolution, "sum_pool", kRelu}));
}

TEST(GatherMaps, LeavesSmallMapsAndOtherFormulas) {
  const Order order = gathered([](V s) {
    const Value x = convolution(s[0], s[2], Value(), same_size()), y = convolution(s[1], s[2], Value(), same_size());
    const Value a = tanh(sum(x, {0, 2, 3})), b = sum(x, {2, 3}), c = tanh(sum(y, {0, 2, 3}));
    return std::vector<Value>{a, b, c};
  });
  EXPECT_EQ(order, (Order{kConvolution, kConvolution, kSum, kSum, "tanh(in0)", "sum[2,3] in0", "tanh(in0)"}));
}

}  // namespace
}  // namespace trainer
