// Memory and the choice of kernels on the processor.
#include "device/cpu/cpu_device.h"

#include <immintrin.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "base/align.h"
#include "base/cgroups.h"
#include "base/error.h"
#include "device/cpu/best_speed.h"
#include "device/cpu/cpu_kernel.h"
#include "device/cpu/implementations.h"
#include "device/cpu/isa.h"
#include "runtime/implementation.h"

namespace trainer::cpu {
namespace {

constexpr int64_t kHugePage = int64_t{2} << 20;

bool reference_demanded() {
  const char* text = std::getenv("TRAINER_IMPL");
  if (text == nullptr || *text == '\0') return false;
  if (std::string_view(text) == "reference") return true;
  throw config_error("environment variable TRAINER_IMPL is \"{}\"; it can only be reference", text);
}

}  // namespace

CpuDevice::CpuDevice() : reference_only_(reference_demanded()) {
#pragma omp parallel
  {
    _MM_SET_FLUSH_ZERO_MODE(_MM_FLUSH_ZERO_ON);
    constexpr unsigned kDenormalsAreZero = 0x0040;
    _mm_setcsr(_mm_getcsr() | kDenormalsAreZero);
  }
}

DeviceSpeed CpuDevice::best_speed() { return measure_best_speed(); }

std::string CpuDevice::refuse_precision(Precision precision) const {
  if (precision == Precision::kTF32) return "only NVIDIA's GPUs multiply TF32; use fp32, or bf16 for speed";
  if (precision == Precision::kFP16)
    return "the CPU has no kernels for it; use bf16, which needs no scaling of the loss either";
  if (precision == Precision::kFP32 || reference_only_) return "";
#ifdef TRAINER_WITH_ONEDNN
  if (isa_level() == IsaLevel::v4) return "";
  return "the CPU's kernels for it need AVX-512, which this processor does not have or the environment disables; use "
         "fp32";
#else
  return "this build has no kernels for it on the CPU: they are oneDNN's; use fp32";
#endif
}

KernelChoice CpuDevice::choose(const OpInstance& instance) {
  return choose_first(
      "the CPU", instance, implementations_of(instance.op->kind),
      [&](const Implementation& implementation) -> std::string {
        if (reference_only_ && std::string_view(implementation.name) != "reference")
          return "TRAINER_IMPL asks for the reference";
        return implementation.refuse(instance);
      },
      [&](const Implementation& implementation) { return implementation.create(instance); });
}

int64_t CpuDevice::free_memory() { return free_host_memory(); }

// The system zeroes pages. They are not touched here, so that first use places each page near its thread. A request
// that exceeds the free memory is refused now; otherwise the kernel would kill the process later.
void* CpuDevice::allocate(int64_t bytes) {
  if (bytes <= 0) bytes = 1;
  if (bytes < kHugePage) {
    void* memory = std::aligned_alloc(kAlignment, static_cast<size_t>(aligned(bytes)));
    if (memory == nullptr) throw OutOfMemory::make(name(), bytes, free_memory());
    std::memset(memory, 0, static_cast<size_t>(bytes));
    return memory;
  }
  const int64_t free = free_memory();
  if (bytes > free) throw OutOfMemory::make(name(), bytes, free);
  // One extra huge page, to align the memory.
  const int64_t size = align_up(bytes, kHugePage), whole = size + kHugePage;
  void* raw = mmap(nullptr, static_cast<size_t>(whole), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) throw OutOfMemory::make(name(), bytes, free);
  char* begin = static_cast<char*>(raw);
  const int64_t skip = (kHugePage - static_cast<int64_t>(reinterpret_cast<uintptr_t>(raw) % kHugePage)) % kHugePage;
  if (skip > 0) munmap(begin, static_cast<size_t>(skip));
  char* memory = begin + skip;
  munmap(memory + size, static_cast<size_t>(whole - skip - size));
  madvise(memory, static_cast<size_t>(size), MADV_HUGEPAGE);
  return memory;
}

void CpuDevice::release(void* memory, int64_t bytes) {
  if (memory == nullptr) return;
  if (bytes < kHugePage) {
    std::free(memory);
  } else {
    munmap(memory, static_cast<size_t>(align_up(bytes, kHugePage)));
  }
}

void CpuDevice::copy_to_host(void* host, const void* device, int64_t bytes) {
  std::memcpy(host, device, static_cast<size_t>(bytes));
}
void CpuDevice::copy_from_host(void* device, const void* host, int64_t bytes) {
  std::memcpy(device, host, static_cast<size_t>(bytes));
}

}  // namespace trainer::cpu
