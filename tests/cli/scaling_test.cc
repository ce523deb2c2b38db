// Compares predictions with sums by hand.
#include "cli/scaling.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace trainer {
namespace {

// Two buckets of 10 MB: the first is ready after 60 ms of a pass of 100 ms.
MeasuredPass two_buckets() {
  MeasuredPass measured;
  measured.pass = 0.1;
  measured.update = 0.01;
  measured.buckets = {{0.06, 10'000'000}, {0.1, 10'000'000}};
  return measured;
}

TEST(Scaling, OneDeviceExchangesNothing) {
  EXPECT_DOUBLE_EQ(predict_iteration(two_buckets(), 1, parse_network("1G")), 0.11);
}

// 8 Gbit/s are 1 GB/s. Of 2 devices each sends 10 MB a bucket: 10 ms, and 2 messages. The first bucket ends at 70 ms,
// hidden by the pass, the second one at 110 ms.
TEST(Scaling, ThePassHidesWhatIsReadyBeforeItsEnd) {
  EXPECT_NEAR(predict_iteration(two_buckets(), 2, parse_network("8G")), 0.1 + 0.01 + 2 * 20e-6 + 0.01, 1e-12);
}

// Of 4 devices each sends 15 MB a bucket; at 0.1 GB/s that is 150 ms. The second bucket waits for the first one.
TEST(Scaling, BucketsWaitForEachOther) {
  EXPECT_NEAR(predict_iteration(two_buckets(), 4, parse_network("800M")), 0.06 + 2 * (0.15 + 6 * 20e-6) + 0.01, 1e-12);
}

TEST(Scaling, TheTableHasAllPowersAndTheAskedNumber) {
  const std::string table = scaling_table(two_buckets(), 48, parse_network("100G"), 32);
  for (const char* line : {"\n       1 ", "\n       2 ", "\n    1024 ", "\n      48 "})
    EXPECT_NE(table.find(line), std::string::npos) << line << table;
  EXPECT_NE(table.find("100.0%"), std::string::npos) << table;
}

TEST(Scaling, RatesOfNetworks) {
  EXPECT_DOUBLE_EQ(parse_network("100G").bytes_per_second, 12.5e9);
  EXPECT_DOUBLE_EQ(parse_network("2.5G").bytes_per_second, 312.5e6);
  EXPECT_DOUBLE_EQ(parse_network("800M").bytes_per_second, 1e8);
  for (const char* text : {"", "G", "0G", "-1G", "10", "10 G", "10Gbit", "nanG", "infG"})
    EXPECT_THROW(parse_network(text), Error) << text;
}

}  // namespace
}  // namespace trainer
