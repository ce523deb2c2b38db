// The CPU as a device: memory, the choice of kernels, environment variables.
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>

#include "base/error.h"
#include "device/op_case.h"
#include "runtime/open_device.h"

namespace trainer::cpu {
namespace {

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kDevice);
    return error.what();
  }
  return "";
}

OpCase matmul() {
  return op_case("", OpKind::kMatmul, MatmulAttributes{}, {tensor({2, 3}), tensor({3, 2})}, {tensor({2, 2})});
}

TEST(CpuDevice, AllocatesZeroedAlignedMemory) {
  const std::unique_ptr<Device> device = open_device(DeviceSpec());
  for (int64_t bytes : {int64_t{1}, int64_t{100}, int64_t{5} << 20}) {
    char* memory = static_cast<char*>(device->allocate(bytes));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % (bytes >= (2 << 20) ? (2 << 20) : 64), 0u);
    for (int64_t i = 0; i < bytes; i += 61) ASSERT_EQ(memory[i], 0);
    memory[bytes - 1] = 7;
    char copy = 0;
    device->copy_to_host(&copy, memory + bytes - 1, 1);
    EXPECT_EQ(copy, 7);
    device->release(memory, bytes);
  }
}

TEST(CpuDevice, RefusesMoreMemoryThanThereIs) {
  const std::unique_ptr<Device> device = open_device(DeviceSpec());
  const std::string message = message_of([&] { device->allocate(int64_t{1} << 50); });
  EXPECT_NE(message.find("1024.0 TiB requested"), std::string::npos) << message;
  EXPECT_NE(message.find(" free"), std::string::npos) << message;
}

TEST(CpuDevice, ChoosesTheFastestThatTakesTheOp) {
  const std::unique_ptr<Device> device = open_device(DeviceSpec());
  const OpCase c = matmul();
  const KernelChoice choice = device->choose(c.instance);
  EXPECT_NE(choice.implementation, "reference");
  ASSERT_TRUE(choice.kernel);
  float a[] = {1, 2, 3, 4, 5, 6}, b[] = {7, 8, 9, 10, 11, 12}, y[4] = {};
  void* inputs[] = {a, b};
  void* outputs[] = {y};
  std::vector<char> workspace(static_cast<size_t>(choice.kernel->workspace_bytes()) + 64);
  char* aligned_workspace = workspace.data() + (64 - reinterpret_cast<uintptr_t>(workspace.data()) % 64) % 64;
  choice.kernel->bind(inputs, outputs, aligned_workspace);
  choice.kernel->run({});
  EXPECT_EQ(y[0], 58);
  EXPECT_EQ(y[3], 154);
}

TEST(CpuDevice, SaysWhyFasterOnesWereRefused) {
  LrnAttributes a;
  const OpCase c = op_case("", OpKind::kLrn, a, {tensor({1, 4, 3, 3})}, {tensor({1, 4, 3, 3})});
  const KernelChoice choice = open_device(DeviceSpec())->choose(c.instance);
  EXPECT_EQ(choice.implementation, "reference");
  ASSERT_EQ(choice.refused.size(), 1u);
  EXPECT_EQ(choice.refused[0].implementation, "direct");
  EXPECT_EQ(choice.refused[0].reason, "an operand is row-major");
}

TEST(CpuDevice, TakesTheReferenceOnDemand) {
  setenv("TRAINER_IMPL", "reference", 1);
  const KernelChoice choice = open_device(DeviceSpec())->choose(matmul().instance);
  EXPECT_EQ(choice.implementation, "reference");
  EXPECT_FALSE(choice.refused.empty());
  setenv("TRAINER_IMPL", "fast", 1);
  EXPECT_THROW(open_device(DeviceSpec()), Error);
  unsetenv("TRAINER_IMPL");
}

}  // namespace
}  // namespace trainer::cpu
