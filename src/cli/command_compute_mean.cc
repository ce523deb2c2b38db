// trainer compute_mean: the mean image of a database, for transform_param.mean_file.
#include <string>

#include "cli/command.h"
#include "data/convert/convert.h"
#include "report/log.h"

namespace trainer {
namespace {

int run_compute_mean(const Arguments& arguments) {
  const std::vector<std::string>& words = arguments.positional();
  if (words.empty() || words.size() > 2) throw UsageError("compute_mean takes INPUT_DB and optionally OUTPUT_FILE");
  const std::string target = words.size() > 1 ? words[1] : "";
  int64_t reported = 0;
  const auto report = [&](int64_t done) {
    if (done != reported) log_info(fmt::format("Processed {} files.", done));
    reported = done;
  };
  const DatabaseMean mean = compute_mean(
      words[0], arguments.text("backend"), target, [](const std::string& line) { log_info(line); },
      [&](int64_t done, int64_t) { report(done); });
  report(mean.records);
  if (!target.empty()) log_info("Write to " + target);
  log_info(fmt::format("Number of channels: {}", mean.channels.size()));
  for (size_t c = 0; c < mean.channels.size(); ++c)
    log_info(fmt::format("mean_value channel [{}]: {}", c, log_number(mean.channels[c])));
  return 0;
}

REGISTER_COMMAND(compute_mean, .name = "compute_mean", .summary = "computes the mean image of a database",
                 .usage = "compute_mean [--backend=lmdb|leveldb] INPUT_DB [OUTPUT_FILE]",
                 .description =
                     "Writes the mean of all items of INPUT_DB to OUTPUT_FILE, for mean_file of transform_param, and "
                     "logs the mean of "
                     "each channel, for mean_value. All items must have the same size. OUTPUT_FILE must not exist.",
                 .flags = {{"backend", FlagType::kChoice, "lmdb", "lmdb|leveldb", "The kind of database."}},
                 .run = run_compute_mean);

}  // namespace
}  // namespace trainer
