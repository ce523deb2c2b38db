// The fixed kernels of the CUDA device, compiled as C++ and run on an emulator of thread blocks, against the CPU's
// reference.
#include <gtest/gtest.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>

#include "device/cuda/fixed_kernel.h"
#include "device/cuda/kernels/convolution.h"
#include "device/cuda/kernels/copy.h"
#include "device/cuda/kernels/depthwise.h"
#include "device/cuda/kernels/interpreter.h"
#include "device/cuda/kernels/lrn.h"
#include "device/cuda/kernels/matmul.h"
#include "device/cuda/kernels/pad.h"
#include "device/cuda/kernels/pool.h"
#include "device/cuda/kernels/recurrence.h"
#include "device/far_cases.h"
#include "device/map_generator.h"
#include "device/narrow_cases.h"

namespace trainer::cpu {
namespace {

static_assert(static_cast<int>(cuda::ElementType::kF32) == static_cast<int>(DType::kF32));
static_assert(static_cast<int>(cuda::ElementType::kBF16) == static_cast<int>(DType::kBF16));
static_assert(static_cast<int>(cuda::ElementType::kF16) == static_cast<int>(DType::kF16));
static_assert(static_cast<int>(cuda::ElementType::kS32) == static_cast<int>(DType::kS32));
static_assert(static_cast<int>(cuda::ElementType::kU8) == static_cast<int>(DType::kU8));

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

void check_launch(cudaError_t result) { ASSERT_EQ(result, cudaSuccess); }

// The addresses of a run, valid as long as it is.
cuda::Addresses addresses_of(OpRun& run) {
  run.at_inputs.clear();
  run.at_outputs.clear();
  for (Bytes& input : run.inputs) run.at_inputs.push_back(input.data());
  for (Bytes& output : run.outputs) run.at_outputs.push_back(output.data());
  return {run.at_inputs, run.at_outputs};
}

void run_copy(OpRun& run) {
  if (run.c.op->kind == OpKind::kReshape)
    return check_launch(cuda::launch_reshape(cuda::reshape_arguments(run.c.instance, addresses_of(run)), nullptr));
  for (const cuda::CopyLaunch& launch : cuda::copy_launches(run.c.instance, addresses_of(run)))
    check_launch(cuda::launch_copies(launch, nullptr));
}

void launch_pool(OpKind kind, const cuda::PoolArguments& a) {
  const auto launch = kind == OpKind::kMaxPool           ? cuda::launch_max_pool
                      : kind == OpKind::kMaxPoolGradient ? cuda::launch_max_pool_gradient
                      : kind == OpKind::kSumPool         ? cuda::launch_sum_pool
                                                         : cuda::launch_sum_pool_gradient;
  check_launch(launch(a, nullptr));
}
void run_pool(OpRun& run) { launch_pool(run.c.op->kind, cuda::pool_arguments(run.c.instance, addresses_of(run))); }

void run_lrn(OpRun& run) {
  const cuda::LrnArguments a = cuda::lrn_arguments(run.c.instance, addresses_of(run));
  const auto launch = run.c.op->kind == OpKind::kLrn ? cuda::launch_lrn : cuda::launch_lrn_gradient;
  check_launch(launch(a, nullptr));
}

void run_matmul(OpRun& run) {
  check_launch(cuda::launch_matmul(cuda::matmul_arguments(run.c.instance, addresses_of(run)), nullptr));
}

void launch_convolution(OpKind kind, const cuda::ConvolutionArguments& a) {
  const auto launch = kind == OpKind::kConvolution                 ? cuda::launch_convolution
                      : kind == OpKind::kConvolutionWeightGradient ? cuda::launch_convolution_weight_gradient
                                                                   : cuda::launch_convolution_input_gradient;
  check_launch(launch(a, nullptr));
}

// Returns whether the sums of a weight gradient were split into parts.
bool run_convolution(OpRun& run) {
  const OpKind kind = run.c.op->kind;
  const bool weights = kind == OpKind::kConvolutionWeightGradient;
  cuda::ConvolutionArguments a = cuda::convolution_arguments(run.c.instance, addresses_of(run));
  std::vector<float> partial(weights ? static_cast<size_t>(cuda::partial_floats(a)) : 0, kNaN);
  if (!partial.empty()) a.partial = partial.data();
  launch_convolution(kind, a);
  return !partial.empty();
}

bool is_depthwise(const OpCase& c) {
  const ConvolutionGeometry g = convolution_geometry(c.instance);
  const ConvolutionOperands operands = convolution_operands(c.instance);
  return g.group > 1 && g.inputs == 1 && g.outputs == 1 && g.windows.taps() <= cuda::kMaxDepthwiseTaps &&
         has_format(*operands.x, MemoryFormat::kChannelsLast) && has_format(*operands.y, MemoryFormat::kChannelsLast);
}

// Returns whether the sums of a weight gradient were split into parts.
bool run_depthwise(OpRun& run) {
  const OpKind kind = run.c.op->kind;
  const bool weights = kind == OpKind::kConvolutionWeightGradient;
  cuda::ConvolutionArguments a = cuda::convolution_arguments(run.c.instance, addresses_of(run));
  std::vector<float> partial(weights ? static_cast<size_t>(cuda::depthwise_partial_floats(a)) : 0, kNaN);
  a.partial = partial.data();
  const auto launch = kind == OpKind::kConvolution ? cuda::launch_depthwise
                      : weights                    ? cuda::launch_depthwise_weight_gradient
                                                   : cuda::launch_depthwise_input_gradient;
  check_launch(launch(a, nullptr));
  return !partial.empty();
}

void multiply(int64_t m, int64_t n, int64_t k, const float* a, const float* b, bool transpose_b, float* y) {
  cuda::MatmulArguments product;
  product.m = m;
  product.n = n;
  product.k = k;
  product.transpose_b = transpose_b;
  product.a = a;
  product.b = b;
  product.y = y;
  check_launch(cuda::launch_matmul(product, nullptr));
}

void run_recurrence(OpRun& run) {
  const bool lstm = run.c.op->as<RecurrenceAttributes>().cell == Cell::kLstm;
  const int64_t steps = run.in(0).shape[0], items = run.in(0).shape[1];
  const int64_t hidden = run.in(1).shape[1], sums = run.in(1).shape[0];
  const auto in = [&run](size_t i) { return run.optional_floats(i); };
  const auto out = [&run](size_t i) { return reinterpret_cast<float*>(run.outputs[i].data()); };
  const int64_t state = items * hidden, gate = items * sums;
  std::vector<float> product(static_cast<size_t>(gate), kNaN);
  for (int64_t t = 0; t < steps; ++t) {
    multiply(items, sums, hidden, t == 0 ? in(3) : out(0) + (t - 1) * state, in(1), true, product.data());
    cuda::RecurrenceStep step;
    step.items = items;
    step.hidden = hidden;
    step.p = in(0) + t * gate;
    step.product = product.data();
    step.cont = in(2) + t * items;
    step.h = out(0) + t * state;
    if (lstm) {
      step.c_before = t == 0 ? in(4) : out(1) + (t - 1) * state;
      step.c = out(1) + t * state;
      step.gates = out(2) + t * gate;
    }
    check_launch((lstm ? cuda::launch_lstm_step : cuda::launch_tanh_step)(step, nullptr));
  }
}

void run_recurrence_gradient(OpRun& run) {
  const bool lstm = run.c.op->as<RecurrenceAttributes>().cell == Cell::kLstm;
  const int64_t steps = run.in(0).shape[0], items = run.in(0).shape[1];
  const int64_t hidden = run.in(1).shape[1], sums = run.in(1).shape[0];
  const auto in = [&run](size_t i) { return run.optional_floats(i); };
  float* dp = reinterpret_cast<float*>(run.outputs[0].data());
  const int64_t state = items * hidden, gate = items * sums;
  std::vector<float> product(static_cast<size_t>(state), kNaN), dc = product;
  for (int64_t t = steps - 1; t >= 0; --t) {
    const bool last = t == steps - 1;
    if (!last) multiply(items, hidden, sums, dp + (t + 1) * gate, in(1), false, product.data());
    cuda::RecurrenceGradientStep step;
    step.items = items;
    step.hidden = hidden;
    step.g = in(0) + t * state;
    step.product = last ? nullptr : product.data();
    step.cont_after = last ? nullptr : in(2) + (t + 1) * items;
    step.dp = dp + t * gate;
    if (lstm) {
      step.c_before = t == 0 ? in(3) : in(4) + (t - 1) * state;
      step.c = in(4) + t * state;
      step.gates = in(5) + t * gate;
      step.dc = dc.data();
    } else {
      step.h = in(3) + t * state;
    }
    check_launch((lstm ? cuda::launch_lstm_gradient_step : cuda::launch_tanh_gradient_step)(step, nullptr));
  }
}

constexpr float kTolerance = 1e-5f;

// Runs every case on f32 (and bytes), and with `narrow` also on the 16-bit types.
template <typename Execute>
void check(const std::vector<OpCase>& cases, bool narrow, const Execute& execute, float tolerance = kTolerance) {
  for (const OpCase& c : cases) {
    std::vector<OpCase> variants = {c};
    if (narrow) variants.insert(variants.end(), {narrowed(c, DType::kBF16), narrowed(c, DType::kF16)});
    for (const OpCase& variant : variants) {
      OpRun run(variant, random_operands(variant));
      const std::vector<Bytes> expected = expected_of(variant, run.inputs);
      execute(run);
      if (testing::Test::HasFatalFailure()) return;
      expect_same(run, expected, tolerance);
    }
  }
}

TEST(CudaKernels, CopiesAgreeWithTheReference) {
  std::vector<OpCase> cases;
  add_copies(&cases);
  for (const OpCase& c : cases) {
    OpRun run(c, random_operands(c));
    const std::vector<Bytes> expected = run_kernel(reference_of(c.op->kind), c.instance, run.inputs, 1);
    run_copy(run);
    ASSERT_FALSE(HasFatalFailure());
    EXPECT_TRUE(expected == run.outputs) << c.name;
  }
}

TEST(CudaKernels, PixelPadsAgreeWithTheReference) {
  std::vector<OpCase> cases;
  add_pixel_pads(&cases);
  check(
      cases, false,
      [](OpRun& run) {
        check_launch(cuda::launch_pad(cuda::pad_arguments(run.c.instance, addresses_of(run)), nullptr));
      },
      0);
}

// Copies with more axes than ops have, in any order on both sides, with zeros around the source.
TEST(CudaKernels, CopiesAnyAxes) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    uint64_t drawn = 0;
    const auto draw = [seed, &drawn](int64_t end) {
      return static_cast<int64_t>(philox_element(seed, 0, drawn++) % static_cast<uint64_t>(end));
    };
    cuda::CopyArguments a;
    // Few long axes, which transpose, or many short axes.
    const bool few = draw(3) > 0;
    a.dims = static_cast<int>(few ? 2 + draw(3) : draw(cuda::kCopyDims + 1));
    a.element_bytes = 1 << draw(3);
    for (int i = 0; i < a.dims; ++i) a.extents[i] = few && draw(4) > 0 ? 8 + draw(a.dims < 4 ? 40 : 7) : 1 + draw(3);
    if (a.dims > 0 && draw(2) == 0) {
      a.padded = static_cast<int>(draw(a.dims));
      a.begin = draw(a.extents[a.padded]);
      a.end = a.begin + draw(a.extents[a.padded] - a.begin + 1);
    }
    const auto source_extent = [&a](int dim) { return dim == a.padded ? a.end - a.begin : a.extents[dim]; };
    std::vector<int> from_axes, to_axes;
    for (int i = 0; i < a.dims; ++i) {
      from_axes.insert(from_axes.begin() + draw(i + 1), i);
      to_axes.insert(to_axes.begin() + draw(i + 1), i);
    }
    int64_t from_count = 1, to_count = 1;
    for (int dim : from_axes) a.from_strides[dim] = from_count, from_count *= source_extent(dim);
    for (int dim : to_axes) a.to_strides[dim] = to_count, to_count *= a.extents[dim];
    const size_t size = static_cast<size_t>(a.element_bytes);
    // An odd seed offsets the source by one element, so that it is less aligned.
    std::vector<char> source(static_cast<size_t>(from_count + 1) * size);
    std::vector<char> expected(static_cast<size_t>(to_count) * size, 'x'), got = expected;
    for (size_t i = 0; i < source.size(); ++i) source[i] = static_cast<char>(philox_element(seed, 1, i));
    a.from = source.data() + (seed % 2 == 0 ? 0 : size);
    a.to = got.data();
    for (int64_t element = 0; element < to_count; ++element) {
      int64_t rest = element, from = 0, to = 0;
      bool inside = true;
      for (int dim = 0; dim < a.dims; ++dim) {
        int64_t at = rest % a.extents[dim];
        rest /= a.extents[dim];
        to += at * a.to_strides[dim];
        if (dim == a.padded) inside = at >= a.begin && at < a.end, at -= a.begin;
        from += at * a.from_strides[dim];
      }
      char* target = expected.data() + static_cast<size_t>(to) * size;
      if (inside) {
        std::memcpy(target, static_cast<const char*>(a.from) + static_cast<size_t>(from) * size, size);
      } else {
        std::memset(target, 0, size);
      }
    }
    cuda::CopyLaunch launch;
    launch.add(a);
    check_launch(cuda::launch_copies(launch, nullptr));
    ASSERT_FALSE(HasFatalFailure());
    ASSERT_TRUE(expected == got) << "seed " << seed;
  }
}

