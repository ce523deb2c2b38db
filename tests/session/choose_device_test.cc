// The devices of processes that train together.
#include "session/choose_device.h"

#include <gtest/gtest.h>

#include <exception>
#include <vector>

#include "support/thread_group.h"

namespace trainer {
namespace {

ChosenDevice gpu(const char* uuid) {
  ChosenDevice device;
  device.spec = DeviceSpec::cuda(0);
  device.uuid = uuid;
  return device;
}

// The messages of all processes with these devices.
std::vector<std::string> messages_of(const std::vector<std::vector<ChosenDevice>>& devices, int expected = 0) {
  std::vector<std::string> messages;
  const std::vector<std::exception_ptr> thrown =
      test::run_ranks(static_cast<int>(devices.size()), [&](test::ThreadGroup& group) {
        EXPECT_EQ(count_devices(group, devices[static_cast<size_t>(group.rank())]), expected);
      });
  for (const std::exception_ptr& one : thrown) messages.push_back(test::message_of(one));
  return messages;
}

using Messages = std::vector<std::string>;

TEST(ChooseDevice, CountsTheDevicesOfAllProcesses) {
  EXPECT_EQ(messages_of({{gpu("a"), gpu("b")}, {gpu("c")}}, 3), (Messages{"", ""}));
  EXPECT_EQ(messages_of({{ChosenDevice()}, {ChosenDevice()}}, 2), (Messages{"", ""}));
}

TEST(ChooseDevice, AllProcessesHaveOneKindOfDevice) {
  const std::string text =
      "rank 1 on host1 computes on the CPU and rank 0 on host0 on a GPU: give all processes the same kind of device";
  EXPECT_EQ(messages_of({{gpu("a")}, {ChosenDevice()}}), (Messages{text, text}));
}

TEST(ChooseDevice, NoGpuHasTwoProcesses) {
  for (const std::string& message : messages_of({{gpu("a")}, {gpu("b")}, {gpu("a")}}))
    EXPECT_EQ(message.find("rank 0 on host0 and rank 2 on host2 have the same GPU, a."), 0u) << message;
}

}  // namespace
}  // namespace trainer
