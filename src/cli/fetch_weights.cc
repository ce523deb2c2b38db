// Shows downloads.
#include "cli/fetch_weights.h"

#include "cli/progress_line.h"
#include "hub/weight_names.h"

namespace trainer {

void fetch_weights(const std::string& value, const SignalHandlers* signals) {
  if (missing_weights(value).empty()) return;
  ProgressLine line("the download is not complete; the same command continues it", value, signals);
  FetchOptions options;
  options.progress = [&](int64_t done, int64_t total) { line(done, total); };
  fetch_named(value, options);
}

}  // namespace trainer
