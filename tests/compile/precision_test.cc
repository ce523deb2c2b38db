// Tests lower precision: the values that become narrow, and that results stay near those in f32.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "compile/differentiate.h"
#include "compile/evaluate.h"
#include "compile/passes.h"

namespace trainer {
namespace {

const Shape kData{64, 16, 12, 12};
const Shape kFilters{32, 16, 3, 3}, kPixelFilters{64, 32, 1, 1}, kWeights{10, 64 * 6 * 6};

ConvolutionAttributes window(int64_t pad) { return {1, {1, 1}, {pad, pad}, {1, 1}, {}}; }

// Convolution, normalization, relu, 1 x 1 convolution, pooling, scores, and the log loss of the first class.
struct SmallNet {
  Module module;
  Value convolved, pooled, scores;

  SmallNet() {
    Graph& graph = *module.graph;
    const Value x = graph.add_source("x", kData);
    const Value w1 = graph.read_state({"w1", kFilters}), w2 = graph.read_state({"w2", kPixelFilters}),
                w3 = graph.read_state({"w3", kWeights});
    convolved = convolution(x, w1, Value(), window(1));
    const std::vector<int> axes{0, 2, 3};
    const float count = static_cast<float>(convolved.shape().count()) / 32;
    const Value centred = convolved - sum(convolved, axes) / count;
    const Value normal = centred / sqrt(sum(centred * centred, axes) / count + 1e-5f);
    PoolAttributes pool;
    pool.kernel = pool.stride = {2, 2};
    pool.pad = {0, 0};
    pooled = sum_pool(convolution(relu(normal), w2, Value(), window(0)), pool, {6, 6});
    scores = matmul(reshape(pooled, {64, 64 * 6 * 6}), w3, Value(), false, true);
    const Value shifted = scores - max(scores, {1});
    const Value loss = reshape(sum(log(sum(exp(shifted), {1})) - slice(shifted, 1, 0, 1), {0, 1}) / 64.0f, Shape{});
    module.results.push_back(loss.id());
    for (const Value& gradient : differentiate(graph, loss, {w1, w2, w3})) module.results.push_back(gradient.id());
  }
};

std::vector<std::vector<float>> run(DType precision) {
  Bench bench;
  SmallNet net;
  std::vector<Shape> shapes{kFilters, kPixelFilters, kWeights};
  const char* names[] = {"w1", "w2", "w3"};
  for (size_t i = 0; i < shapes.size(); ++i) {
    bench.store.add(names[i], shapes[i]);
    const float scale = std::sqrt(3.0f / static_cast<float>(shapes[i].count(1)));
    bench.store.write(names[i], random_values(shapes[i], i + 1, -scale, scale).data());
  }
  const std::unique_ptr<Program> program =
      compile(std::move(net.module), *bench.device, bench.store, bench.arena, {Fusion::kOn, precision});
  std::vector<float> x =
      in_order(program->values[static_cast<size_t>(program->sources[0].value)].desc, random_values(kData, 9));
  program->set_source(0, x.data());
  program->run({});
  std::vector<std::vector<float>> results(program->results.size());
  for (size_t i = 0; i < results.size(); ++i) {
    EXPECT_EQ(program->result_desc(static_cast<int>(i)).dtype, DType::kF32);
    results[i].resize(static_cast<size_t>(program->result_desc(static_cast<int>(i)).shape.count()));
    program->read_result(static_cast<int>(i), results[i].data());
  }
  return results;
}

TEST(Precision, GradientsStayNearThoseOfFloats) {
  const auto exact = run(DType::kF32), rounded = run(DType::kBF16);
  EXPECT_NEAR(rounded[0][0], exact[0][0], 0.01f * exact[0][0]);
  for (size_t i = 1; i < exact.size(); ++i) {
    double difference = 0, size = 0;
    for (size_t k = 0; k < exact[i].size(); ++k) {
      difference += std::pow(static_cast<double>(rounded[i][k]) - static_cast<double>(exact[i][k]), 2);
      size += std::pow(static_cast<double>(exact[i][k]), 2);
    }
    EXPECT_LT(std::sqrt(difference / size), 0.05) << "gradient " << i;
    EXPECT_GT(difference, 0) << "gradient " << i << " was not computed in bf16 at all";
  }
}

void expect_narrow(DType narrow) {
  SmallNet net;
  const std::vector<int> wide{net.scores.id(), net.module.results[1], net.module.results[2], net.module.results[3]};
  const Module lowered = lower_precision(net.module, narrow);
  const Graph& graph = *lowered.graph;
  for (const Op& op : graph.ops) {
    for (int output : op.outputs) {
      const DType dtype = graph.desc(output).dtype;
      switch (op.kind) {
        case OpKind::kStateRead:
        case OpKind::kSource:
        case OpKind::kConvolutionWeightGradient: EXPECT_EQ(dtype, DType::kF32) << name_of(op.kind); break;
        case OpKind::kConvolution:
        case OpKind::kConvolutionInputGradient:
        case OpKind::kSumPoolGradient: EXPECT_EQ(dtype, narrow) << name_of(op.kind); break;
        case OpKind::kSumPool: EXPECT_EQ(dtype, narrow == DType::kF16 ? DType::kF32 : narrow); break;
        case OpKind::kMap:
          for (const MapNode& node : op.as<MapBody>().nodes) {
            if (node.fn == Fn::kExp || node.fn == Fn::kLog) {
              EXPECT_EQ(dtype, DType::kF32);
            }
          }
          break;
        default: break;
      }
    }
    if (op.kind == OpKind::kConvolution) {
      EXPECT_EQ(graph.desc(op.inputs[0]).dtype, narrow);
      EXPECT_EQ(graph.desc(op.inputs[1]).dtype, DType::kF32);  // the kernel rounds them as it packs them
    }
  }
  for (int result : lowered.results) EXPECT_EQ(graph.desc(result).dtype, DType::kF32);
}

TEST(Precision, ActivationsAreNarrowAndParametersAreNot) {
  for (const DType narrow : {DType::kBF16, DType::kF16}) expect_narrow(narrow);
}

// One reorder packs a weight for all its readers, before the first of them. Gradients are written at the end.
TEST(Precision, WeightsArePackedOnceInAPass) {
  for (const DType narrow : {DType::kF32, DType::kBF16}) {
    SCOPED_TRACE(name_of(narrow));
    const SmallNet net;
    Module module = simplify(net.module);
    if (narrow != DType::kF32) module = lower_precision(module, narrow, true);
    module = gather_packs(assign_orders(module, true), std::numeric_limits<int64_t>::max());
    const Graph& graph = *module.graph;
    int packs = 0, unpacks = 0;
    bool has_begun = false;
    for (const Op& op : graph.ops) {
      const auto is_last = [&](int value) {
        return std::count(module.results.begin(), module.results.end(), value) > 0;
      };
      if (op.kind == OpKind::kReorder && graph.producer(op.inputs[0]).kind == OpKind::kStateRead) {
        EXPECT_FALSE(has_begun) << "a pack after other ops";
        ++packs;
      } else if (op.kind == OpKind::kReorder && is_last(op.outputs[0])) {
        EXPECT_EQ(graph.producer(op.inputs[0]).kind, OpKind::kConvolutionWeightGradient);
        ++unpacks;
      } else if (op.kind != OpKind::kStateRead && op.kind != OpKind::kSource) {
        has_begun = true;
        EXPECT_EQ(unpacks, 0) << "an op after the gradients";
      }
      if (op.kind != OpKind::kConvolution && op.kind != OpKind::kConvolutionInputGradient) continue;
      const TensorDesc& weights = graph.desc(op.inputs[1]);
      EXPECT_EQ(weights.dtype, narrow);
      EXPECT_TRUE(has_format(weights, MemoryFormat::kChannelsLast));
    }
    // The 1 x 1 filters have both orders, and the inner product's weights have no order.
    EXPECT_EQ(packs, narrow == DType::kF32 ? 1 : 3);
    EXPECT_EQ(unpacks, narrow == DType::kF32 ? 1 : 2);
    for (int result : module.results) {
      EXPECT_EQ(graph.desc(result).dtype, DType::kF32);
      EXPECT_TRUE(has_format(graph.desc(result), MemoryFormat::kRowMajor));
    }
  }
}

// If devices sum gradients, the gradient of the last filter is complete before the pass computes that of the first.
TEST(Precision, GradientsInSmallGroupsAreWrittenDuringThePass) {
  for (const bool small : {true, false}) {
    const SmallNet net;
    Module module = lower_precision(simplify(net.module), DType::kBF16, true);
    module = gather_packs(assign_orders(module, true), small ? 1 : kPixelFilters.count() * size_of(DType::kF32) + 1);
    const Graph& graph = *module.graph;
    std::vector<Shape> written;
    for (size_t i = 0; i < graph.ops.size(); ++i) {
      const Op& op = graph.ops[i];
      if (op.kind != OpKind::kReorder || graph.producer(op.inputs[0]).kind == OpKind::kStateRead) continue;
      if (graph.producer(op.inputs[0]).kind != OpKind::kConvolutionWeightGradient) continue;
      written.push_back(graph.desc(op.outputs[0]).shape);
      const OpKind before = graph.ops[i - 1].kind;
      const bool together = !small && written.size() == 2;
      EXPECT_EQ(before, together ? OpKind::kReorder : OpKind::kConvolutionWeightGradient);
    }
    EXPECT_EQ(written, (std::vector<Shape>{kPixelFilters, kFilters}));
  }
}

// The largest float16 is 65504, just below 256 squared.
TEST(Precision, SumsOfSquaresOverWindowsAreFloats) {
  Module module;
  const Value x = module.graph->add_source("x", kData), w = module.graph->read_state({"w", kFilters});
  const Value convolved = convolution(x, w, Value(), window(1));
  PoolAttributes pool;
  pool.kernel = {3, 3};
  pool.stride = pool.pad = {1, 1};
  const Value sums = sum_pool(convolved * convolved, pool, {12, 12});
  module.results.push_back(
      convolution(sums / 9, module.graph->read_state({"w2", kPixelFilters}), Value(), window(0)).id());
  const Module lowered = lower_precision(module, DType::kF16);
  for (const Op& op : lowered.graph->ops) {
    if (op.kind != OpKind::kSumPool) continue;
    EXPECT_EQ(lowered.graph->desc(op.inputs[0]).dtype, DType::kF32);
    EXPECT_EQ(lowered.graph->desc(op.outputs[0]).dtype, DType::kF32);
  }
}

// A Deconvolution that is a net's output: its result is converted to f32 after it, and no step uses a reference kernel.
TEST(Precision, AnInputGradientThatIsAResultHasAFastKernel) {
  Bench bench;
  Module module;
  const Value x = module.graph->add_source("x", {4, 32, 14, 14}),
              w = module.graph->read_state({"w", Shape{32, 16, 4, 4}});
  module.results.push_back(
      convolution_input_gradient(x, w, Value(), Shape{4, 16, 28, 28}, {1, {2, 2}, {1, 1}, {1, 1}, {}}).id());
  const std::string refused = bench.device->refuse_precision(Precision::kBF16);
  if (!refused.empty()) GTEST_SKIP() << refused;
  const std::unique_ptr<Program> program =
      compile(std::move(module), *bench.device, bench.store, bench.arena, {Fusion::kOn, DType::kBF16});
  for (const Step& step : program->steps) EXPECT_NE(step.implementation, "reference") << name_of(step.op.kind);
  EXPECT_EQ(program->result_desc(0).dtype, DType::kF32);
}

// Common factors move out of sums, so that sums of the same product become one.
TEST(FactorSums, EqualSumsAreOne) {
  Bench bench;
  const Shape images{4, 8, 16, 16}, channels{1, 8, 1, 1};
  Evaluation evaluate(bench, {images, images, channels, channels}, [](Graph&, const std::vector<Value>& s) {
    const std::vector<int> axes{0, 2, 3};
    return std::vector<Value>{sum(s[0] * s[1], axes), sum(s[0] * s[2] * s[1], axes),
                              sum(s[1] * (s[0] / s[3]) * s[2], axes)};
  });
  size_t sums = 0;
  for (const Step& step : evaluate.program().steps) {
    if (step.op.kind != OpKind::kMap) continue;
    for (const MapOutput& output : step.op.as<MapBody>().outputs) sums += output.reduction == Reduction::kSum;
  }
  EXPECT_EQ(sums, 1u);
  const std::vector<float> a = random_values(images, 1), b = random_values(images, 2), c = random_values(channels, 3),
                           d = random_values(channels, 4, 1, 2);
  const auto results = evaluate({a, b, c, d});
  for (size_t channel = 0; channel < 8; ++channel) {
    double expected = 0;
    for (size_t n = 0; n < 4; ++n) {
      for (size_t i = 0; i < 256; ++i) {
        const size_t at = (n * 8 + channel) * 256 + i;
        expected += static_cast<double>(a[at]) * static_cast<double>(b[at]);
      }
    }
    EXPECT_NEAR(results[0][channel], expected, 1e-3);
    EXPECT_NEAR(results[1][channel], expected * static_cast<double>(c[channel]), 1e-3);
    EXPECT_NEAR(results[2][channel], expected * static_cast<double>(c[channel] / d[channel]), 1e-3);
  }
}

}  // namespace
}  // namespace trainer
