// The processes of `trainer launch`: starts them, passes output and signals on, and ends them together.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "cli/launch_plan.h"

namespace trainer {

struct LaunchOptions {
  std::vector<std::string> ssh;  // the words of the command that runs a command on a host
  // The run continues without processes that fail.
  bool elastic = false;
  // When one process has failed: the time that the others have to end by themselves, then after TERM, then after KILL.
  std::chrono::milliseconds by_itself{30'000}, after_term{10'000}, after_kill{5'000};
};

// Starts the processes of all slots and waits for their end. The output of rank 0 is that of this process; lines of the
// others are written with their rank and host. SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 and SIGXCPU go to all.
//
// Returns 0 if all processes end with 0, or one of an elastic run; the code of the stop if a signal or max_time decides
// the end. Otherwise throws an Error that says what failed, with the code of the first process that failed, preferring
// codes other than 7. Throws a config_error if the ssh command cannot be started.
int run_ranks(const LaunchPlan& plan, const std::vector<Slot>& slots, const LaunchOptions& options);

}  // namespace trainer
