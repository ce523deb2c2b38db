// Reads limits of control groups from a mock hierarchy and, if the system allows, from a real one.
#include "base/cgroups.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>

namespace trainer {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

class Cgroups : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/cgroups_test_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    root_ = name;
  }
  void TearDown() override { fs::remove_all(root_); }
  void put(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  // Writes a file of a group.
  void set(const std::string& path, const std::string& text) { put("/sys/fs/cgroup" + path, text); }
  void be_in(const std::string& groups) { put("/proc/self/cgroup", groups); }
  std::string root_;
};

TEST_F(Cgroups, QuotaOfVersion2IsTheSmallestOfAllParents) {
  set("/cpu.max", "max 100000\n");
  set("/lab/cpu.max", "150000 100000\n");
  set("/lab/job/cpu.max", "400000 100000\n");
  be_in("0::/lab/job\n");
  EXPECT_DOUBLE_EQ(cgroup_cpu_quota(root_), 1.5);
  be_in("0::/\n");
  EXPECT_DOUBLE_EQ(cgroup_cpu_quota(root_), 0);
  be_in("0::/not/here\n");
  EXPECT_DOUBLE_EQ(cgroup_cpu_quota(root_), 0);
}

TEST_F(Cgroups, QuotaOfVersion1IsFromTheCpuController) {
  set("/cpu/job/cpu.cfs_quota_us", "50000\n");
  set("/cpu/job/cpu.cfs_period_us", "100000\n");
  be_in("4:memory:/x\n3:cpu,cpuacct:/job\n0::/\n");
  EXPECT_DOUBLE_EQ(cgroup_cpu_quota(root_), 0.5);
  set("/cpu/job/cpu.cfs_quota_us", "-1\n");
  EXPECT_DOUBLE_EQ(cgroup_cpu_quota(root_), 0);
}

TEST_F(Cgroups, MemoryOfTheMachine) {
  put("/proc/meminfo", "MemTotal:       4000 kB\nMemAvailable:   3000 kB\n");
  EXPECT_EQ(free_host_memory(root_), 3072000);
  be_in("0::/\n");
  set("/memory.max", "4000000\n");
  set("/memory.current", "0\n");
  EXPECT_EQ(free_host_memory(root_), 3072000);
}

TEST_F(Cgroups, MemoryOfVersion2) {
  be_in("0::/user.slice/job.scope\n");
  EXPECT_EQ(free_host_memory(root_), kNoLimit);
  set("/user.slice/job.scope/memory.max", "max\n");
  EXPECT_EQ(free_host_memory(root_), kNoLimit);
  set("/user.slice/job.scope/memory.max", "1000000\n");
  set("/user.slice/job.scope/memory.current", "700000\n");
  EXPECT_EQ(free_host_memory(root_), 300000);
  set("/user.slice/job.scope/memory.stat", "anon 400000\nfile 300000\ninactive_file 150000\nactive_file 100000\n");
  EXPECT_EQ(free_host_memory(root_), 550000);
  set("/user.slice/memory.max", "1000000\n");
  set("/user.slice/memory.current", "1200000\n");
  EXPECT_EQ(free_host_memory(root_), 0);
  // In a container the path is the host's and the mount point is the container's own group.
  be_in("0::/docker/4711\n");
  set("/memory.max", "5000\n");
  set("/memory.current", "1000\n");
  EXPECT_EQ(free_host_memory(root_), 4000);
}

TEST_F(Cgroups, MemoryOfVersion1) {
  be_in("4:memory:/slurm/job_7/step_0\n3:cpu,cpuacct:/\n0::/\n");
  set("/memory/memory.limit_in_bytes", "9223372036854771712\n");
  set("/memory/memory.usage_in_bytes", "100\n");
  set("/memory/slurm/job_7/memory.limit_in_bytes", "314572800\n");
  set("/memory/slurm/job_7/memory.usage_in_bytes", "14572800\n");
  set("/memory/slurm/job_7/memory.stat", "inactive_file 1\ntotal_inactive_file 4000000\ntotal_active_file 572800\n");
  EXPECT_EQ(free_host_memory(root_), 304572800);
}

// Version 1, as root: a child process in its own group sees the limit of that group.
TEST(RealCgroup, SeesTheLimitOfItsOwnGroup) {
  std::string folder;
  for_each_cgroup("memory", "", [&](const std::string& group, int version) {
    if (folder.empty() && version == 1) folder = group + "/trainer_test_" + std::to_string(getpid());
  });
  std::error_code error;
  if (folder.empty() || !fs::create_directory(folder, error)) GTEST_SKIP() << "cannot create a group";
  constexpr int64_t kLimit = int64_t{64} << 20;
  const pid_t child = fork();
  if (child == 0) {
    std::ofstream(folder + "/memory.limit_in_bytes") << kLimit << std::flush;
    std::ofstream(folder + "/cgroup.procs") << getpid() << std::flush;
    const int64_t left = free_host_memory();
    _exit(left > 0 && left <= kLimit ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  fs::remove(folder, error);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace trainer
