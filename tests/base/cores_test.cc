// CPU quotas of cgroups, from a made-up hierarchy.
#include "base/cores.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace trainer {
namespace {

namespace fs = std::filesystem;

class CgroupQuota : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/cores_test_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    mount_ = name;
  }
  void TearDown() override { fs::remove_all(mount_); }
  void put(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(mount_ + path).parent_path());
    std::ofstream(mount_ + path) << text;
  }
  std::string mount_;
};

TEST_F(CgroupQuota, Version2TakesTheSmallestOfAllParents) {
  put("/cpu.max", "max 100000\n");
  put("/lab/cpu.max", "150000 100000\n");
  put("/lab/job/cpu.max", "400000 100000\n");
  EXPECT_DOUBLE_EQ(cgroup_cpu_quota("0::/lab/job\n", mount_), 1.5);
  EXPECT_DOUBLE_EQ(cgroup_cpu_quota("0::/\n", mount_), 0);
  EXPECT_DOUBLE_EQ(cgroup_cpu_quota("0::/not/here\n", mount_), 0);
}

TEST_F(CgroupQuota, Version1ReadsTheCpuController) {
  put("/cpu/job/cpu.cfs_quota_us", "50000\n");
  put("/cpu/job/cpu.cfs_period_us", "100000\n");
  EXPECT_DOUBLE_EQ(cgroup_cpu_quota("4:memory:/x\n3:cpu,cpuacct:/job\n0::/\n", mount_), 0.5);
  put("/cpu/job/cpu.cfs_quota_us", "-1\n");
  EXPECT_DOUBLE_EQ(cgroup_cpu_quota("3:cpu,cpuacct:/job\n", mount_), 0);
}

TEST(Cores, AtLeastOneAndOmpNumThreadsWins) {
  unsetenv("OMP_NUM_THREADS");
  const CoreGrant grant = granted_cores();
  EXPECT_GE(grant.usable, 1);
  EXPECT_LE(grant.usable, grant.machine);
  setenv("OMP_NUM_THREADS", "3,2", 1);
  EXPECT_EQ(granted_cores().usable, 3);
  setenv("OMP_NUM_THREADS", "many", 1);
  EXPECT_EQ(granted_cores().usable, grant.usable);
  unsetenv("OMP_NUM_THREADS");
}

}  // namespace
}  // namespace trainer
