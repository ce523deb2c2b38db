// The kernels of the CUDA plugin on a real or an emulated GPU (test_gpu.h) against the CPU's reference: the chosen
// kernel for each case of kernel_cases.h, and generated maps. The emulated GPU runs work as late and as early as
// streams allow.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <iostream>
#include <set>
#include <thread>

#include "base/text.h"
#include "compile/compile.h"
#include "device/cuda/kernels/interpreter.h"
#include "device/far_cases.h"
#include "device/map_generator.h"
#include "device/narrow_cases.h"
#include "device/test_gpu.h"
#include "ops/math.h"
#include "ops/opaque.h"
#include "runtime/memory.h"
#include "runtime/open_device.h"

namespace trainer::cpu {
namespace {

std::vector<OpCase> small_convolutions() {
  constexpr int64_t kMaxWork = 1'000'000;
  std::vector<OpCase> cases;
  add_convolutions(&cases);
  std::erase_if(cases, [](const OpCase& c) { return work_of(c) > kMaxWork; });
  return cases;
}

class Gpu : public testing::Test {
 protected:
  void SetUp() override {
    std::string reason;
    device_ = open_test_gpu(&reason);
    if (device_ == nullptr) GTEST_SKIP() << reason;
  }
  void TearDown() override {
    unsetenv("EMULATED_GPU_ORDER");
    unsetenv("EMULATED_GPU_PAGEABLE");
    unsetenv("EMULATED_GPU_CAPABILITY");
    unsetenv("EMULATED_CUDNN");
    unsetenv("EMULATED_CUBLASLT");
    if (device_ == nullptr || emulated()) return;
    for (const std::string& chosen : chosen_) std::cout << "chosen: " << chosen << "\n";
  }

  // On a real GPU, NVIDIA's libraries decide what is chosen, and the order of work is not controlled.
  bool emulated() const { return is_emulated(*device_); }
  std::vector<const char*> orders_of_work() const {
    return emulated() ? std::vector{"late", "eager"} : std::vector{"the GPU's own"};
  }
  void new_device(const DeviceOptions& options = {}) {
    device_.reset();
    device_ = open_device(DeviceSpec::cuda(0), options);
  }

  static constexpr int64_t kWorkspaceAlignment = 256;

  // The memory of operands. On a real GPU a guard zone follows each, which must not change. The emulated GPU ends the
  // process on an access past an allocation.
  struct Placed {
    std::vector<std::unique_ptr<DeviceBlock>> blocks;
    std::vector<void*> guards;
  };
  static constexpr int64_t kGuardBytes = 4096;
  static std::string guard() { return std::string(kGuardBytes, 'g'); }

  // Memory for an operand with exactly the guaranteed alignment, followed directly by a guard zone.
  void* place(Placed* placed, int64_t bytes, int64_t alignment = 64) {
    placed->blocks.push_back(
        std::make_unique<DeviceBlock>(*device_, bytes + alignment + (emulated() ? 0 : kGuardBytes)));
    char* const data = static_cast<char*>(placed->blocks.back()->data()) + alignment;
    if (emulated()) return data;
    placed->guards.push_back(data + bytes);
    device_->copy_from_host(placed->guards.back(), guard().data(), kGuardBytes);
    return data;
  }
  void check_guards(const Placed& placed) {
    for (const void* at : placed.guards) {
      std::string found(kGuardBytes, ' ');
      device_->copy_to_host(found.data(), at, kGuardBytes);
      EXPECT_TRUE(found == guard()) << "a kernel wrote after the end of an operand or of the workspace";
    }
  }

  // Runs a kernel on copies of the operands and results, and copies the results back.
  template <typename Operands>
  void execute(Kernel& kernel, Operands& inputs, Operands& outputs, uint64_t pass) {
    Placed placed;
    std::vector<void*> in, out;
    for (auto& [host, bytes] : inputs) {
      in.push_back(place(&placed, bytes));
      device_->copy_from_host(in.back(), host, bytes);
    }
    for (auto& [host, bytes] : outputs) {
      out.push_back(place(&placed, bytes));
      device_->copy_from_host(out.back(), host, bytes);
    }
    void* workspace =
        kernel.workspace_bytes() > 0 ? place(&placed, kernel.workspace_bytes(), kWorkspaceAlignment) : nullptr;
    kernel.bind(in, out, workspace);
    device_->begin_pass({pass});
    const int64_t queued = emulated() ? queued_on_emulated_gpu() : 0;
    kernel.run({pass});
    if (emulated()) {
      EXPECT_EQ(kernel.cost().launches, queued_on_emulated_gpu() - queued);
    }
    for (size_t i = 0; i < out.size(); ++i) device_->copy_to_host(outputs[i].first, out[i], outputs[i].second);
    check_guards(placed);
  }

  // Runs a case with operands and results of many gigabytes. Only a few elements are copied.
  void check_far(const FarCase& far) {
    const OpInstance& instance = far.c.instance;
    const KernelChoice choice = device_->choose(instance);
    chosen_.insert(std::string(name_of(instance.op->kind)) + " " + choice.implementation);
    SCOPED_TRACE(far.c.name + " by " + choice.implementation);
    Placed placed;
    const auto place_all = [&](const std::vector<TensorDesc>& tensors) {
      std::vector<void*> addresses;
      for (const TensorDesc& desc : tensors) addresses.push_back(place(&placed, desc.bytes()));
      return addresses;
    };
    const std::vector<void*> in = place_all(instance.inputs), out = place_all(instance.outputs);
    void* const workspace = place(&placed, choice.kernel->workspace_bytes(), kWorkspaceAlignment);
    for (const FarElement& element : far.given) {
      const TensorDesc& desc = instance.inputs[element.tensor];
      device_->copy_from_host(static_cast<char*>(in[element.tensor]) + far_offset(desc, element.at),
                              far_bytes(desc.dtype, element.value).data(), size_of(desc.dtype));
    }
    choice.kernel->bind(in, out, workspace);
    device_->begin_pass({});
    choice.kernel->run({});
    for (const FarElement& element : far.expected) {
      const TensorDesc& desc = instance.outputs[element.tensor];
      uint32_t bits = 0;
      device_->copy_to_host(&bits, static_cast<char*>(out[element.tensor]) + far_offset(desc, element.at),
                            size_of(desc.dtype));
      EXPECT_NEAR(far_value(desc.dtype, bits), element.value, 1e-5) << "at " << Shape(element.at).text();
    }
    check_guards(placed);
  }

