// Loads the plugin of the engine.
#include "ranks/open_lane.h"

#include <dlfcn.h>

#include "base/error.h"
#include "base/plugin_places.h"

namespace trainer {
namespace {

constexpr const char* kPlugin = "libtrainer_gloo.so";
using OpenGlooLane = Lane* (*)(const LaneRequest* request);

OpenGlooLane open_plugin() {
  const std::string place = find_plugin(kPlugin);
  if (place.empty())
    throw device_error(
        "several processes exchange numbers through {}, which this installation lacks: install Gloo (Debian's package "
        "libgloo-dev) and build trainer again, or start one process with --ranks=none",
        kPlugin);
  void* library = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
  const char* reason = library == nullptr ? dlerror() : nullptr;
  if (reason != nullptr)
    throw device_error("{} cannot be loaded: {}. Start one process with --ranks=none", kPlugin, reason);
  const auto open = reinterpret_cast<OpenGlooLane>(dlsym(library, "trainer_open_gloo_lane"));
  if (open == nullptr) throw device_error("{} is not a Gloo plugin of this version of trainer", place);
  return open;
}

}  // namespace

std::unique_ptr<Lane> open_gloo_lane(const LaneRequest& request) {
  static const OpenGlooLane open = open_plugin();
  return std::unique_ptr<Lane>(open(&request));
}

}  // namespace trainer
