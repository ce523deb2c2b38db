// The processes that run a command together, other than a training.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/flags.h"
#include "cli/glog_sink.h"
#include "ranks/rendezvous.h"
#include "session/choose_device.h"

namespace trainer {

class JoinedProcesses {
 public:
  // Waits for the other processes of the launcher, unless there are none or --ranks says so. `prefix` begins the name
  // of the meeting's file, and `compared` is what all must run the same of. The log of processes that are not the first
  // is not shown.
  JoinedProcesses(const Arguments& arguments, const std::string& prefix,
                  std::vector<std::pair<std::string, std::string>> compared);

  // nullptr for one process.
  Group* group() const { return group_.get(); }
  // The one device that the command asks for. On a host with several processes each gets its own GPU. Throws a
  // config_error for several devices, for processes with GPUs and others without, and for a GPU that two processes have.
  ChosenDevice choose_device(const Arguments& arguments) const;
  bool is_first() const { return group_ == nullptr || group_->is_first(); }

  // Runs the command. The other processes know of an Error that it throws, which names this process.
  void run(const std::function<void()>& command);

 private:
  LaunchedRank launched_;
  std::unique_ptr<Rendezvous> rendezvous_;
  std::unique_ptr<Group> group_;
  std::optional<QuietLog> quiet_log_;
};

}  // namespace trainer
