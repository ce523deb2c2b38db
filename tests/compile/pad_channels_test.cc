// Tests the padding of channels: the ops that it adds, and that it changes no value.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "compile/differentiate.h"
#include "compile/evaluate.h"
#include "compile/passes.h"
#include "compile/plan.h"

namespace trainer {
namespace {

const Shape kImages{4, 3, 64, 64}, kFilters{64, 3, 5, 5}, kBias{64};

// A convolution's result, and the gradients of the sum of its squares.
Module convolution_module(const Shape& images) {
  Module module;
  Graph& graph = *module.graph;
  const std::vector<Value> s{graph.add_source("x", images), graph.add_source("w", kFilters),
                             graph.add_source("b", kBias)};
  const Value y = convolution(s[0], s[1], s[2], {1, {1, 1}, {2, 2}, {1, 1}, {}});
  module.results.push_back(y.id());
  const Value loss = reshape(sum(y * y, {0, 1, 2, 3}), Shape{});
  for (const Value& gradient : differentiate(graph, loss, s)) module.results.push_back(gradient.id());
  return simplify(module);
}

int count_ops(const Graph& graph, OpKind kind) {
  return static_cast<int>(
      std::count_if(graph.ops.begin(), graph.ops.end(), [&](const Op& op) { return op.kind == kind; }));
}

std::vector<std::vector<float>> results_of(const Module& module) {
  Bench bench;
  const bool packs = bench.device->reads_packed_weights();
  const std::unique_ptr<Program> program = plan(assign_orders(module, packs), *bench.device, bench.store, bench.arena);
  const SourceMemory memory(*bench.device, *program,
                            {random_values(kImages, 1), random_values(kFilters, 2), random_values(kBias, 3)});
  program->run({});
  std::vector<std::vector<float>> results(program->results.size());
  for (size_t i = 0; i < results.size(); ++i) {
    results[i].resize(static_cast<size_t>(program->result_desc(static_cast<int>(i)).shape.count()));
    program->read_result(static_cast<int>(i), results[i].data());
  }
  return results;
}

TEST(PadChannels, ChangesNoValue) {
  const Module plain = convolution_module(kImages), padded = pad_channels(convolution_module(kImages), 8);
  EXPECT_EQ(count_ops(*padded.graph, OpKind::kPad), 2);  // forward and backward share the image
  EXPECT_EQ(count_ops(*padded.graph, OpKind::kSlice), 1);
  const auto expected = results_of(plain), got = results_of(padded);
  ASSERT_EQ(got.size(), expected.size());
  for (size_t result = 0; result < expected.size(); ++result) {
    ASSERT_EQ(got[result].size(), expected[result].size());
    float largest = 0;
    for (const float value : expected[result]) largest = std::max(largest, std::abs(value));
    for (size_t i = 0; i < expected[result].size(); ++i)
      ASSERT_NEAR(got[result][i], expected[result][i], 1e-4f * largest) << "result " << result << ", element " << i;
  }
}

// The pad reads the floats and writes the narrow type.
TEST(PadChannels, TakesOverAConversion) {
  const Module narrow = pad_channels(lower_precision(convolution_module(kImages), DType::kBF16), 8);
  for (const Op& op : narrow.graph->ops) {
    if (op.kind != OpKind::kConvolution) continue;
    const Op& pad = narrow.graph->producer(op.inputs[0]);
    ASSERT_EQ(pad.kind, OpKind::kPad);
    EXPECT_EQ(narrow.graph->desc(pad.outputs[0]).dtype, DType::kBF16);
    EXPECT_EQ(narrow.graph->producer(pad.inputs[0]).kind, OpKind::kSource);
  }
}

TEST(PadChannels, LeavesSmallConvolutionsAndEnoughChannels) {
  EXPECT_EQ(count_ops(*pad_channels(convolution_module({1, 3, 8, 8}), 8).graph, OpKind::kPad), 0);
  EXPECT_EQ(count_ops(*pad_channels(convolution_module(kImages), 2).graph, OpKind::kPad), 0);
}

}  // namespace
}  // namespace trainer
