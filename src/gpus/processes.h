// Names of processes and users in messages.
#pragma once

#include <sys/types.h>

#include <string>

namespace trainer {

// "alice", or "user 1000" for a user without a name.
std::string user_name(uid_t user);

// "pid 4242 (alice, python3)"; "pid 4242" if /proc does not show the process.
std::string process_text(int pid);

// The command line of this process, truncated to `most` bytes.
std::string own_command(size_t most);

}  // namespace trainer
