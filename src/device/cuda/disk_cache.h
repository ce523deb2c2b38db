// Results that are kept for later runs: compiled kernels, and the fastest algorithms and plans of a GPU's libraries.
//
// They are in memory and in files of user_cache_folder()/cuda, one file per key, with the whole key in it. If the
// folder is not writable or a file is damaged, the result is computed again.
#pragma once

#include <optional>
#include <string>

namespace trainer::cuda {

// The folder, or "" if the environment names none.
std::string cache_folder();

// Why the folder is not usable, or "".
std::string refuse_disk_cache();

// `key`: everything that the value depends on, including the versions of libraries. It may be of any length.
std::optional<std::string> find_cached(const std::string& key);
// Several processes may store the same key at the same time.
void store_cached(const std::string& key, const std::string& value);

}  // namespace trainer::cuda
