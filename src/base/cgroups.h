// CPU and memory limits from the control groups (versions 1 and 2) of this process.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace trainer {

// Calls `visit` with the folder and hierarchy version of this process's group and of each parent, in the hierarchy that
// has `controller` ("cpu", "memory"). Tests pass a `root` other than "/". In a container the path of the group may not
// exist below the mount point; the container's group is then the mount point itself, which is visited last.
void for_each_cgroup(const std::string& controller, const std::string& root,
                     const std::function<void(const std::string& folder, int version)>& visit);

// The smallest CPU quota, in cores; 0 if there is none.
double cgroup_cpu_quota(const std::string& root = "");

// Bytes that this process may still allocate: the minimum over the machine and the groups with a limit. Cached file
// pages of a group count as free. The largest int64 if the system gives no numbers.
int64_t free_host_memory(const std::string& root = "");

}  // namespace trainer
