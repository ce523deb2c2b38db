// The control groups (versions 1 and 2) that this process is in: limits that the machine's own numbers do not
// show.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace trainer {

// Calls `visit` with the folder of the group that holds this process, and of each of its parents, in the
// hierarchy that has `controller` ("cpu", "memory"), and the version of the hierarchy. `root` stands for "/"
// in tests. In a container the path of the group may not exist below the mount: its own group is then the
// mount itself, which comes last.
void for_each_cgroup(const std::string& controller, const std::string& root,
                     const std::function<void(const std::string& folder, int version)>& visit);

// The smallest CPU quota, in cores; 0 where there is none.
double cgroup_cpu_quota(const std::string& root = "");

// Bytes that may still be taken: of the machine, and of the groups where they have a limit, whose cached file
// pages count as free. The largest number where the system does not say.
int64_t free_host_memory(const std::string& root = "");

}  // namespace trainer
