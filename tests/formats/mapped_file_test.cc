// Files that are truncated while they are mapped.
#include "formats/mapped_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <numeric>
#include <string>
#include <thread>
#include <vector>

namespace trainer {
namespace {

constexpr size_t kPages = 64;

class MappedFileTest : public testing::Test {
 protected:
  void SetUp() override {
    page_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    char name[] = "/tmp/mapped_file_test_XXXXXX";
    descriptor_ = mkstemp(name);
    ASSERT_GE(descriptor_, 0);
    unlink(name);
    fill();
  }
  void TearDown() override { close(descriptor_); }
  void fill() {
    const std::string bytes(kPages * page_, 'x');
    ASSERT_EQ(pwrite(descriptor_, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  }
  std::unique_ptr<MappedFile> map() { return MappedFile::map(descriptor_, kPages * page_); }
  size_t page_ = 0;
  int descriptor_ = -1;
};

int64_t sum(const MappedFile& file) { return std::accumulate(file.bytes(), file.bytes() + file.size(), int64_t{0}); }

TEST_F(MappedFileTest, LostPagesAreZerosForEveryThread) {
  const auto file = map();
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(sum(*file), static_cast<int64_t>(kPages * page_) * 'x');
  EXPECT_FALSE(file->failed());
  ASSERT_EQ(ftruncate(descriptor_, static_cast<off_t>(2 * page_)), 0);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { EXPECT_EQ(sum(*file), static_cast<int64_t>(2 * page_) * 'x'); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(file->failed());
}

TEST_F(MappedFileTest, AdviceChangesNoBytes) {
  const auto file = map();
  ASSERT_NE(file, nullptr);
  file->expect_random_access();
  const std::string_view bytes(file->bytes(), file->size());
  prefetch(bytes);
  prefetch(bytes.substr(page_ + 7, 9 * page_));
  prefetch(bytes.substr(bytes.size() - 5 * page_ + 1));
  prefetch(bytes.substr(3, 10));
  EXPECT_EQ(sum(*file), static_cast<int64_t>(kPages * page_) * 'x');
  EXPECT_FALSE(file->failed());
}

TEST_F(MappedFileTest, OtherMapsAreUnaffected) {
  const auto first = map();
  ASSERT_EQ(ftruncate(descriptor_, 0), 0);
  EXPECT_EQ(sum(*first), 0);
  ASSERT_NO_FATAL_FAILURE(fill());
  auto second = map();
  EXPECT_FALSE(second->failed());
  EXPECT_EQ(sum(*second), static_cast<int64_t>(kPages * page_) * 'x');
  second.reset();
  const auto third = map();
  EXPECT_FALSE(third->failed());
  EXPECT_TRUE(first->failed());
}

TEST_F(MappedFileTest, AnyOtherFaultEndsTheProcess) {
  const auto file = map();
  const auto* other = static_cast<const volatile char*>(mmap(nullptr, page_, PROT_READ, MAP_SHARED, descriptor_, 0));
  ASSERT_EQ(ftruncate(descriptor_, 0), 0);
  EXPECT_DEATH(static_cast<void>(*other), "");
}

}  // namespace
}  // namespace trainer
