// Reads and writes the names of devices.
#include "runtime/device_spec.h"

#include <charconv>

#include "base/error.h"

namespace trainer {
namespace {

constexpr const char* kCudaPrefix = "cuda:";

}  // namespace

DeviceSpec DeviceSpec::planned() const {
  DeviceSpec spec = *this;
  spec.plan_only = true;
  return spec;
}

std::string DeviceSpec::text() const {
  if (kind == Kind::kCpu) return "cpu";
  return kCudaPrefix + (architecture.empty() ? fmt::format("{}", ordinal) : architecture);
}

DeviceSpec parse_device(const std::string& text) {
  DeviceSpec spec;
  if (text == spec.text()) return spec;
  const std::string prefix = kCudaPrefix;
  int ordinal = -1;
  if (text.starts_with(prefix)) {
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + prefix.size(), end, ordinal);
    if (error == std::errc() && stop == end && ordinal >= 0) return DeviceSpec::cuda(ordinal);
  }
  throw config_error("no device \"{}\": write \"cpu\", or \"cuda:0\" for GPU 0", text);
}

}  // namespace trainer