TEST(CudaKernels, OffsetsBeyond32BitsAreRight) {
  for (const FarCase& far : far_reads()) {
    SCOPED_TRACE(far.c.name);
    check_far(far, [&](std::vector<void*> in, std::vector<void*> out) {
      const OpInstance& instance = far.c.instance;
      const cuda::Addresses at{in, out};
      switch (instance.op->kind) {
        case OpKind::kSlice: return check_launch(cuda::launch_copies(cuda::copy_launches(instance, at)[0], nullptr));
        case OpKind::kMaxPool:
        case OpKind::kSumPool: return launch_pool(instance.op->kind, cuda::pool_arguments(instance, at));
        default: return launch_convolution(instance.op->kind, cuda::convolution_arguments(instance, at));
      }
    });
    ASSERT_FALSE(HasFatalFailure());
  }
}

TEST(CudaKernels, NarrowNumbersAreRoundedToTheEven) {
  std::vector<float> numbers = {0,   -0.0f, 1, -2, 65504, 65520, 1e-8f, FLT_MAX, std::numeric_limits<float>::infinity(),
                                kNaN};
  for (float step : {0x1p-9f, 0x1p-12f}) {
    for (int i = 0; i < 64; ++i) numbers.push_back(1 + static_cast<float>(i) * step);
  }
  const float one = 1;
  for (DType dtype : {DType::kBF16, DType::kF16}) {
    const int64_t count = static_cast<int64_t>(numbers.size());
    Bytes rounded(numbers.size()), expected(numbers.size());
    std::vector<float> back(numbers.size());
    cuda::MatmulArguments a;
    a.m = count;
    a.n = a.k = 1;
    a.a = numbers.data();
    a.b = &one;
    a.y = rounded.data();
    a.y_type = static_cast<cuda::ElementType>(dtype);
    check_launch(cuda::launch_matmul(a, nullptr));
    a.a = rounded.data();
    a.a_type = a.y_type;
    a.y = back.data();
    a.y_type = cuda::ElementType::kF32;
    check_launch(cuda::launch_matmul(a, nullptr));
    for (int64_t i = 0; i < count; ++i) {
      const float number = numbers[static_cast<size_t>(i)], read = back[static_cast<size_t>(i)];
      set_value(&expected, dtype, i, number);
      EXPECT_TRUE(std::isnan(number) ? std::isnan(read) : read == value_of(expected, dtype, i))
          << number << " is read as " << read;
    }
  }
}