  void check(const OpCase& c, float tolerance) {
    OpRun run(c, random_operands(c));
    const std::vector<Bytes> expected = expected_of(c, run.inputs);
    SCOPED_TRACE(compute(run));
    expect_same(run, expected, tolerance);
  }

  // Returns the name of the implementation.
  std::string compute(OpRun& run) {
    const KernelChoice choice = device_->choose(run.c.instance);
    chosen_.insert(std::string(name_of(run.c.op->kind)) + " " + choice.implementation);
    std::vector<std::pair<void*, int64_t>> inputs, outputs;
    for (size_t i = 0; i < run.inputs.size(); ++i) inputs.emplace_back(run.inputs[i].data(), run.in(i).bytes());
    for (size_t i = 0; i < run.outputs.size(); ++i) outputs.emplace_back(run.outputs[i].data(), run.out(i).bytes());
    execute(*choice.kernel, inputs, outputs, 0);
    return choice.implementation;
  }

  void check_relus() {
    std::vector<OpCase> cases = small_convolutions();
    add_matmuls(&cases);
    std::erase_if(cases, [](const OpCase& c) { return relu_after_bias(c) == nullptr; });
    ASSERT_GT(cases.size(), 20u);
    for (const OpCase& c : cases) {
      check_relu(c);
      check_relu(narrowed(c, DType::kBF16));
    }
  }

  // A relu after a bias that makes all its inputs NaN or negative.
  void check_relu(const OpCase& c) {
    for (const float bias : {std::numeric_limits<float>::quiet_NaN(), -1e6f}) {
      OpRun run(c, random_operands(c));
      std::fill_n(run.optional_floats(2), run.in(2).shape.count(), bias);
      const std::string by = compute(run);
      for (int64_t i = 0; i < run.out(0).shape.count(); ++i) {
        const float y = value_of(run.outputs[0], run.out(0).dtype, i);
        const bool right = std::isnan(bias) ? std::isnan(y) : relu_after_bias(c)->slope == 0 ? y == 0 : y < 0;
        ASSERT_TRUE(right) << c.name << ", " << by << ": with a bias of " << bias << " the relu is " << y;
      }
    }
  }

  void check_map(uint64_t seed) {
    MapGenerator generator(seed);
    const MapCase c = generator.make();
    std::vector<TestTensor> operands, results;
    std::vector<std::pair<void*, int64_t>> inputs, outputs;
    for (size_t i = 0; i < c.inputs.size(); ++i) operands.push_back(random_tensor(c.inputs[i], seed + i));
    const std::vector<TestTensor> expected = run_reference(c, operands, seed);
    for (const TensorDesc& desc : c.outputs) results.emplace_back(desc);
    for (TestTensor& operand : operands) inputs.emplace_back(operand.raw(), static_cast<int64_t>(operand.bytes()));
    for (TestTensor& result : results) outputs.emplace_back(result.raw(), static_cast<int64_t>(result.bytes()));
    const KernelChoice choice = device_->choose(c.instance());
    chosen_.insert("map " + choice.implementation);
    execute(*choice.kernel, inputs, outputs, seed);
    expect_close(c, generator, expected, results, fmt::format("seed {}", seed));
  }

  // Checks all cases in f32, and every `each`-th case also in the 16-bit types. The second order of work runs every
  // third case: sizes decide the numbers, and the order of work depends only on the code of an implementation.
  void check_all(const std::vector<OpCase>& cases, float tolerance, size_t each = 0, float narrow_tolerance = 1e-5f) {
    size_t step = 1;
    for (const char* order : orders_of_work()) {
      setenv("EMULATED_GPU_ORDER", order, 1);
      for (size_t i = 0; i < cases.size(); i += step) {
        check(cases[i], tolerance);
        if (each == 0 || i % each != 0) continue;
        for (DType dtype : {DType::kBF16, DType::kF16}) check(narrowed(cases[i], dtype), narrow_tolerance);
      }
      step = 3;
    }
  }

