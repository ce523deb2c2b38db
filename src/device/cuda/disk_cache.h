// What was found out once for a GPU and its libraries, kept for later runs: code of kernels, ways to compute.
//
// Kept in files of $XDG_CACHE_HOME/trainer/cuda or ~/.cache/trainer/cuda, each with its whole key, and in memory.
// A folder that cannot be written, and a file that is damaged, cost finding out again.
#pragma once

#include <optional>
#include <string>

namespace trainer::cuda {

// The folder, or "" where the environment names none.
std::string cache_folder();

// Why nothing can be kept there; or "".
std::string refuse_keeping();

// `key`: all that the value depends on, versions of libraries among it; of any length.
std::optional<std::string> find_cached(const std::string& key);
// Processes that keep the same at once do no harm.
void keep_cached(const std::string& key, const std::string& value);

}  // namespace trainer::cuda
