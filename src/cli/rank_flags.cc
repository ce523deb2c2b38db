// The flags of commands that several processes run together.
#include "cli/rank_flags.h"

#include <charconv>
#include <cstdio>
#include <string>

#include "base/error.h"
#include "base/text.h"

namespace trainer {
namespace {

constexpr int kMostRanks = 1'000'000;

// Returns 0 for any other text.
int number_of_ranks(const std::string& text) {
  int number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && rest == end && number >= 1 && number <= kMostRanks ? number : 0;
}

}  // namespace

Flag ranks_flag() {
  return {"ranks", FlagType::kChoice, "auto", "auto|none|env|mpi|slurm",
          "Which launcher says how many processes run this command together: env (RANK and WORLD_SIZE), mpi (mpirun, "
          "mpiexec) or slurm (srun); auto takes the innermost one. none: this process runs alone."};
}
Flag elastic_flag() {
  return {"elastic", FlagType::kText, "", "MIN[:MAX]",
          "Continue without processes that fail, as long as MIN remain, and readmit them when they return, MAX in all. "
          "Without it the run ends with exit code 7 when a process fails."};
}
Flag scale_rate_flag() {
  return {"scale_rate", FlagType::kChoice, "none", "none|linear|sqrt",
          "Multiply base_lr and final_lr by the number of devices that train together, or by its square root. A solver "
          "without a warm-up gets one."};
}

RanksFlag ranks_of(const Arguments& arguments) {
  const std::string& text = arguments.text("ranks");
  if (text == "none") return RanksFlag::kNone;
  if (text == "env") return RanksFlag::kEnv;
  if (text == "mpi") return RanksFlag::kMpi;
  if (text == "slurm") return RanksFlag::kSlurm;
  return RanksFlag::kAuto;
}

ElasticLimits elastic_limits_of(const Arguments& arguments) {
  ElasticLimits limits;
  if (!arguments.given("elastic")) return limits;
  const std::string& text = arguments.text("elastic");
  const size_t colon = text.find(':');
  limits.least = number_of_ranks(text.substr(0, colon));
  if (colon != std::string::npos) limits.most = number_of_ranks(text.substr(colon + 1));
  if (limits.least == 0 || (colon != std::string::npos && limits.most == 0))
    throw config_error(
        "--elastic={}: write the least number of processes, from 1 on, or the least and the most: "
        "--elastic=2 or --elastic=2:8",
        text);
  if (limits.most != 0 && limits.most < limits.least)
    throw config_error("--elastic={}: at most {} processes are fewer than at least {}; write the smaller number first",
                       text, limits.most, limits.least);
  return limits;
}

RateScaling rate_scaling_of(const Arguments& arguments) {
  const std::string& text = arguments.text("scale_rate");
  if (text == "linear") return RateScaling::kLinear;
  return text == "sqrt" ? RateScaling::kSqrt : RateScaling::kNone;
}

void show_wait(const std::string& line) { std::fprintf(stderr, "trainer: %s\n", line.c_str()); }

}  // namespace trainer