  std::unique_ptr<Device> device_;
  std::set<std::string> chosen_;
};

// cuDNN may use Winograd's method for f32.
constexpr float kSums = 1e-5f, kWinograd = 5e-5f, kRoundedWeights = 1e-2f, kSteps = 1e-4f;

TEST_F(Gpu, Convolutions) {
  check_all(small_convolutions(), emulated() ? kSums : kWinograd, 7, kRoundedWeights);
  if (!emulated()) return;
  for (const char* implementation : {"depthwise", "cudnn", "plain"}) {
    for (const char* kind : {"convolution", "convolution_input_gradient", "convolution_weight_gradient"})
      EXPECT_EQ(chosen_.count(std::string(kind) + " " + implementation), 1u) << kind << " " << implementation;
  }
}

TEST_F(Gpu, ConvolutionsThatCudnnDoesNotKnow) {
  if (!emulated()) GTEST_SKIP() << "the engines of a real cuDNN are fixed";
  setenv("EMULATED_CUDNN", "absent-engines", 1);
  new_device();
  check_all(small_convolutions(), kSums, 11);
  for (const std::string& chosen : chosen_) EXPECT_EQ(chosen.find("cudnn"), std::string::npos) << chosen;
}

// Bias and relu follow the convolution.
TEST_F(Gpu, ConvolutionsWithoutFusions) {
  if (!emulated()) GTEST_SKIP() << "the engines of a real cuDNN are fixed";
  setenv("EMULATED_CUDNN", "absent-fusions", 1);
  new_device();
  check_all(small_convolutions(), kSums, 11, kRoundedWeights);
  for (const char* kind : {"convolution", "convolution_input_gradient"})
    EXPECT_EQ(chosen_.count(std::string(kind) + " cudnn"), 1u) << kind;
}

TEST_F(Gpu, Relus) { check_relus(); }

TEST_F(Gpu, RelusWithoutAutotuning) {
  DeviceOptions options;
  options.deterministic = true;
  new_device(options);
  check_relus();
}

TEST_F(Gpu, RelusWhereNoEnginePassesANan) {
  if (!emulated()) GTEST_SKIP() << "the engines of a real cuDNN are fixed";
  setenv("EMULATED_CUDNN", "drops-nan", 1);
  for (int round = 0; round < 2; ++round) {  // the second round uses cached results
    new_device();
    check_relus();
  }
  for (const char* kind : {"convolution", "convolution_input_gradient"})
    EXPECT_EQ(chosen_.count(std::string(kind) + " cudnn"), 1u) << kind;
}

TEST_F(Gpu, AHandledFailureLeavesNoError) {
  EXPECT_THROW(open_device(DeviceSpec::cuda(99)), Error);
  EXPECT_THROW(device_->allocate(int64_t{1} << 50), OutOfMemory);
  std::vector<OpCase> cases;
  add_copies(&cases);
  check(cases.front(), 0);
}

TEST_F(Gpu, SumsOverWindowsHoldWhatFloat16DoesNot) {
  PoolAttributes a;
  a.kernel = {1, 3};
  a.stride = {1, 3};
  a.pad = {0, 0};
  for (const MemoryFormat order : kBothOrders) {
    const TensorDesc x = tensor({2, 8, 1, 6}, order, DType::kF16);
    const OpCase c = op_case("wide", OpKind::kSumPool, a, {x}, {tensor({2, 8, 1, 2}, order)});
    OpRun run(c, random_operands(c));
    for (int64_t i = 0; i < x.shape.count(); ++i) set_value(&run.inputs[0], DType::kF16, i, 60000);
    compute(run);
    for (int64_t i = 0; i < run.out(0).shape.count(); ++i) EXPECT_EQ(value_of(run.outputs[0], DType::kF32, i), 180000);
  }
}

TEST_F(Gpu, Matmuls) {
  std::vector<OpCase> cases;
  add_matmuls(&cases);
  check_all(cases, kSums, 3, kRoundedWeights);
  if (emulated()) {
    EXPECT_EQ(chosen_, (std::set<std::string>{"matmul cublaslt"}));
  }
}

TEST_F(Gpu, MatmulsThatCublasltDoesNotKnow) {
  if (!emulated()) GTEST_SKIP() << "the algorithms of a real cuBLASLt are fixed";
  setenv("EMULATED_CUBLASLT", "absent-algorithms", 1);
  new_device();
  std::vector<OpCase> cases;
  add_matmuls(&cases);
  check_all(cases, kSums, 3, kRoundedWeights);
  EXPECT_EQ(chosen_, (std::set<std::string>{"matmul plain"}));
}

TEST_F(Gpu, PoolsAndLrns) {
  std::vector<OpCase> cases;
  add_pools(&cases);
  add_lrns(&cases);
  check_all(cases, kSums, 5);
}

TEST_F(Gpu, Recurrences) {
  std::vector<OpCase> cases;
  add_recurrences(&cases);
  check_all(cases, kSteps);
}

TEST_F(Gpu, Copies) {
  std::vector<OpCase> cases;
  add_copies(&cases);
  add_pixel_pads(&cases);
  check_all(cases, 0);
}

TEST_F(Gpu, Maps) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    setenv("EMULATED_GPU_ORDER", seed % 2 == 0 ? "late" : "eager", 1);
    check_map(seed);
    if (HasFatalFailure()) return;
  }
  EXPECT_EQ(chosen_, (std::set<std::string>{"map interpreter", "map nvrtc"}));
}

