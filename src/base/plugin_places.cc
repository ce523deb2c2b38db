// Finds plugins by the places of the program and of this library.
#include "base/plugin_places.h"

#include <dlfcn.h>

#include <filesystem>

namespace trainer {
namespace {

namespace fs = std::filesystem;

fs::path library_folder() {
  Dl_info library{};
  std::error_code ignored;
  dladdr(reinterpret_cast<void*>(&library_folder), &library);
  return library.dli_fname == nullptr ? fs::path() : fs::canonical(fs::path(library.dli_fname).parent_path(), ignored);
}

}  // namespace

std::vector<std::string> plugin_places(const std::string& file) {
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  std::vector<std::string> places = {program / file, library_folder() / file};
  if (places[0] == places[1]) places.pop_back();
  return places;
}

std::string find_plugin(const std::string& file) {
  std::error_code ignored;
  for (const std::string& place : plugin_places(file)) {
    if (fs::exists(place, ignored)) return place;
  }
  return "";
}

}  // namespace trainer
