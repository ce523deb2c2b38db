// What the environment says of a run of the tests.
#pragma once

#include <cstdlib>
#include <string>

#include "runtime/device_spec.h"

namespace trainer {

// The device for tests that compare with independent numbers, or one run with another: TRAINER_TEST_DEVICE ("cuda:0"),
// or the CPU if it is unset.
inline DeviceSpec test_device() {
  const char* name = std::getenv("TRAINER_TEST_DEVICE");
  return name == nullptr ? DeviceSpec() : parse_device(name);
}
inline bool tests_run_on_gpu() { return test_device().kind == DeviceSpec::Kind::kCuda; }

// The source folder, whose files some tests read: TRAINER_SOURCE_DIR, or the folder of the build.
inline std::string source_folder() {
  const char* folder = std::getenv("TRAINER_SOURCE_DIR");
  return folder == nullptr ? TRAINER_SOURCE_DIR : folder;
}

}  // namespace trainer
