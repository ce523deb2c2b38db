// The table of known GPUs.
#include "device/cuda/device_properties.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <vector>

#include "base/error.h"

namespace trainer::cuda {
namespace {

constexpr int64_t kKiB = 1024, kMiB = kKiB * kKiB, kGiB = kMiB * kKiB;

struct Gpu {
  const char* name;
  int major, minor, multiprocessors;
  int64_t memory, l2_cache, shared_memory;
  double bandwidth;         // GB/s
  double fp32, tf32, half;  // TFLOP/s; half: bf16 and fp16 with f32 sums
};

// Rates are from NVIDIA's data sheets and, for GeForce GPUs, architecture white papers, without sparsity. H100 and H200
// are the SXM variants; B200 is the fastest HGX variant.
constexpr Gpu kGpus[] = {
    {"T4", 7, 5, 40, 15 * kGiB, 4 * kMiB, 64 * kKiB, 320, 8.1, 8.1, 65},
    {"A100", 8, 0, 108, 40 * kGiB, 40 * kMiB, 163 * kKiB, 1555, 19.5, 156, 312},
    {"L4", 8, 9, 58, 23 * kGiB, 48 * kMiB, 99 * kKiB, 300, 30.3, 60, 121},
    {"RTX 4090", 8, 9, 128, 24 * kGiB, 72 * kMiB, 99 * kKiB, 1008, 82.6, 82.6, 165.2},
    {"H100", 9, 0, 132, 80 * kGiB, 50 * kMiB, 227 * kKiB, 3350, 66.9, 494.7, 989.4},
    {"H200", 9, 0, 132, 140 * kGiB, 50 * kMiB, 227 * kKiB, 4800, 66.9, 494.7, 989.4},
    {"B200", 10, 0, 148, 180 * kGiB, 126 * kMiB, 227 * kKiB, 8000, 80, 1100, 2250},
    {"RTX 5090", 12, 0, 170, 32 * kGiB, 96 * kMiB, 99 * kKiB, 1792, 104.8, 104.8, 209.5},
};

DeviceProperties properties_of(const Gpu& gpu) {
  return {fmt::format("NVIDIA {}", gpu.name),
          gpu.major,
          gpu.minor,
          gpu.multiprocessors,
          gpu.memory,
          gpu.l2_cache,
          gpu.shared_memory};
}

// "RTX 4090" becomes "rtx4090".
std::string key_of(const std::string& name) {
  std::string key;
  for (const char c : name) {
    if (c != ' ') key += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return key;
}

// A property of all GPUs, each value once.
template <typename Property>
std::string listed(Property property_of) {
  std::vector<std::string> words;
  for (const Gpu& gpu : kGpus) {
    const std::string word = property_of(gpu);
    if (std::find(words.begin(), words.end(), word) == words.end()) words.push_back(word);
  }
  return fmt::format("{}", fmt::join(words, ", "));
}

// "NVIDIA H100 80GB HBM3" is an H100. "NVIDIA L40" is not an L4, and "NVIDIA H100 PCIe" has fewer multiprocessors. A
// part of the memory is not available to programs.
bool matches(const DeviceProperties& properties, const Gpu& gpu) {
  const auto words = [](std::string text) {
    for (char& c : text) c = std::isalnum(static_cast<unsigned char>(c)) ? c : ' ';
    return fmt::format(" {} ", text);
  };
  constexpr int64_t kTolerance = 10;  // percent
  return words(properties.name).find(words(gpu.name)) != std::string::npos &&
         properties.multiprocessors == gpu.multiprocessors &&
         std::abs(properties.memory - gpu.memory) * 100 <= kTolerance * gpu.memory;
}

}  // namespace

DeviceProperties typical_properties(const std::string& which) {
  const std::string wanted = key_of(which);
  for (const Gpu& gpu : kGpus) {
    if (wanted == key_of(gpu.name) || wanted == key_of(properties_of(gpu).architecture())) return properties_of(gpu);
  }
  throw config_error(
      "--gpu={}: no such GPU is known to plan for. Write its name ({}), an architecture ({}), or the number of a GPU "
      "of this machine",
      which, listed([](const Gpu& gpu) { return key_of(gpu.name); }),
      listed([](const Gpu& gpu) { return properties_of(gpu).architecture(); }));
}

std::optional<DataSheet> data_sheet_of(const DeviceProperties& properties, Precision precision) {
  for (const Gpu& gpu : kGpus) {
    if (!matches(properties, gpu)) continue;
    const double products[] = {gpu.fp32, gpu.tf32, gpu.half, gpu.half};
    return DataSheet{gpu.name, {gpu.fp32 * 1e12, gpu.bandwidth * 1e9}, products[static_cast<size_t>(precision)] * 1e12};
  }
  return std::nullopt;
}

std::string DeviceProperties::cudnn_json() const {
  return fmt::format(
      R"({{"version":1,"deviceName":"{}","deviceVer":{},"driverVer":13000,"cudaDeviceId":0,"pciDeviceId":0,"isTccDriver":0,)"
      R"("supportCoopLaunch":1,"multiProcessorCount":{},"warpSize":32,"maxThreadsPerBlock":1024,"maxThreadsPerSM":{},)"
      R"("maxCtasPerSM":{},"regsPerBlock":65536,"maxRegistersPerSM":65536,"maxSharedMemoryPerBlock":49152,)"
      R"("maxSharedMemoryPerBlockOptin":{},"reservedSharedMemoryPerBlock":{},"totalGlobalMem":{},"l2CacheSize":{},)"
      R"("smClockRateKHz":1700000,"memClockRateKHz":2600000,"maxGridSize":[2147483647,65535,65535],"maxBlockSize":[1024,1024,64]}})",
      name, major * 100 + minor * 10, multiprocessors,
      major == 7                                              ? 1024
      : major * 10 + minor == 80 || major == 9 || major == 10 ? 2048
                                                              : 1536,
      major == 7 ? 16 : 32, shared_memory, major == 7 ? 0 : 1024, memory, l2_cache);
}

}  // namespace trainer::cuda
