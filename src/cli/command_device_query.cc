// trainer device_query: the CPU as this process may use it, and NVIDIA's GPUs.
#include <sys/sysinfo.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "base/cores.h"
#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/nvidia_driver.h"

namespace trainer {
namespace {

// Caffe's form: the value begins in column 32.
void print(const std::string& label, const std::string& value) {
  fmt::print("{:<31}{}\n", label + ":", value);
}

// The value of the first "name : value" line of a file of /proc.
std::string proc_value(const char* path, const std::string& name) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    const size_t colon = line.find(':');
    if (colon != std::string::npos && trim(line.substr(0, colon)) == name)
      return trim(line.substr(colon + 1));
  }
  return "";
}

const char* instruction_set() {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return "x86-64-v4 (AVX-512)";
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
    return "x86-64-v3 (AVX2)";
  return "x86-64-v2 (SSE4.2)";
}

// "/proc/meminfo" counts in kB.
int64_t meminfo_bytes(const char* name) {
  return std::atoll(proc_value("/proc/meminfo", name).c_str()) * 1024;
}

void print_cpu() {
  const CoreGrant cores = granted_cores();
  const std::string flags = " " + proc_value("/proc/cpuinfo", "flags") + " ";
  std::string bf16;
  for (const char* flag : {"avx512_bf16", "amx_bf16"}) {
    if (flags.find(fmt::format(" {} ", flag)) != std::string::npos)
      bf16 += (bf16.empty() ? "" : ", ") + std::string(flag);
  }
  print("CPU", proc_value("/proc/cpuinfo", "model name"));
  print("Instruction set", instruction_set());
  print("bf16 instructions", bf16.empty() ? "none" : bf16);
  print("Cores of the machine", fmt::format("{}", cores.machine));
  print("Cores by affinity", fmt::format("{}", cores.affinity));
  print("Cores by cgroup quota", cores.quota > 0 ? fmt::format("{:g}", cores.quota) : "no quota");
  print("OMP_NUM_THREADS", cores.omp_threads > 0 ? fmt::format("{}", cores.omp_threads) : "not set");
  print("Threads used", fmt::format("{}", cores.usable));
  print("Total memory", format_bytes(meminfo_bytes("MemTotal")));
  print("Available memory", format_bytes(meminfo_bytes("MemAvailable")));
}

void print_gpu(const NvidiaGpu& gpu) {
  print("Device id", fmt::format("{}", gpu.id));
  print("Major revision number", fmt::format("{}", gpu.major));
  print("Minor revision number", fmt::format("{}", gpu.minor));
  print("Name", gpu.name);
  print("Total global memory", fmt::format("{}", gpu.memory));
  for (const auto& property : gpu.properties) print(property.first, fmt::format("{}", property.second));
}

bool is_asked_for(const std::string& wanted, int id) {
  if (wanted.empty() || wanted == "all") return true;
  for (const std::string& part : split(wanted, ',')) {
    if (trim(part) == fmt::format("{}", id)) return true;
  }
  return false;
}

void check_ids(const std::string& wanted, size_t count) {
  if (wanted.empty() || wanted == "all") return;
  for (const std::string& part : split(wanted, ',')) {
    const std::string id = trim(part);
    if (id.empty() || id.size() > 6 || id.find_first_not_of("0123456789") != std::string::npos)
      throw config_error("--gpu: \"{}\" is no device number; write all, or numbers with commas between: 0,1",
                         part);
    if (count > 0 && static_cast<size_t>(std::stoi(id)) >= count)
      throw device_error("there is no GPU {}: the driver sees {}, numbered from 0", id, count);
  }
}

int run_device_query(const Arguments& arguments) {
  if (!arguments.words().empty())
    throw UsageError(fmt::format("\"{}\" is one word too many", arguments.words()[0]));
  const std::string& wanted = arguments.text("gpu");
  check_ids(wanted, 0);
  print_cpu();
  const NvidiaDriver driver = query_nvidia_driver();
  fmt::print("\nQuerying GPUs {}\n", wanted.empty() ? "all" : wanted);
  if (driver.version > 0)
    print("Driver's CUDA version", fmt::format("{}.{}", driver.version / 1000, driver.version % 1000 / 10));
  if (!driver.unavailable.empty()) {
    if (!wanted.empty() && wanted != "all") throw device_error("no NVIDIA GPU can be used: {}", driver.unavailable);
    fmt::print("No NVIDIA GPU can be used: {}.\n", driver.unavailable);
    return 0;
  }
  check_ids(wanted, driver.gpus.size());
  for (const NvidiaGpu& gpu : driver.gpus) {
    if (is_asked_for(wanted, gpu.id)) print_gpu(gpu);
  }
  return 0;
}

REGISTER_COMMAND(device_query, .name = "device_query",
                 .summary = "shows the CPU as this process may use it, and NVIDIA's GPUs",
                 .usage = "device_query [--gpu=all|0,1]",
                 .description = "No context is opened on a GPU: others' work on it is not disturbed.",
                 .flags = {{"gpu", FlagType::kText, "", "IDS",
                            "GPUs to show: all, or numbers with commas between."}},
                 .run = run_device_query);

}  // namespace
}  // namespace trainer
