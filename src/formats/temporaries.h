// Temporary files and folders: names that no other process takes, a lock that says that they are in use, and the
// removal of those that killed processes left.
#pragma once

#include <string>

namespace trainer {

// "HOST.PID.N", another one with each call: the last part of a temporary name, before a fixed ending.
std::string temporary_tag();

// Locks a temporary file or folder as long as `descriptor` is open. False where it is gone: another process took it for
// abandoned. Where the file system knows no locks, nothing is ever taken for abandoned.
bool lock_temporary(int descriptor);

// Removes the temporary files and folders whose path is `begin`, anything, a tag and `ending`, and whose process has
// ended. Of another host's, only files that are older than a day: not every network file system has locks that all
// hosts see.
void remove_abandoned(const std::string& begin, const std::string& ending);

}  // namespace trainer
