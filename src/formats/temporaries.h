// Temporary files and folders: names that no other process uses, a lock that marks them as in use, and removal of those
// that killed processes left.
#pragma once

#include <string>

namespace trainer {

// Returns "HOST.PID.N", different at each call: the last part of a temporary name, before a fixed ending.
std::string temporary_tag();

// Locks a temporary file or folder while `descriptor` is open. False if it no longer exists, because another process
// considered it abandoned. On file systems without locks nothing is ever considered abandoned.
bool lock_temporary(int descriptor);

// Removes the temporary files and folders whose path is `begin`, any text, a tag and `ending`, if their process has
// ended. Of other hosts, only files older than a day: on some network file systems a host does not see the locks of
// others.
void remove_abandoned(const std::string& begin, const std::string& ending);

// Flushes the entries of a folder to the disk, as far as the file system can.
void flush_folder(const std::string& folder);

}  // namespace trainer
