// The device of tests that compare with numbers from elsewhere, or a run with another.
#pragma once

#include <cstdlib>
#include <string>

namespace trainer {

// TRAINER_TEST_DEVICE ("cuda:0"), else the CPU.
inline std::string test_device() {
  const char* name = std::getenv("TRAINER_TEST_DEVICE");
  return name == nullptr ? "cpu" : name;
}

}  // namespace trainer
