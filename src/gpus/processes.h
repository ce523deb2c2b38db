// Processes as messages name them.
#pragma once

#include <sys/types.h>

#include <string>

namespace trainer {

// "alice", or the number of a user without a name.
std::string user_name(uid_t user);

// "pid 4242 (alice, python3)"; "pid 4242" where /proc does not show it.
std::string process_text(int pid);

// The command line of this process, cut after `most` bytes.
std::string own_command(size_t most);

}  // namespace trainer