// The sums of x over all axes but the channels, their mean, and an average that it moves in place: one launch.
TEST_F(Gpu, JoinedMaps) {
  struct Kind {
    Shape shape;
    MemoryFormat order;
    DType dtype;
  };
  const std::vector<Kind> kinds = {{{8, 64, 40, 41}, MemoryFormat::kChannelsLast, DType::kBF16},
                                   {{8, 300, 24, 3}, MemoryFormat::kChannelsLast, DType::kF32},
                                   {{3, 2100, 2, 2}, MemoryFormat::kChannelsLast, DType::kBF16},
                                   {{8, 3, 60, 61}, MemoryFormat::kRowMajor, DType::kF32},
                                   {{2, 1, 200, 300}, MemoryFormat::kRowMajor, DType::kBF16}};
  for (const Kind& kind : kinds) {
    SCOPED_TRACE(kind.shape.text());
    const int64_t channels = kind.shape[1], each = kind.shape.count() / channels;
    const Shape kept{1, channels, 1, 1};
    MapCase sum(kind.shape), mean(kept), move(kept);
    sum.reduce(sum.input(kind.shape, kind.order, kind.dtype), Reduction::kSum, {0, 2, 3});
    mean.store(mean.node(Fn::kDivide, mean.input(kept), mean.constant(static_cast<float>(each))));
    const int moved = move.input(kept), by = move.input(kept);
    move.store(move.node(Fn::kAdd, move.node(Fn::kMultiply, moved, move.constant(0.75f)), by));
    const std::vector<OpInstance> maps = {sum.instance(), mean.instance(), move.instance(), move.instance()};
    ASSERT_EQ(device_->joinable(std::span(maps).first(3)), 3u);
    ASSERT_EQ(device_->joinable(maps), 4u);
    const bool small = channels <= cuda::InterpretedMap::kMaxElements;
    ASSERT_EQ(device_->joinable(std::span(maps).subspan(1)), small ? 3u : 1u);

    TestTensor x = random_tensor(sum.inputs[0], 1), average = random_tensor(move.inputs[0], 2), got(mean.outputs[0]);
    std::vector<float> expected(static_cast<size_t>(channels));
    const std::vector<int64_t> strides = sum.inputs[0].strides();
    std::vector<double> sums(static_cast<size_t>(channels));
    for (int64_t at = 0; at < kind.shape.count(); ++at)
      sums[static_cast<size_t>(at / strides[1] % channels)] += static_cast<double>(x[at]);
    const std::unique_ptr<Kernel> kernel = device_->join(std::span(maps).first(3));
    Placed placed;
    const auto copied = [&](TestTensor& tensor) {
      void* const at = place(&placed, static_cast<int64_t>(tensor.bytes()));
      device_->copy_from_host(at, tensor.raw(), static_cast<int64_t>(tensor.bytes()));
      return at;
    };
    void *const at_x = copied(x), *const at_average = copied(average), *const at_mean = copied(got);
    void* const at_sum = place(&placed, mean.inputs[0].bytes());
    void* const in[] = {at_x, at_sum, at_average, at_mean};
    void* const out[] = {at_sum, at_mean, at_average};
    kernel->bind(in, out, place(&placed, kernel->workspace_bytes(), kWorkspaceAlignment));
    EXPECT_EQ(kernel->cost().launches, 1);
    // The second run finds the counters of the first as they were.
    for (int run = 0; run < 2; ++run) {
      device_->begin_pass({});
      kernel->run({});
      device_->copy_to_host(got.raw(), at_average, static_cast<int64_t>(got.bytes()));
      for (int64_t c = 0; c < channels; ++c) {
        float& last = expected[static_cast<size_t>(c)];
        last = (run == 0 ? average[c] : last) * 0.75f +
               static_cast<float>(sums[static_cast<size_t>(c)] / static_cast<double>(each));
        ASSERT_NEAR(got[c], last, 1e-6 + 1e-5 * std::abs(last)) << "run " << run << ", channel " << c;
      }
    }
    check_guards(placed);
  }
}

// The gradient of a relu, and its sum over all axes but the channels.
MapCase relu_gradient_case(int64_t channels) {
  constexpr MemoryFormat kLast = MemoryFormat::kChannelsLast;
  const Shape shape{4, channels, 20, 20};
  MapCase c(shape);
  const int y = c.input(shape, kLast, DType::kBF16), gradient = c.input(shape, kLast, DType::kBF16);
  const int result = c.node(Fn::kReluGradient, y, gradient);
  c.store(result, kLast, DType::kBF16);
  c.reduce(result, Reduction::kSum, {0, 2, 3});
  return c;
}

