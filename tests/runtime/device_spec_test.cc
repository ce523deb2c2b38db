// The names of devices, read and written.
#include "runtime/device_spec.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace trainer {
namespace {

TEST(DeviceSpec, ReadsWhatItWrites) {
  EXPECT_EQ(parse_device("cpu").kind, DeviceSpec::Kind::kCpu);
  const DeviceSpec gpu = parse_device("cuda:12");
  EXPECT_EQ(gpu.kind, DeviceSpec::Kind::kCuda);
  EXPECT_EQ(gpu.ordinal, 12);
  EXPECT_FALSE(gpu.plan_only);
  EXPECT_EQ(gpu.text(), "cuda:12");
  EXPECT_TRUE(gpu.planned().plan_only);
  EXPECT_EQ(DeviceSpec().text(), "cpu");
  EXPECT_EQ((DeviceSpec{DeviceSpec::Kind::kCuda, 0, "sm_90", true}.text()), "cuda:sm_90");
}

TEST(DeviceSpec, RefusesOtherText) {
  for (const char* text :
       {"", "gpu7", "cuda", "cuda:", "cuda:x", "cuda:1x", "cuda:-1", "plan:cpu", "cuda:sm_90", "cuda:99999999999"}) {
    try {
      parse_device(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kConfiguration);
      EXPECT_NE(std::string(error.what()).find(fmt::format("no device \"{}\": write", text)), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace trainer
