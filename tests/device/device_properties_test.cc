// The data sheets of GPUs.
#include "device/cuda/device_properties.h"

#include <gtest/gtest.h>

namespace trainer::cuda {
namespace {

// The name of the data sheet of a GPU with these properties (memory in MiB), or "".
std::string sheet_of(const char* name, int multiprocessors, int64_t memory) {
  DeviceProperties properties;
  properties.name = name;
  properties.multiprocessors = multiprocessors;
  properties.memory = memory << 20;
  const std::optional<DataSheet> sheet = data_sheet_of(properties, Precision::kFP32);
  return sheet ? sheet->name : "";
}

TEST(DeviceProperties, KnowTheDataSheetOfAGpu) {
  EXPECT_EQ(sheet_of("Tesla T4", 40, 14'930), "T4");
  EXPECT_EQ(sheet_of("NVIDIA A100-SXM4-40GB", 108, 40'330), "A100");
  EXPECT_EQ(sheet_of("NVIDIA L4", 58, 22'570), "L4");
  EXPECT_EQ(sheet_of("NVIDIA GeForce RTX 4090", 128, 24'080), "RTX 4090");
  EXPECT_EQ(sheet_of("NVIDIA H100 80GB HBM3", 132, 81'090), "H100");
  EXPECT_EQ(sheet_of("NVIDIA H200", 132, 143'150), "H200");
}

TEST(DeviceProperties, KnowNoDataSheetOfAnotherVariant) {
  EXPECT_EQ(sheet_of("NVIDIA A100-SXM4-80GB", 108, 81'050), "");
  EXPECT_EQ(sheet_of("NVIDIA L40", 142, 45'500), "");
  EXPECT_EQ(sheet_of("NVIDIA GeForce RTX 4090 Laptop GPU", 76, 16'070), "");
  EXPECT_EQ(sheet_of("NVIDIA H100 PCIe", 114, 81'070), "");
  EXPECT_EQ(sheet_of("NVIDIA H200 MIG 1g.18gb", 16, 16'200), "");
  EXPECT_EQ(sheet_of("Emulated GPU", 4, 4'096), "");
}

TEST(DeviceProperties, KnowGpusByNameAndArchitecture) {
  EXPECT_EQ(typical_properties("H200").name, "NVIDIA H200");
  EXPECT_EQ(typical_properties("rtx4090").architecture(), "sm_89");
  EXPECT_EQ(typical_properties("sm_89").name, "NVIDIA L4");
  EXPECT_EQ(typical_properties("sm_90").name, "NVIDIA H100");
}

}  // namespace
}  // namespace trainer::cuda
