// SHA-256: digests that sha256sum prints.
#include "base/sha256.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

namespace trainer {
namespace {

std::string digest(const std::string& bytes) {
  std::string text;
  for (const uint32_t word : sha256(bytes)) text += fmt::format("{:08x}", word);
  return text;
}

TEST(Sha256, GivesTheDigestsOfSha256sum) {
  EXPECT_EQ(digest(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest(std::string(1000000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

// The padding takes one block or two.
TEST(Sha256, PadsAtTheEdgesOfBlocks) {
  EXPECT_EQ(digest(std::string(55, 'a')), "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
  EXPECT_EQ(digest(std::string(56, 'a')), "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a");
  EXPECT_EQ(digest(std::string(63, 'a')), "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34");
  EXPECT_EQ(digest(std::string(64, 'a')), "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
  EXPECT_EQ(digest(std::string(119, 'a')), "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb");
  EXPECT_EQ(digest(std::string(120, 'a')), "2f3d335432c70b580af0e8e1b3674a7c020d683aa5f73aaaedfdc55af904c21c");
}

// The digest of the first 65536 bytes, with their zeros, stands in the place of these bytes.
TEST(TextDigest, AddsPartsOfBoundedSize) {
  TextDigest all;
  EXPECT_EQ(all.value(), digest(""));
  all.add("a");
  all.add("bc");
  EXPECT_EQ(all.value(), digest(std::string("a\0bc\0", 5)));
  all.add(std::string(65530, 'x'));
  const std::string first = digest(std::string("a\0bc\0", 5) + std::string(65530, 'x') + std::string(1, '\0'));
  EXPECT_EQ(all.value(), digest(first));
  all.add("d");
  EXPECT_EQ(all.value(), digest(first + "d" + std::string(1, '\0')));
}

}  // namespace
}  // namespace trainer
