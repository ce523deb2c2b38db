// The values of --ranks, --elastic and --scale_rate.
#include "cli/rank_flags.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace trainer {
namespace {

const std::vector<Flag> kTable = {ranks_flag(), elastic_flag(), scale_rate_flag()};

Arguments parse(const std::vector<std::string>& words) { return Arguments::parse(kTable, words); }

std::string mistake(const std::string& word) {
  try {
    elastic_limits_of(parse({word}));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfiguration);
    return error.what();
  }
  return "no mistake";
}

TEST(RankFlags, Values) {
  EXPECT_EQ(ranks_of(parse({})), RanksFlag::kAuto);
  EXPECT_EQ(ranks_of(parse({"--ranks=none"})), RanksFlag::kNone);
  EXPECT_EQ(ranks_of(parse({"--ranks=env"})), RanksFlag::kEnv);
  EXPECT_EQ(ranks_of(parse({"--ranks=mpi"})), RanksFlag::kMpi);
  EXPECT_EQ(ranks_of(parse({"--ranks=slurm"})), RanksFlag::kSlurm);
  EXPECT_EQ(rate_scaling_of(parse({})), RateScaling::kNone);
  EXPECT_EQ(rate_scaling_of(parse({"--scale_rate=linear"})), RateScaling::kLinear);
  EXPECT_EQ(rate_scaling_of(parse({"--scale_rate=sqrt"})), RateScaling::kSqrt);
}

TEST(RankFlags, ElasticLimits) {
  EXPECT_EQ(elastic_limits_of(parse({})).least, 0);
  ElasticLimits limits = elastic_limits_of(parse({"--elastic=2"}));
  EXPECT_EQ(limits.least, 2);
  EXPECT_EQ(limits.most, 0);
  limits = elastic_limits_of(parse({"--elastic=3:8"}));
  EXPECT_EQ(limits.least, 3);
  EXPECT_EQ(limits.most, 8);
  for (const std::string text : {"", "0", "-1", "x", "2:", ":4", "2:x", "2:0", "2:4:8", "1.5"})
    EXPECT_EQ(mistake("--elastic=" + text),
              "--elastic=" + text +
                  ": write the least number of processes, from 1 on, or the least and the most: --elastic=2 or "
                  "--elastic=2:8");
  EXPECT_EQ(mistake("--elastic=4:2"),
            "--elastic=4:2: at most 2 processes are fewer than at least 4; write the smaller number first");
}

}  // namespace
}  // namespace trainer
