// Meets the processes of a command.
#include "cli/joined_processes.h"

#include "base/caught_error.h"
#include "base/error.h"
#include "cli/net_flags.h"
#include "cli/rank_flags.h"

namespace trainer {

JoinedProcesses::JoinedProcesses(const Arguments& arguments, const std::string& prefix,
                                 std::vector<std::pair<std::string, std::string>> compared)
    : launched_(find_rank(ranks_of(arguments))) {
  if (launched_.world == 1) return;
  if (launched_.rank != 0) quiet_log_.emplace();
  RendezvousRequest request;
  request.launched = launched_;
  request.file = prefix + ".meeting";
  request.compared = std::move(compared);
  request.compared.insert(request.compared.begin(), {"the version of trainer", TRAINER_VERSION});
  request.wait.note = show_wait;
  rendezvous_ = std::make_unique<Rendezvous>(std::move(request));
  run([this] { group_ = rendezvous_->meet(); });
}

ChosenDevice JoinedProcesses::choose_device(const Arguments& arguments) const {
  DeviceRequest request = device_request_of(arguments);
  if (group_ == nullptr) return trainer::choose_device(request);
  request.local_rank = launched_.local_rank.value_or(0);
  request.local_size = launched_.local_size.value_or(1);
  const ChosenDevice device = trainer::choose_device(request);
  count_devices(*group_, {device});
  return device;
}

void JoinedProcesses::run(const std::function<void()>& command) {
  try {
    command();
  } catch (...) {
    if (launched_.world == 1) throw;
    const Error error = caught_error(true);
    if (group_ != nullptr) group_->leave(error);
    throw Error(error.code(), named_process(launched_, error.what()));
  }
}

}  // namespace trainer