TEST(CudaKernels, PoolsAgreeWithTheReference) {
  std::vector<OpCase> cases;
  add_pools(&cases);
  check(cases, true, run_pool);
}

// So many results that a thread computes several rows, and an odd number of rows.
TEST(CudaKernels, PoolsByRunsOfRowsAgreeWithTheReference) {
  std::vector<OpCase> cases;
  add_pool(&cases, 1, 1, {{725, 3, 1, 1}, {729, 3, 1, 1}}, {725, 729}, DType::kU8);
  cases.resize(4);  // both orders coincide
  check(cases, false, [](OpRun& run) {
    const bool gradient = run.c.op->kind == OpKind::kMaxPoolGradient || run.c.op->kind == OpKind::kSumPoolGradient;
    EXPECT_EQ(cuda::packed_pool(cuda::pool_arguments(run.c.instance, addresses_of(run)), gradient).run, 2u);
    run_pool(run);
  });
}

TEST(CudaKernels, PacksAreAsWideAsTheTensorsPermit) {
  const auto width = [](int64_t channels, DType dtype, uintptr_t x, MemoryFormat order = MemoryFormat::kChannelsLast) {
    PoolAttributes window;
    window.kernel = window.stride = {4, 4};
    window.pad = {0, 0};
    const TensorDesc image = tensor({1, channels, 4, 4}, order, dtype), y = tensor({1, channels, 1, 1}, order, dtype);
    const OpCase c = op_case("width", OpKind::kMaxPool, window, {image}, {y, tensor(y.shape, order, DType::kU8)});
    void* const in[] = {reinterpret_cast<void*>(x)};
    void* const out[] = {reinterpret_cast<void*>(uintptr_t{64}), reinterpret_cast<void*>(uintptr_t{64})};
    return cuda::packed_pool(cuda::pool_arguments(c.instance, {in, out}), false).width;
  };
  EXPECT_EQ(width(16, DType::kBF16, 64), 8);
  EXPECT_EQ(width(16, DType::kBF16, 72), 1);
  EXPECT_EQ(width(12, DType::kBF16, 64), 1);
  EXPECT_EQ(width(12, DType::kF32, 80), 4);
  EXPECT_EQ(width(12, DType::kF32, 68), 1);
  EXPECT_EQ(width(16, DType::kF32, 64, MemoryFormat::kRowMajor), 1);
}

