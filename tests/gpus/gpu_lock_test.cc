// Leases of GPUs: one lock for all sessions of a process, released with the last of them.
#include "gpus/gpu_lock.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

namespace trainer {
namespace {

// A GPU that only this process uses.
class GpuLockTest : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }
  // As another open file sees it: the lock of this process counts like that of any other process.
  GpuLock::State seen() const { return look_at_gpu_lock(uuid_).state; }
  GpuLock take() {
    GpuLock lock = take_gpu_lock(uuid_);
    if (!lock.path.empty()) path_ = lock.path;
    return lock;
  }

  const std::string uuid_ = fmt::format("GPU-{:08x}-1111-4000-8000-000000000000", getpid());
  std::string path_;
};

TEST_F(GpuLockTest, EndsWithItsLease) {
  EXPECT_EQ(seen(), GpuLock::State::kFree);
  {
    const GpuLock lock = take();
    ASSERT_EQ(lock.state, GpuLock::State::kTaken) << lock.problem;
    ASSERT_NE(lock.lease, nullptr);
    EXPECT_EQ(seen(), GpuLock::State::kHeld);
    EXPECT_EQ(look_at_gpu_lock(uuid_).holder.find(fmt::format("pid {} (", getpid())), 0u);
  }
  EXPECT_EQ(seen(), GpuLock::State::kFree);
  EXPECT_EQ(take().state, GpuLock::State::kTaken) << "it can be taken again";
}

TEST_F(GpuLockTest, SessionsOfAProcessShareIt) {
  GpuLock first = take(), second = take();
  ASSERT_EQ(first.state, GpuLock::State::kTaken) << first.problem;
  EXPECT_EQ(second.state, GpuLock::State::kShared);
  EXPECT_EQ(first.lease, second.lease);
  first.lease.reset();
  EXPECT_EQ(seen(), GpuLock::State::kHeld);
  second.lease.reset();
  EXPECT_EQ(seen(), GpuLock::State::kFree);
}

}  // namespace
}  // namespace trainer
