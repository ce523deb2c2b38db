// How the processes of a training make the same decisions: by the records that they exchange after each iteration, and
// by what the first process alone does.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ranks/group.h"
#include "train/training.h"

namespace trainer {

struct IterationRecord {
  double loss = 0;     // the sum over the passes of this process; not finite for a bad one
  double seconds = 0;  // of computing, without waiting for others
  int32_t passes = 0;
  int32_t newcomers = 0;  // processes that wait to take part
  int32_t signal = 0;     // that asks to stop
  StopRequest::Kind request = StopRequest::kNone;
  bool out_of_time = false;
};

// One for each process, by rank.
std::vector<IterationRecord> exchange_records(Group& group, const IterationRecord& own);

// Of all processes: the mean loss of a pass, and what any of them asks for.
struct Agreement {
  double loss = 0;
  StopRequest request;
  bool out_of_time = false;
  bool newcomers = false;
};
Agreement agree(const std::vector<IterationRecord>& records);

// Runs an action in the first process only. Returns what it returns, or throws the Error that it throws, in all
// processes; `group` is nullptr for one.
std::string run_on_first(Group* group, const std::function<std::string()>& action);

// Finds processes that are slower than the others.
class Stragglers {
 public:
  explicit Stragglers(const Group& group) : group_(group), seconds_(group.members().size()) {}
  void add(const std::vector<IterationRecord>& records);
  // A line that names the slowest process if it takes much longer than the median; "" for none. Resets the sums.
  std::string describe();

 private:
  const Group& group_;
  std::vector<double> seconds_;
  int iterations_ = 0;
};

}  // namespace trainer
