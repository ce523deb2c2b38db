// trainer device_query: shows the CPU that this process may use, and NVIDIA's GPUs.
#include <sys/sysinfo.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "base/cores.h"
#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "gpus/choose_gpu.h"
#include "gpus/gpu_lock.h"
#include "gpus/nvidia_driver.h"
#include "gpus/nvidia_management.h"
#include "runtime/open_device.h"

namespace trainer {
namespace {

// Prints in Caffe's form: the value begins in column 32.
void print(const std::string& label, const std::string& value) { fmt::print("{:<31}{}\n", label + ":", value); }

// The value of the first "name : value" line of a file of /proc.
std::string proc_value(const char* path, const std::string& name) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    const size_t colon = line.find(':');
    if (colon != std::string::npos && trim(line.substr(0, colon)) == name) return trim(line.substr(colon + 1));
  }
  return "";
}

const char* instruction_set() {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return "x86-64-v4 (AVX-512)";
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
    return "x86-64-v3 (AVX2)";
  return "x86-64-v2 (SSE4.2)";
}

// "/proc/meminfo" counts in kB.
int64_t meminfo_bytes(const char* name) { return std::atoll(proc_value("/proc/meminfo", name).c_str()) * 1024; }

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

void print_use(const NvidiaManagement& management, const GpuUse& use) {
  if (!use.known) {
    print("Memory used", fmt::format("unknown: {}", management.unavailable.empty()
                                                        ? "NVIDIA's management library does not list this GPU"
                                                        : management.unavailable));
    return;
  }
  print("Memory used", format_bytes(use.used));
  print("Memory free", format_bytes(use.free));
  if (use.processes.empty()) print("Compute processes", "none");
  for (const GpuProcess& process : use.processes) print("Compute process", process_text(process));
}

std::string lock_text(const GpuLock& lock) {
  if (lock.state == GpuLock::State::kHeld) return "held by " + lock.holder;
  return lock.state == GpuLock::State::kUnusable ? "cannot be used: " + lock.problem : "free";
}

void print_gpu(const NvidiaGpu& gpu) {
  print("Device id", fmt::format("{}", gpu.id));
  print("Major revision number", fmt::format("{}", gpu.major));
  print("Minor revision number", fmt::format("{}", gpu.minor));
  print("Name", gpu.name);
  print("Total global memory", fmt::format("{}", gpu.memory));
  for (const auto& property : gpu.properties) print(property.first, fmt::format("{}", property.second));
}

void print_gpus(const NvidiaDriver& driver, const std::vector<int>& wanted) {
  const NvidiaManagement management = query_nvidia_management(driver.gpus);
  std::string for_all = refuse_driver(driver);
  if (for_all.empty()) for_all = refuse_gpus();
  if (!management.driver_version.empty()) print("Driver's version", management.driver_version);
  for (const int id : wanted) {
    const NvidiaGpu& gpu = driver.gpus[static_cast<size_t>(id)];
    print_gpu(gpu);
    print("UUID", gpu.uuid.empty() ? "unknown: the driver is too old" : gpu.uuid);
    print_use(management, management.uses[static_cast<size_t>(id)]);
    if (!gpu.uuid.empty()) {
      const GpuLock lock = look_at_gpu_lock(gpu.uuid);
      print("Lock", lock_text(lock));
    }
    std::string refusal = refuse_gpu(gpu);
    if (refusal.empty()) refusal = for_all;
    print("Can compute", refusal.empty() ? "yes" : "no: " + refusal);
  }
}

int run_device_query(const Arguments& arguments) {
  const std::string& wanted = arguments.text("gpu");
  const GpuRequest request = parse_gpu_request(wanted.empty() ? "all" : wanted);
  if (request.kind == GpuRequest::Kind::kAuto)
    throw config_error("--gpu=auto: write all, or the numbers of GPUs to show");
  print_cpu();
  const NvidiaDriver driver = query_nvidia_driver();
  fmt::print("\nQuerying GPUs {}\n", wanted.empty() ? "all" : wanted);
  if (driver.version > 0) print("Driver's CUDA version", cuda_version_text(driver.version));
  if (!driver.unavailable.empty()) {
    if (request.kind == GpuRequest::Kind::kNumbers)
      throw device_error("no NVIDIA GPU can be used: {}", driver.unavailable);
    fmt::print("No NVIDIA GPU can be used: {}.\n", driver.unavailable);
    return 0;
  }
  print_gpus(driver, named_gpus(request, driver.gpus.size()));
  return 0;
}

REGISTER_COMMAND(device_query, .name = "device_query",
                 .summary = "shows the CPU that this process may use, and NVIDIA's GPUs with their users",
                 .usage = "device_query [--gpu=all|0,1]",
                 .description =
                     "For each GPU also shows the processes that use it, the run that holds its lock, and why trainer "
                     "cannot compute on it. Opens no context on a GPU, so that other work is not disturbed.",
                 .flags = {{"gpu", FlagType::kText, "", "IDS",
                            "The GPUs to show: all, or numbers separated by commas."}},
                 .run = run_device_query, .flags_only = true);

}  // namespace
}  // namespace trainer
