// TensorBoard records, compared with bytes from an independent computation (Python's struct and a bitwise CRC-32C).
#include "report/event_file.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "report/crc32c.h"

namespace trainer {
namespace {

std::string hex(const std::string& bytes) {
  std::string out;
  for (char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

TEST(EventFile, CheckValueOfCrc32c) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(masked_crc32c("123456789"), 0xC78AB0E5u);
}

TEST(EventFile, RecordsMatchKnownBytes) {
  EXPECT_EQ(hex(tfrecord(version_event(1.5))),
            "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c");
  EXPECT_EQ(hex(tfrecord(scalar_event(2.25, 300, "train/loss", 0.5f))),
            "2100000000000000017becf609000000000000024010ac022a130a110a0a747261696e2f6c6f7373150000003fd2017983");
}

TEST(EventFile, RecordsBeforeAStep) {
  const std::string start = tfrecord(version_event(1.5)), first = tfrecord(scalar_event(2, 0, "a", 1)),
                    second = tfrecord(scalar_event(3, 300, "a", 2)), third = tfrecord(scalar_event(4, 301, "a", 3));
  const std::string all = start + first + second + third + start;
  EXPECT_EQ(records_before(all, 302), all);
  EXPECT_EQ(records_before(all, 301), start + first + second + start);
  EXPECT_EQ(records_before(all, 0), start + start);
  EXPECT_EQ(records_before(start + first + second.substr(0, second.size() - 1), 302), start + first);
  EXPECT_EQ(records_before("", 0), "");
}

TEST(EventFile, NameIsFoundByTensorBoard) {
  EXPECT_EQ(event_file_name(1700000000.7).substr(0, 31), "events.out.tfevents.1700000000.");
}

}  // namespace
}  // namespace trainer
