// Exchanges records and decides by them.
#include "train/agreement.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace trainer {

std::vector<IterationRecord> exchange_records(Group& group, const IterationRecord& own) {
  static_assert(std::is_trivially_copyable_v<IterationRecord>);
  const std::vector<std::string> texts = group.gather({reinterpret_cast<const char*>(&own), sizeof(own)});
  std::vector<IterationRecord> records(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    TRAINER_ASSERT(texts[i].size() == sizeof(IterationRecord));
    std::memcpy(&records[i], texts[i].data(), sizeof(IterationRecord));
  }
  return records;
}

Agreement agree(const std::vector<IterationRecord>& records) {
  Agreement agreement;
  int64_t passes = 0;
  for (const IterationRecord& record : records) {
    agreement.loss += record.loss;
    passes += record.passes;
    if (record.request > agreement.request.kind) agreement.request = {record.request, record.signal};
    agreement.out_of_time |= record.out_of_time;
  }
  agreement.loss /= static_cast<double>(passes);
  agreement.newcomers = records.front().newcomers > 0;
  return agreement;
}

std::string run_on_first(Group* group, const std::function<std::string()>& action) {
  if (group == nullptr) return action();
  std::string text;
  ExitCode code = ExitCode::kDone;
  try {
    if (group->is_first()) text = action();
  } catch (const Error& error) {
    code = error.code();
    text = error.what();
  }
  group->broadcast(&code, sizeof(code), 0);
  text = group->broadcast_text(text, 0);
  if (code == ExitCode::kDone) return text;
  group->share_error();
  throw Error(code, group->is_first() ? text : fmt::format("{}: {}", text_of(group->members()[0]), text));
}

void Stragglers::add(const std::vector<IterationRecord>& records) {
  ++iterations_;
  for (size_t i = 0; i < records.size(); ++i) seconds_[i] += records[i].seconds;
}

std::string Stragglers::describe() {
  constexpr double kMuchLonger = 1.5, kNoticeable = 0.005;  // seconds an iteration
  std::vector<double> sorted = seconds_;
  std::sort(sorted.begin(), sorted.end());
  // Of an even number the lower one, so that one of two processes can be slow.
  const double median = sorted[(sorted.size() - 1) / 2];
  const size_t slowest = static_cast<size_t>(std::max_element(seconds_.begin(), seconds_.end()) - seconds_.begin());
  std::string line;
  if (seconds_[slowest] > kMuchLonger * median && seconds_[slowest] - median > kNoticeable * iterations_)
    line = fmt::format(
        "{} is slow: its passes take {:.1f} times as long as the median, {:.3g} s an iteration; all "
        "others wait for it",
        text_of(group_.members()[slowest]), seconds_[slowest] / median, seconds_[slowest] / iterations_);
  std::fill(seconds_.begin(), seconds_.end(), 0.0);
  iterations_ = 0;
  return line;
}

}  // namespace trainer