TEST(CudaKernels, MaxPoolPassesOverNaN) {
  PoolAttributes attributes;
  attributes.kernel = {2};
  attributes.stride = {2};
  attributes.pad = {0};
  const OpCase c = op_case("nan", OpKind::kMaxPool, attributes, {tensor({1, 1, 8})},
                           {tensor({1, 1, 4}), tensor({1, 1, 4}, MemoryFormat::kRowMajor, DType::kU8)});
  const float row[] = {kNaN, -3, kNaN, kNaN, 5, 5, -std::numeric_limits<float>::infinity(), -FLT_MAX};
  Bytes x = storage(c.instance.inputs[0]);
  std::memcpy(x.data(), row, sizeof row);
  OpRun run(c, {x});
  run_pool(run);
  const float* y = reinterpret_cast<const float*>(run.outputs[0].data());
  const uint8_t* winner = reinterpret_cast<const uint8_t*>(run.outputs[1].data());
  const float values[] = {-3, -FLT_MAX, 5, -FLT_MAX};
  const int winners[] = {1, kNoWinnerU8, 0, kNoWinnerU8};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(y[i], values[i]);
    EXPECT_EQ(winner[i], winners[i]);
  }
}

TEST(CudaKernels, LrnAgreesWithTheReference) {
  std::vector<OpCase> cases;
  LrnAttributes even;
  even.size = 4;
  for (OpKind kind : {OpKind::kLrn, OpKind::kLrnGradient}) {
    const TensorDesc x = tensor({2, 7, 3});
    cases.push_back(
        op_case("of an even size", kind, even, kind == OpKind::kLrn ? std::vector{x} : std::vector{x, x}, {x}));
  }
  add_lrns(&cases);
  check(cases, true, run_lrn);
}

