// The folder for data that is kept between runs.
#pragma once

#include <cstdlib>
#include <string>

namespace trainer {

// $XDG_CACHE_HOME/trainer or ~/.cache/trainer; "" if the environment names neither folder by an absolute path.
inline std::string user_cache_folder() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache == '/')
    return std::string(cache) + "/trainer";
  const char* home = std::getenv("HOME");
  return home == nullptr || *home != '/' ? "" : std::string(home) + "/.cache/trainer";
}

}  // namespace trainer
