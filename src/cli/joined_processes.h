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
  // Waits for the other processes of the launcher, if any (see --ranks). The meeting's file is PREFIX.meeting.
  // `compared`: names and texts that must be equal on all processes. Only the first process shows its log.
  JoinedProcesses(const Arguments& arguments, const std::string& prefix,
                  std::vector<std::pair<std::string, std::string>> compared);

  // nullptr for one process.
  Group* group() const { return group_.get(); }
  // The one device that the command asks for. On a host with several processes each gets its own GPU. Throws what
  // trainer::choose_device() and count_devices() throw.
  ChosenDevice choose_device(const Arguments& arguments) const;
  bool is_first() const { return group_ == nullptr || group_->is_first(); }

  // Runs the command. An Error names this process and is reported to the others.
  void run(const std::function<void()>& command);

 private:
  LaunchedRank launched_;
  std::unique_ptr<Rendezvous> rendezvous_;
  std::unique_ptr<Group> group_;
  std::optional<QuietLog> quiet_log_;
};

}  // namespace trainer