// Maps of one formula over several shapes, and a small map of the last sum: one launch, with the bits of a launch for
// each map. A map that reads or overwrites what an earlier one writes or reads begins another launch.
TEST_F(Gpu, MapsSideBySide) {
  const std::vector<MapCase> large = {relu_gradient_case(64), relu_gradient_case(192), relu_gradient_case(64)};
  const Shape channels{1, 64, 1, 1};
  MapCase mean(channels), other_formula = relu_gradient_case(64);
  mean.store(mean.node(Fn::kDivide, mean.input(channels), mean.constant(1600)));
  other_formula.body().nodes.back().k = 0.5f;
  const MapCase other_blocks = relu_gradient_case(16);
  std::vector<OpInstance> maps;
  for (const MapCase& c : large) maps.push_back(c.instance());
  EXPECT_EQ(device_->joinable(std::vector{maps[0], other_formula.instance(), maps[1]}), 1u);
  EXPECT_EQ(device_->joinable(std::vector{maps[0], other_blocks.instance(), maps[1]}), 1u);
  maps.push_back(mean.instance());
  ASSERT_EQ(device_->joinable(maps), 4u);

  constexpr size_t kInputs = 7;
  // The results in order. `moved`: each address, by its number among inputs and results, that is replaced by another.
  const auto results_of = [&](bool joined, std::vector<std::pair<size_t, size_t>> moved, int64_t* launches) {
    Placed placed;
    std::vector<void*> at;
    std::vector<int64_t> bytes;
    for (const OpInstance& map : maps) {
      for (const TensorDesc& desc : map.inputs) {
        TestTensor operand = random_tensor(desc, at.size());
        at.push_back(place(&placed, desc.bytes()));
        device_->copy_from_host(at.back(), operand.raw(), desc.bytes());
      }
    }
    for (const OpInstance& map : maps) {
      for (const TensorDesc& desc : map.outputs) {
        at.push_back(place(&placed, desc.bytes()));
        bytes.push_back(desc.bytes());
      }
    }
    moved.push_back({kInputs - 1, at.size() - 2});  // the mean reads the last sum
    for (const auto& [from, to] : moved) at[from] = at[to];
    std::span<void*const> in = std::span(at).first(kInputs), out = std::span(at).subspan(kInputs);
    const auto run = [&](Kernel& kernel, size_t inputs, size_t outputs) {
      kernel.bind(in.first(inputs), out.first(outputs), place(&placed, kernel.workspace_bytes(), kWorkspaceAlignment));
      device_->begin_pass({});
      const int64_t queued = emulated() ? queued_on_emulated_gpu() : 0;
      kernel.run({});
      if (emulated()) {
        EXPECT_EQ(queued_on_emulated_gpu() - queued, kernel.cost().launches);
      }
      *launches += kernel.cost().launches;
      in = in.subspan(inputs);
      out = out.subspan(outputs);
    };
    *launches = 0;
    if (joined) {
      run(*device_->join(maps), in.size(), out.size());
    } else {
      for (const OpInstance& map : maps) run(*device_->choose(map).kernel, map.inputs.size(), map.outputs.size());
    }
    std::vector<std::vector<char>> got;
    for (size_t i = 0; i < bytes.size(); ++i) {
      got.emplace_back(static_cast<size_t>(bytes[i]));
      device_->copy_to_host(got.back().data(), at[kInputs + i], bytes[i]);
    }
    check_guards(placed);
    return got;
  };
  const size_t first_result = kInputs, last_result = kInputs + 4;
  const std::vector<std::pair<std::vector<std::pair<size_t, size_t>>, int64_t>> cases = {
      {{}, 1},
      {{{first_result, 0}, {first_result + 2, 2}, {last_result, 4}}, 1},  // each in place
      {{{4, first_result}}, 2},                                           // the third reads the result of the first
      {{{last_result, 0}}, 2},                                            // or overwrites its operand
  };
  for (const auto& [moved, expected_launches] : cases) {
    for (const char* order : orders_of_work()) {
      setenv("EMULATED_GPU_ORDER", order, 1);
      int64_t launches = 0;
      const auto expected = results_of(false, moved, &launches);
      EXPECT_EQ(launches, 4);
      EXPECT_TRUE(results_of(true, moved, &launches) == expected) << expected_launches << " launches";
      EXPECT_EQ(launches, expected_launches);
    }
  }
}

// Maps side by side write their results while others still use the workspace: the planner keeps them apart.
TEST_F(Gpu, MapsSideBySideWriteOutsideTheirWorkspace) {
  const Shape shape{1, 4, 512, 512};
  Module module;
  for (const char* name : {"x", "y"})
    module.results.push_back(sum(module.graph->add_source(name, shape), {0, 2, 3}).id());
  StateStore store(*device_);
  Arena arena(*device_);
  const std::unique_ptr<Program> program = compile(std::move(module), *device_, store, arena);
  ASSERT_EQ(program->steps.size(), 2u);
  const Step& step = program->steps[0];
  ASSERT_EQ(step.joined, 2u);
  const int64_t begin = step.workspace_offset, end = begin + step.kernel->workspace_bytes();
  ASSERT_GT(end, begin);
  for (const int result : program->results) {
    const PlannedValue& value = program->values[static_cast<size_t>(result)];
    EXPECT_TRUE(value.placement.offset >= end || value.placement.offset + value.desc.bytes() <= begin);
  }
}

// A chain of small maps, of which one has two results that keep different axes: one launch.
TEST_F(Gpu, SmallMapsInOrder) {
  const Shape shape{20, 30}, row{1, 30}, column{20, 1};
  MapCase sums(shape), product(shape), total(shape);
  const int x = sums.input(shape);
  sums.reduce(x, Reduction::kSum, {0});
  sums.reduce(x, Reduction::kMax, {1});
  const int r = product.input(row), c = product.input(column);
  product.store(product.node(Fn::kMultiply, r, c));
  total.reduce(total.input(shape), Reduction::kSum, {0, 1});
  const std::vector<OpInstance> maps = {sums.instance(), product.instance(), total.instance()};
  ASSERT_EQ(device_->joinable(maps), 3u);
  const std::vector<OpInstance> many(9, product.instance());
  EXPECT_EQ(device_->joinable(many), 8u);

  TestTensor operand = random_tensor(sums.inputs[0], 1), result(total.outputs[0]);
  double rows = 0, columns = 0;  // the sum of the products is the product of the sums
  for (int64_t i = 0; i < 20; ++i) {
    float most = operand[i * 30];
    for (int64_t j = 0; j < 30; ++j) {
      rows += static_cast<double>(operand[i * 30 + j]);
      most = std::max(most, operand[i * 30 + j]);
    }
    columns += static_cast<double>(most);
  }
  Placed placed;
  std::vector<void*> at;
  for (const Shape& s : {shape, row, column, shape, Shape{1, 1}}) at.push_back(place(&placed, TensorDesc{s}.bytes()));
  device_->copy_from_host(at[0], operand.raw(), static_cast<int64_t>(operand.bytes()));
  const std::unique_ptr<Kernel> kernel = device_->join(maps);
  kernel->bind(std::vector{at[0], at[1], at[2], at[3]}, std::vector{at[1], at[2], at[3], at[4]}, nullptr);
  device_->begin_pass({});
  kernel->run({});
  EXPECT_EQ(kernel->cost().launches, 1);
  device_->copy_to_host(result.raw(), at[4], static_cast<int64_t>(result.bytes()));
  EXPECT_EQ(result[0], rows * columns);
  check_guards(placed);
}

