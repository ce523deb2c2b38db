// Two runs with the same file prefix: the second one fails while the first one is alive.
#include "formats/prefix_lock.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <memory>

#include "base/error.h"
#include "formats/temp_folder.h"

namespace trainer {
namespace {

TEST(PrefixLock, IsExclusiveAndRemovesItsFile) {
  const TempFolder folder;
  auto first = std::make_unique<PrefixLock>(folder / "a");
  try {
    const PrefixLock second(folder / "a");
    ADD_FAILURE() << "held twice";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfiguration);
    EXPECT_NE(std::string(error.what()).find("pid " + std::to_string(getpid()) + " on "), std::string::npos)
        << error.what();
    EXPECT_NE(std::string(error.what()).find(folder / "a"), std::string::npos) << error.what();
  }
  const PrefixLock other(folder / "b");
  first.reset();
  EXPECT_FALSE(std::filesystem::exists(PrefixLock::path_of(folder / "a")));
  first = std::make_unique<PrefixLock>(folder / "a");
}

TEST(PrefixLock, IsReleasedWhenItsProcessIsKilled) {
  const TempFolder folder;
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const PrefixLock lock(folder / "a");
    if (write(ready[1], "x", 1) == 1) pause();
    _exit(1);
  }
  char byte;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  close(ready[0]);
  close(ready[1]);
  EXPECT_THROW(PrefixLock(folder / "a"), Error);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(std::filesystem::exists(PrefixLock::path_of(folder / "a")));
  const PrefixLock lock(folder / "a");
}

// Package managers keep files named *.lock.
TEST(PrefixLock, KeepsFilesOfOtherPrograms) {
  const TempFolder folder;
  const std::string pins = folder.write("yarn.lock", "pins");
  { const PrefixLock lock(folder / "yarn"); }
  EXPECT_EQ(read_all(pins), "pins");
  const std::string path = PrefixLock::path_of(folder / "yarn");
  EXPECT_FALSE(std::filesystem::exists(path));

  std::filesystem::rename(pins, path);
  EXPECT_TRUE(contains(data_error_of([&] { const PrefixLock lock(folder / "yarn"); }), path));
  EXPECT_EQ(read_all(path), "pins");

  // The path has a second hard link elsewhere.
  std::filesystem::rename(path, folder / "elsewhere");
  folder.write("elsewhere", "");
  std::filesystem::create_hard_link(folder / "elsewhere", path);
  EXPECT_TRUE(contains(data_error_of([&] { const PrefixLock lock(folder / "yarn"); }), path));
}

TEST(PrefixLock, RemovesOnlyTheFileThatItLocked) {
  const TempFolder folder;
  const std::string path = PrefixLock::path_of(folder / "a");
  {
    const PrefixLock lock(folder / "a");
    std::filesystem::remove(path);
    folder.write(std::filesystem::path(path).filename(), "not ours");
  }
  EXPECT_EQ(read_all(path), "not ours");
}

TEST(PrefixLock, LocksNothingIfNoFileCanBeCreated) {
  const TempFolder folder;
  const PrefixLock first(folder / "absent/a"), second(folder / "absent/a");
}

}  // namespace
}  // namespace trainer