TEST(CudaKernels, MatmulsAgreeWithTheReference) {
  std::vector<OpCase> cases;
  add_matmuls(&cases);
  check(cases, false, run_matmul);
  cases.resize(20);
  check(cases, true, run_matmul);
}

TEST(CudaKernels, ConvolutionsAgreeWithTheReference) {
  constexpr int64_t kMaxWork = 3'000'000;  // limits the time on the emulator
  std::vector<OpCase> all, cases, few;
  add_convolutions(&all);
  // Sums that are long enough for a weight gradient in parts, by tiles and by narrow groups.
  add_convolution(&all, 5, 8, 9, 1, {{31, 1}, {33, 1}});
  add_convolution(&all, 5, 9, 9, 9, {{31, 3, 1, 1}, {33, 1}});
  for (const OpCase& c : all) {
    if (work_of(c) <= kMaxWork) cases.push_back(c);
  }
  int parted = 0;
  check(cases, false, [&parted](OpRun& run) { parted += run_convolution(run); });
  EXPECT_GT(parted, 3);
  for (size_t i = 0; i < cases.size(); i += 7) few.push_back(cases[i]);
  check(few, true, run_convolution);
}

TEST(CudaKernels, DepthwiseConvolutionsAgreeWithTheReference) {
  std::vector<OpCase> cases;
  add_convolutions(&cases);
  add_convolution(&cases, 5, 8, 8, 8, {{31, 3, 1, 1}, {33, 3, 1, 1}}, {true, 0});
  std::erase_if(cases, [](const OpCase& c) { return !is_depthwise(c) || work_of(c) > 3'000'000; });
  EXPECT_GT(cases.size(), 60u);
  int parted = 0;
  check(cases, true, [&parted](OpRun& run) { parted += run_depthwise(run); });
  EXPECT_GT(parted, 3);
}