// Weights between f32 and a 16-bit type, between both orders, each alone and all in one launch.
TEST_F(Gpu, Repacks) {
  std::vector<OpCase> cases;
  constexpr MemoryFormat kRows = MemoryFormat::kRowMajor, kLast = MemoryFormat::kChannelsLast;
  for (const Shape& shape : {Shape{64, 3, 7, 7}, Shape{130, 64, 3, 3}, Shape{33, 5, 2}, Shape{100, 70, 1, 1},
                             Shape{3, 1, 5, 5}, Shape{2, 1200, 3, 3}, Shape{77, 131}}) {
    for (const DType narrow : {DType::kF32, DType::kBF16, DType::kF16}) {
      for (const MemoryFormat order : {kRows, kLast}) {
        if (narrow == DType::kF32 && orders_coincide(shape)) continue;
        cases.push_back(op_case("", OpKind::kReorder, NoAttributes{}, {tensor(shape)}, {tensor(shape, order, narrow)}));
        cases.push_back(op_case("", OpKind::kReorder, NoAttributes{}, {tensor(shape, order, narrow)}, {tensor(shape)}));
      }
    }
  }
  std::vector<OpRun> runs;
  std::vector<OpInstance> all;
  std::vector<std::pair<void*, int64_t>> inputs, outputs;
  const auto expect_copy = [](OpRun& run) {
    const Shape& shape = run.in(0).shape;
    const std::vector<int64_t> from = run.in(0).strides(), to = run.out(0).strides();
    for (int64_t i = 0; i < shape.count(); ++i) {
      int64_t rest = i, at_from = 0, at_to = 0;
      for (int axis = shape.rank(); axis-- > 0; rest /= shape[axis]) {
        at_from += rest % shape[axis] * from[static_cast<size_t>(axis)];
        at_to += rest % shape[axis] * to[static_cast<size_t>(axis)];
      }
      const float x = value_of(run.inputs[0], run.in(0).dtype, at_from);
      Bytes rounded(1);
      set_value(&rounded, run.out(0).dtype, 0, x);
      ASSERT_EQ(value_of(run.outputs[0], run.out(0).dtype, at_to), value_of(rounded, run.out(0).dtype, 0))
          << shape.text() << " " << name_of(run.in(0).dtype) << " to " << name_of(run.out(0).dtype) << ", element "
          << i;
    }
  };
  for (const OpCase& c : cases) {
    OpRun alone(c, random_operands(c));
    EXPECT_EQ(compute(alone), "repack");
    expect_copy(alone);
    runs.emplace_back(c, random_operands(c));
    all.push_back(c.instance);
  }
  constexpr size_t kMost = 64;
  ASSERT_EQ(device_->joinable(all), kMost);
  while (all.size() > kMost) {
    all.pop_back();
    runs.pop_back();
  }
  for (OpRun& run : runs) {
    inputs.emplace_back(run.inputs[0].data(), run.in(0).bytes());
    outputs.emplace_back(run.outputs[0].data(), run.out(0).bytes());
  }
  const std::unique_ptr<Kernel> kernel = device_->join(all);
  execute(*kernel, inputs, outputs, 0);
  EXPECT_EQ(kernel->cost().launches, 1);
  for (OpRun& run : runs) expect_copy(run);
}

// Filters with channels added, and gradients of filters with channels dropped, each alone and all in one launch.
TEST_F(Gpu, RepacksOfOtherNumbersOfChannels) {
  std::vector<OpCase> cases;
  for (const Shape& shape : {Shape{64, 3, 7, 7}, Shape{300, 1, 5, 5}, Shape{20, 3, 1, 1}, Shape{5, 2, 9}}) {
    for (const DType narrow : {DType::kF32, DType::kBF16, DType::kF16}) {
      Shape more = shape;
      more[1] = 16 / size_of(narrow);
      const SliceAttributes range{1, 0, shape[1], more[1]};
      const TensorDesc filters = tensor(shape), padded = tensor(more, MemoryFormat::kChannelsLast, narrow);
      cases.push_back(op_case(shape.text(), OpKind::kPad, range, {filters}, {padded}));
      cases.push_back(op_case(shape.text(), OpKind::kSlice, range, {padded}, {filters}));
    }
  }
  check_all(cases, 0);
  EXPECT_EQ(chosen_.count("slice repack"), 1u);
  std::vector<OpRun> runs;
  std::vector<OpInstance> all;
  for (const OpCase& c : cases) {
    runs.emplace_back(c, random_operands(c));
    all.push_back(c.instance);
  }
  ASSERT_EQ(device_->joinable(all), all.size());
  std::vector<std::pair<void*, int64_t>> inputs, outputs;
  for (OpRun& run : runs) {
    inputs.emplace_back(run.inputs[0].data(), run.in(0).bytes());
    outputs.emplace_back(run.outputs[0].data(), run.out(0).bytes());
  }
  const std::unique_ptr<Kernel> kernel = device_->join(all);
  execute(*kernel, inputs, outputs, 0);
  EXPECT_EQ(kernel->cost().launches, 1);
  for (OpRun& run : runs) expect_same(run, expected_of(run.c, run.inputs), 0);
}

// NVRTC compiles to PTX.
TEST_F(Gpu, MapsOnAGpuThatNvrtcDoesNotKnow) {
  if (!emulated()) GTEST_SKIP() << "only the emulated GPU is newer than its NVRTC";
  setenv("EMULATED_GPU_CAPABILITY", "130", 1);
  new_device();
  for (uint64_t seed = 0; chosen_.count("map nvrtc") == 0; ++seed) check_map(seed);
}

