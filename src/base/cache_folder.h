// The folder for data that is kept between runs.
#pragma once

#include <cstdlib>
#include <string>

namespace trainer {

// $TRAINER_CACHE, $XDG_CACHE_HOME/trainer or ~/.cache/trainer; "" if the environment names none of them. The last two
// need absolute paths.
inline std::string user_cache_folder() {
  if (const char* folder = std::getenv("TRAINER_CACHE"); folder != nullptr && *folder != '\0') return folder;
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache == '/')
    return std::string(cache) + "/trainer";
  const char* home = std::getenv("HOME");
  return home == nullptr || *home != '/' ? "" : std::string(home) + "/.cache/trainer";
}

}  // namespace trainer