TEST(CudaKernels, RecurrencesAgreeWithTheReference) {
  std::vector<OpCase> cases, gradients;
  add_recurrences(&cases);
  for (const OpCase& c : cases) {
    if (c.op->kind == OpKind::kRecurrenceGradient) gradients.push_back(c);
  }
  std::erase_if(cases, [](const OpCase& c) { return c.op->kind == OpKind::kRecurrenceGradient; });
  // Steps pass on and amplify the rounding of their sums.
  constexpr float kStepsTolerance = 1e-4f;
  check(cases, false, run_recurrence, kStepsTolerance);
  check(gradients, false, run_recurrence_gradient, kStepsTolerance);
}

TEST(CudaKernels, SmallMapsAgreeWithTheReference) {
  int interpreted = 0, of_several_results = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    MapGenerator generator(seed);
    const MapCase c = generator.make();
    if (!cuda::refuse_interpreter(c.instance()).empty()) continue;
    std::vector<TestTensor> operands, results;
    std::vector<void*> in, out;
    for (size_t i = 0; i < c.inputs.size(); ++i) operands.push_back(random_tensor(c.inputs[i], seed + i));
    const std::vector<TestTensor> expected = run_reference(c, operands, seed);
    for (const TensorDesc& desc : c.outputs) results.emplace_back(desc);
    for (TestTensor& operand : operands) in.push_back(operand.raw());
    for (TestTensor& result : results) out.push_back(result.raw());
    const auto launches = cuda::interpreter_arguments(c.instance(), {in, out}, &seed);
    check_launch(cuda::launch_interpreter(launches, nullptr));
    expect_close(c, generator, expected, results, fmt::format("seed {}", seed));
    if (HasFatalFailure()) return;
    ++interpreted;
    of_several_results += launches.size() > 1;
  }
  EXPECT_GT(interpreted, 150);
  EXPECT_GT(of_several_results, 10);
}

TEST(CudaKernels, MapsThatAreNotSmallAreNotInterpreted) {
  const auto refusal = [](int64_t elements, int nodes) {
    MapCase c(Shape{elements});
    int node = c.input(Shape{elements});
    for (int i = 1; i < nodes; ++i) node = c.node(Fn::kAbs, node);
    c.store(node);
    return cuda::refuse_interpreter(c.instance());
  };
  EXPECT_EQ(refusal(1024, 64), "");
  EXPECT_EQ(refusal(1025, 1), "1025 elements");
  EXPECT_NE(refusal(1024, 65), "");
  EXPECT_NE(refusal(0, 1), "");
}

}  // namespace
}  // namespace trainer::cpu