TEST_F(Gpu, AThreadDrivesEachDevice) {
  if (!has_gpus(2)) GTEST_SKIP() << "this test needs two GPUs";
  std::vector<std::thread> threads;
  std::array<int, 2> same = {};
  for (size_t i = 0; i < same.size(); ++i) {
    threads.emplace_back([i, &same] {
      const std::unique_ptr<Device> device = open_device(DeviceSpec::cuda(static_cast<int>(i)));
      const TensorDesc rows = tensor({2, 20, 33, 31}), channels = tensor(rows.shape, MemoryFormat::kChannelsLast);
      const OpCase there = op_case("there", OpKind::kReorder, NoAttributes{}, {rows}, {channels});
      const OpCase back = op_case("back", OpKind::kReorder, NoAttributes{}, {channels}, {rows});
      const Bytes sent = random_operands(there)[0];
      DeviceBlock from(*device, rows.bytes()), to(*device, rows.bytes());
      void* const at_from[] = {from.data()};
      void* const at_to[] = {to.data()};
      const KernelChoice first = device->choose(there.instance), second = device->choose(back.instance);
      first.kernel->bind(at_from, at_to, nullptr);
      second.kernel->bind(at_to, at_from, nullptr);
      device->copy_from_host(from.data(), sent.data(), rows.bytes());
      for (int round = 0; round < 30; ++round) {
        first.kernel->run({});
        second.kernel->run({});
        Bytes received = storage(rows);
        device->copy_to_host(received.data(), from.data(), rows.bytes());
        same[i] += received == sent;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(same, (std::array<int, 2>{30, 30}));
}

TEST_F(Gpu, IsDoneWithTheHostsMemoryAfterACopy) {
  setenv("EMULATED_GPU_PAGEABLE", "unstaged", 1);
  for (const size_t bytes : {1, 4, 256, 257, 100'000}) {
    const std::string sent(bytes, 'x');
    std::string host = sent;
    DeviceBlock block(*device_, static_cast<int64_t>(bytes));
    device_->copy_from_host(block.data(), host.data(), static_cast<int64_t>(bytes));
    host.assign(bytes, '-');
    device_->copy_to_host(host.data(), block.data(), static_cast<int64_t>(bytes));
    EXPECT_EQ(host, sent) << bytes << " bytes";
  }
}

// Exposes the address of its result on the host.
class One : public OpaqueOp {
 public:
  std::string name() const override { return "one"; }
  void run(std::span<const float* const>, std::span<float* const> outputs, uint64_t) const override {
    result = outputs[0];
    *result = 1;
  }
  mutable float* result = nullptr;
};

TEST_F(Gpu, IsDoneWithTheResultsOfOpaqueOps) {
  setenv("EMULATED_GPU_PAGEABLE", "unstaged", 1);
  const auto one = std::make_shared<One>();
  const OpCase c = op_case("one", OpKind::kOpaque, OpaqueAttributes{one}, {}, {tensor({1})});
  const KernelChoice choice = device_->choose(c.instance);
  DeviceBlock block(*device_, sizeof(float));
  void* const results[] = {block.data()};
  choice.kernel->bind({}, results, nullptr);
  choice.kernel->run({});
  *one->result = 2;
  float got = 0;
  device_->copy_to_host(&got, block.data(), sizeof got);
  EXPECT_EQ(got, 1);
}

TEST_F(Gpu, FarOffsets) {
  constexpr int64_t kNeeded = int64_t{64} << 30;  // operands, results and the buffers of the autotuner
  const int64_t free = device_->free_memory();
  if (free < kNeeded)
    GTEST_SKIP() << format_bytes(free) << " are free on " << device_->name() << "; the test needs "
                 << format_bytes(kNeeded);
  std::vector<FarCase> cases = far_reads();
  cases.push_back(far_sum());
  for (FarCase& far : far_writes()) cases.push_back(std::move(far));
  for (const FarCase& far : cases) check_far(far);
}

// A kernel that adds one to each element of a block. As in a program, the first run is not captured.
class Counting {
 public:
  explicit Counting(Device& device)
      : device_(device),
        elements_(is_emulated(device) ? 1 << 12 : 1 << 24),
        block_(device, elements_ * static_cast<int64_t>(sizeof(float))) {
    MapBody body{Shape{elements_},
                 {{Fn::kInput, 0}, {Fn::kConstant, -1, -1, -1, 1}, {Fn::kAdd, 0, 1}},
                 {{2, Reduction::kNone, {}}},
                 {},
                 {}};
    const TensorDesc x = tensor({elements_});
    case_ = op_case("count", OpKind::kMap, std::move(body), {x}, {x});
    kernel_ = device.choose(case_.instance).kernel;
    void* const addresses[] = {block_.data()};
    kernel_->bind(addresses, addresses, nullptr);
    run();
  }
  void run() {
    device_.begin_pass({});
    kernel_->run({});
  }
  float* last() const { return static_cast<float*>(block_.data()) + elements_ - 1; }

 private:
  Device& device_;
  int64_t elements_;
  DeviceBlock block_;
  OpCase case_;
  std::unique_ptr<Kernel> kernel_;
};

TEST_F(Gpu, WaitsForTheEventOfTheLastReplay) {
  for (const char* order : orders_of_work()) {
    setenv("EMULATED_GPU_ORDER", order, 1);
    Counting counting(*device_);
    const std::unique_ptr<Readback> readback = device_->make_readback(1);
    const void* const from[] = {counting.last()};
    const std::unique_ptr<CapturedPass> recording = device_->record([&] {
      counting.run();
      readback->start(from);
    });
    ASSERT_NE(recording, nullptr);
    for (int replays = 1; replays <= 100; ++replays) {
      recording->run();
      ASSERT_EQ(readback->wait()[0], static_cast<float>(1 + replays)) << order;
    }
  }
}

// An all-reduce of one float over GPUs 0 and 1.
class TwoGpus {
 public:
  TwoGpus() {
    for (size_t i = 0; i < 2; ++i) {
      devices_.push_back(open_device(DeviceSpec::cuda(static_cast<int>(i))));
      blocks_.push_back(std::make_unique<DeviceBlock>(*devices_[i], sizeof(float)));
      markers_.push_back(devices_[i]->make_event());
    }
    Device* const devices[] = {devices_[0].get(), devices_[1].get()};
    sum_ = devices_[0]->make_all_reduce(devices, nullptr);
  }

  Device& device(size_t i) { return *devices_[i]; }
  // The values of both GPUs after the sum.
  std::array<float, 2> sum(float first, float second, int64_t count = 1) {
    std::array<float, 2> values{first, second};
    for (size_t i = 0; i < 2; ++i) {
      devices_[i]->copy_from_host(blocks_[i]->data(), &values[i], sizeof(float));
      markers_[i]->set();
    }
    DeviceEvent* const markers[] = {markers_[0].get(), markers_[1].get()};
    float* const data[] = {static_cast<float*>(blocks_[0]->data()), static_cast<float*>(blocks_[1]->data())};
    sum_->start(markers, data, count);
    sum_->finish();
    for (size_t i = 0; i < 2; ++i) devices_[i]->copy_to_host(&values[i], blocks_[i]->data(), sizeof(float));
    return values;
  }
  // The values of both GPUs after `rounds` rounds. Both begin with 1; in each round both add 1 and get the sum.
  std::array<float, 2> count_and_sum(int rounds) {
    std::vector<std::unique_ptr<Counting>> counting;
    std::vector<std::unique_ptr<CapturedPass>> recordings;
    for (size_t i = 0; i < 2; ++i) {
      counting.push_back(std::make_unique<Counting>(*devices_[i]));
      recordings.push_back(devices_[i]->record([&] {
        counting[i]->run();
        markers_[i]->set();
      }));
    }
    DeviceEvent* const markers[] = {markers_[0].get(), markers_[1].get()};
    float* const data[] = {counting[0]->last(), counting[1]->last()};
    for (int round = 0; round < rounds; ++round) {
      for (size_t i = 0; i < 2; ++i) recordings[i]->run();
      sum_->start(markers, data, 1);
      sum_->finish();
    }
    std::array<float, 2> values = {};
    for (size_t i = 0; i < 2; ++i) devices_[i]->copy_to_host(&values[i], data[i], sizeof(float));
    return values;
  }

 private:
  std::vector<std::unique_ptr<Device>> devices_;
  std::vector<std::unique_ptr<DeviceBlock>> blocks_;
  std::vector<std::unique_ptr<DeviceEvent>> markers_;
  std::unique_ptr<AllReduce> sum_;
};

// The events are part of captured graphs. The sums have their own streams and start right after the launches.
TEST_F(Gpu, SumsWaitForTheMarkersOfTheLastReplay) {
  if (!has_gpus(2)) GTEST_SKIP() << "this test needs two GPUs";
  TwoGpus gpus;
  EXPECT_EQ(gpus.count_and_sum(1), (std::array<float, 2>{4, 4}));
  EXPECT_EQ(gpus.count_and_sum(18), (std::array<float, 2>{786'430, 786'430}));
}

TEST_F(Gpu, SumsAfterASumThatFailed) {
  if (!has_gpus(2)) GTEST_SKIP() << "this test needs two GPUs";
  if (!emulated()) GTEST_SKIP() << "NCCL does not check addresses";
  TwoGpus gpus;
  EXPECT_THROW(gpus.sum(1, 2, int64_t{1} << 40), Error);
  EXPECT_EQ(gpus.sum(3, 4), (std::array<float, 2>{7, 7}));
}

// The emulated GPU ends the process if both happen at the same time.
TEST_F(Gpu, SumsWhileAnotherThreadTakesPageLockedMemory) {
  if (!has_gpus(2)) GTEST_SKIP() << "this test needs two GPUs";
  TwoGpus gpus;
  std::atomic<bool> done = false;
  std::thread worker([&] {
    HostMemory& memory = gpus.device(1).host_memory();
    while (!done) memory.release(memory.allocate(64));
  });
  int right = 0;
  for (int i = 0; i < 300; ++i) {
    const float sum = static_cast<float>(i + 2);
    right += gpus.sum(static_cast<float>(i), 2) == std::array{sum, sum};
  }
  done = true;
  worker.join();
  EXPECT_EQ(right, 300);
}

TEST_F(Gpu, IsGivenNoAddressOfTheHost) {
  if (!emulated()) GTEST_SKIP() << "only the emulated GPU checks addresses";
  const TensorDesc x = tensor({2, 3});
  const OpCase c = op_case("by mistake", OpKind::kReshape, NoAttributes{}, {x}, {tensor({6})});
  float host[6] = {};
  void* const addresses[] = {host};
  const KernelChoice choice = device_->choose(c.instance);
  choice.kernel->bind(addresses, addresses, nullptr);
  EXPECT_DEATH(choice.kernel->run({}), "kernel run_copies.* is given an address of the host");
}

TEST_F(Gpu, SaysWhatMemoryIsLeft) {
  try {
    device_->allocate(int64_t{1} << 40);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("not enough memory on GPU 0"), std::string::npos) << error.what();
  }
  DeviceBlock block(*device_, 1000);  // the device still works
  std::vector<char> bytes(1000, 'x');
  device_->copy_to_host(bytes.data(), block.data(), 1000);
  EXPECT_EQ(bytes, std::vector<char>(1000, 0));
}

}  // namespace
}  // namespace trainer::cpu
