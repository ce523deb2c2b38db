// Tests the results of the passes on typical chains: the number of steps, reorders, and the memory of results.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "compile/differentiate.h"
#include "compile/evaluate.h"
#include "layers/run_graph.h"
#include "layers/shared/standardize.h"

namespace trainer {
namespace {

const Shape kImages{4, 8, 16, 16};
const Shape kFilters{8, 8, 3, 3};
using V = const std::vector<Value>&;

ConvolutionAttributes same_size() { return {1, {1, 1}, {1, 1}, {1, 1}, {}}; }

int count_steps(const Program& program, OpKind kind) {
  return static_cast<int>(std::count_if(program.steps.begin(), program.steps.end(),
                                        [&](const Step& step) { return step.op.kind == kind; }));
}

// The number of maps with as many elements as `shape`.
int count_passes(const Program& program, const Shape& shape) {
  return static_cast<int>(std::count_if(program.steps.begin(), program.steps.end(), [&](const Step& step) {
    return step.op.kind == OpKind::kMap && step.op.as<MapBody>().domain.count() == shape.count();
  }));
}

// The number of reorders between two computed values, without those of sources and results.
int count_inner_reorders(const Program& program) {
  int count = 0;
  for (const Step& step : program.steps) {
    if (step.op.kind != OpKind::kReorder) continue;
    const int input = step.op.inputs[0], output = step.op.outputs[0];
    const bool given = program.values[static_cast<size_t>(input)].placement.kind != Placement::kArena;
    const bool wanted = std::find(program.results.begin(), program.results.end(), output) != program.results.end();
    count += !given && !wanted;
  }
  return count;
}

Value batch_norm(Value x) {
  const std::vector<int> axes{0, 2, 3};
  const float count = static_cast<float>(x.shape().count()) / static_cast<float>(x.shape()[1]);
  const Value centred = x - sum(x, axes) / count;
  return centred / sqrt(sum(centred * centred, axes) / count + 1e-5f);
}

TEST(Passes, ReluMovesIntoTheConvolution) {
  Bench bench;
  Evaluation run(bench, {kImages, kFilters, Shape{8}},
                 [](Graph&, V s) { return std::vector<Value>{relu(convolution(s[0], s[1], s[2], same_size()))}; });
  EXPECT_EQ(count_steps(run.program(), OpKind::kMap), 0);
  ASSERT_EQ(count_steps(run.program(), OpKind::kConvolution), 1);
  for (const Step& step : run.program().steps) {
    if (step.op.kind == OpKind::kConvolution) {
      EXPECT_TRUE(step.op.as<ConvolutionAttributes>().epilogue.relu);
    }
  }
}

// The gradient of a relu reads its result: the convolution's own result is not stored, whatever reads the relu.
TEST(Passes, ReluThatAPoolReadsMovesIntoTheConvolutionInTraining) {
  const auto build = [](float slope) {
    return [slope](Graph& graph, V s) {
      const Value y = relu(convolution(s[0], s[1], s[2], same_size()), slope);
      const Value pooled = max_pool(y, {{2, 2}, {2, 2}, {0, 0}}, {8, 8}).y;
      return differentiate(graph, reshape(sum(pooled * pooled, {0, 1, 2, 3}), Shape{}), {s[1], s[2]});
    };
  };
  Bench bench;
  for (const float slope : {0.0f, 0.25f, -0.25f}) {
    Evaluation run(bench, {kImages, kFilters, Shape{8}}, build(slope));
    // The gradient of the relu takes one pass over the images. Of a negative slope it reads the operand.
    EXPECT_EQ(count_passes(run.program(), kImages), slope < 0 ? 2 : 1) << slope;
  }
}

TEST(Passes, ReluStaysWhereItsOperandIsReadElsewhere) {
  Bench bench;
  Evaluation run(bench, {kImages, kFilters, Shape{8}}, [](Graph&, V s) {
    const Value y = convolution(s[0], s[1], s[2], same_size());
    return std::vector<Value>{relu(y), y};
  });
  for (const Step& step : run.program().steps) {
    if (step.op.kind == OpKind::kConvolution) {
      EXPECT_FALSE(step.op.as<ConvolutionAttributes>().epilogue.relu);
    }
  }
}

// One pass each for mean and variance, and one for everything after them.
TEST(Passes, BatchNormScaleReluIsThreePassesOverMemory) {
  Bench bench;
  Evaluation run(bench, {kImages, Shape{1, 8, 1, 1}, Shape{1, 8, 1, 1}},
                 [](Graph&, V s) { return std::vector<Value>{relu(batch_norm(s[0]) * s[1] + s[2])}; });
  EXPECT_EQ(count_passes(run.program(), kImages), 3);
}

// Batch norm with global statistics and the scale after it fold into the convolution: no pass over the activations
// remains.
TEST(Passes, ScalesFoldIntoTheConvolution) {
  Bench bench;
  const Shape channels{1, 8, 1, 1};
  const std::vector<Shape> shapes{kImages, kFilters, Shape{8}, channels, channels, channels, channels};
  Evaluation run(bench, shapes, [](Graph&, V s) {
    const Value y = convolution(s[0], s[1], s[2], same_size());
    return std::vector<Value>{relu((y - s[3]) / s[4] * s[5] * 0.5f + s[6])};
  });
  EXPECT_EQ(count_passes(run.program(), kImages), 0);
  // The convolution's own result is needed as well: it stays.
  Evaluation apart(bench, shapes, [](Graph&, V s) {
    const Value y = convolution(s[0], s[1], s[2], same_size());
    return std::vector<Value>{relu((y - s[3]) / s[4] * s[5] * 0.5f + s[6]), y};
  });
  EXPECT_EQ(count_passes(apart.program(), kImages), 1);
  std::vector<std::vector<float>> values;
  for (size_t i = 0; i < shapes.size(); ++i)
    values.push_back(random_values(shapes[i], i + 1, i == 4 ? 0.5f : -1, 1.5f));
  const std::vector<float> folded = run(values)[0], plain = apart(values)[0];
  for (size_t i = 0; i < plain.size(); ++i) ASSERT_NEAR(folded[i], plain[i], 2e-4f) << i;
}

// For one image with one pixel, a convolution's result has the shape of per-channel factors: two such results that are
// added must not fold.
TEST(Passes, ConvolutionsThatAreAddedStay) {
  Bench bench;
  const Shape image{1, 8, 3, 3};
  const ConvolutionAttributes whole{1, {1, 1}, {0, 0}, {1, 1}, {}};
  Evaluation run(bench, {image, kFilters, kFilters}, [&](Graph&, V s) {
    return std::vector<Value>{convolution(s[0], s[1], Value(), whole) + convolution(s[0], s[2], Value(), whole)};
  });
  EXPECT_EQ(count_steps(run.program(), OpKind::kConvolution), 2);
}

TEST(Passes, SiblingsShareAPass) {
  Bench bench;
  Evaluation run(bench, {kImages}, [](Graph&, V s) {
    return std::vector<Value>{tanh(s[0]), sum(s[0] * s[0], {0, 2, 3})};
  });
  EXPECT_EQ(count_passes(run.program(), kImages), 1);
}

TEST(Passes, AChainOfLayersIsNotReorderedInside) {
  Bench bench;
  Evaluation run(bench, {kImages, kFilters, kFilters}, [](Graph&, V s) {
    const Value first = relu(batch_norm(convolution(s[0], s[1], Value(), same_size())));
    const Value pooled = max_pool(first, {{2, 2}, {2, 2}, {0, 0}}, {8, 8}).y;
    return std::vector<Value>{relu(batch_norm(convolution(pooled, s[2], Value(), same_size())))};
  });
  EXPECT_EQ(count_inner_reorders(run.program()), 0);
}

TEST(Passes, AnUpdateIsComputedInItsState) {
  Bench bench;
  bench.store.add("weights", Shape{1000});
  Evaluation run(bench, {Shape{1000}}, [](Graph& graph, V s) {
    graph.write_state("weights", graph.read_state({"weights", Shape{1000}}) - s[0] * 0.5f);
    return std::vector<Value>{};
  });
  ASSERT_EQ(run.program().steps.size(), 1u);
  const int output = run.program().steps[0].op.outputs[0];
  EXPECT_EQ(run.program().values[static_cast<size_t>(output)].placement.kind, Placement::kState);
  run({std::vector<float>(1000, 1.0f)});
  EXPECT_EQ(bench.store.read("weights"), std::vector<float>(1000, -0.5f));
}

TEST(Passes, StatesCanChangePlaces) {
  Bench bench;
  for (const char* name : {"a", "b"}) {
    bench.store.add(name, Shape{100});
    bench.store.write(name, std::vector<float>(100, *name == 'a' ? 1.0f : 2.0f).data());
  }
  Evaluation run(bench, {Shape{100}}, [](Graph& graph, V) {
    const Value a = graph.read_state({"a", Shape{100}}), b = graph.read_state({"b", Shape{100}});
    graph.write_state("a", b);
    graph.write_state("b", a);
    return std::vector<Value>{a};
  });
  const auto results = run({std::vector<float>(100, 0.0f)});
  EXPECT_EQ(results[0], std::vector<float>(100, 1.0f));
  EXPECT_EQ(bench.store.read("a"), std::vector<float>(100, 2.0f));
  EXPECT_EQ(bench.store.read("b"), std::vector<float>(100, 1.0f));
}

// The backward pass recomputes a map from the convolution's output: only the latter is kept.
TEST(Passes, AValueThatCanBeRecomputedIsNotKept) {
  Bench bench;
  const auto build = [](Graph& graph, V s) {
    graph.set_context(0, Pass::kForward);
    const Value y = convolution(s[0], s[1], Value(), same_size());
    const Value z = tanh(y) * 2.0f + y;
    const Value pooled = max_pool(z, {{2, 2}, {2, 2}, {0, 0}}, {8, 8}).y;
    const Value far = convolution(pooled, s[1], Value(), same_size());
    graph.set_context(0, Pass::kBackward);
    return std::vector<Value>{sum(far * far, {0, 1, 2, 3}), sum(z * y, {0, 2, 3})};
  };
  Evaluation run(bench, {kImages, kFilters}, build);
  // z is computed for the pool and recomputed at the end, within the sum.
  EXPECT_EQ(count_passes(run.program(), kImages), 2);
  const Step& last = *std::find_if(run.program().steps.rbegin(), run.program().steps.rend(), [](const Step& step) {
    return step.op.kind == OpKind::kMap && step.op.as<MapBody>().domain == kImages;
  });
  EXPECT_EQ(last.op.inputs.size(), 1u);
}

// The number of tensors of this shape that maps of the backward pass read and write.
int count_tensors_of_backward_maps(const Program& program, const Shape& shape) {
  int count = 0;
  for (const Step& step : program.steps) {
    if (step.op.kind != OpKind::kMap || step.op.pass() != Pass::kBackward) continue;
    for (const auto* list : {&step.op.inputs, &step.op.outputs})
      count += static_cast<int>(std::count_if(list->begin(), list->end(), [&](int value) {
        return program.values[static_cast<size_t>(value)].desc.shape == shape;
      }));
  }
  return count;
}

// The relu's result is kept for the next convolution, but the gradients do not read it.
TEST(Passes, TheGradientOfABatchNormRecomputesTheRelu) {
  const std::vector<Shape> shapes{kImages, kFilters, Shape{1, 8, 1, 1}, Shape{1, 8, 1, 1}, kImages};
  for (const float slope : {0.0f, 0.25f, -0.25f}) {
    const auto build = [slope](Graph& graph, V s) {
      const Value y = convolution(s[0], s[1], Value(), same_size());
      const Value z = relu(standardize(y, {0, 2, 3}, 1e-5f).y * s[2] + s[3], slope);
      const Value loss = reshape(sum(convolution(z, s[1], Value(), same_size()) * s[4], {0, 1, 2, 3}), Shape{});
      return differentiate(graph, loss, {s[1], s[2], s[3]});
    };
    Bench bench;
    Evaluation run(bench, shapes, build);
    // 2 by the gradient of the loss. Sums and gradient of y read y and the gradient of z; the latter also has a result.
    EXPECT_EQ(count_tensors_of_backward_maps(run.program(), kImages), 2 + 2 + 3) << slope;

    Graph plain;
    std::map<std::string, std::vector<float>> given;
    std::vector<Value> sources;
    std::vector<std::vector<float>> values;
    for (size_t i = 0; i < shapes.size(); ++i) {
      const std::string name = "s" + std::to_string(i);
      values.push_back(random_values(shapes[i], i + 1));
      given[name] = values.back();
      sources.push_back(plain.add_source(name, shapes[i]));
    }
    const std::vector<Value> wanted = build(plain, sources);
    const GraphRun expected(plain, given);
    const auto results = run(values);
    for (size_t i = 0; i < wanted.size(); ++i) {
      const std::vector<float> reference = expected[wanted[i]];
      for (size_t k = 0; k < reference.size(); ++k)
        ASSERT_NEAR(results[i][k], reference[k], 1e-3f * std::max(1.0f, std::fabs(reference[k]))) << slope << " " << i;
    }
  }
}

// The gradient of the sum goes to both operands: it is stored once, also for the gradient of the scale's result.
TEST(Passes, TheGradientOfAResidualIsStoredOnce) {
  Bench bench;
  Evaluation run(bench, {kImages, kFilters, Shape{1, 8, 1, 1}, kImages}, [](Graph& graph, V s) {
    const Value x = convolution(s[0], s[1], Value(), same_size());
    const Value y = convolution(x, s[1], Value(), same_size());
    const Value z = relu(x + standardize(y, {0, 2, 3}, 1e-5f).y * s[2]);
    const Value out = convolution(z, s[1], Value(), same_size());
    return differentiate(graph, reshape(sum(out * s[3], {0, 1, 2, 3}), Shape{}), {s[1], s[2]});
  });
  // 2 by the gradient of the loss, 4 by the sums (they read y, z and its gradient, and store that of the sum), and 3
  // each by the gradients of y and x.
  EXPECT_EQ(count_tensors_of_backward_maps(run.program(), kImages), 2 + 4 + 3 + 3);
}

}  // namespace
}  // namespace trainer
