// Device memory as mappings that are protected most of the time.
#include "device_memory.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <string>
#include <vector>

namespace emulator {
namespace {

constexpr uint64_t kFirstAddress = 0x100000000000, kAddressesEach = 0x010000000000, kMaxDevices = 16;
constexpr size_t kPage = 4096, kAlignment = 256;

struct Allocation {
  size_t bytes;
  char* mapping;
  size_t mapped;
};

struct Memory {
  size_t total = 0, used = 0;
  uint64_t next = 0;
  std::map<uint64_t, Allocation> allocations;
};

uint32_t opened = 0;
const char* running_now = nullptr;

size_t rounded(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

int64_t number_from(const char* variable, int64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::atoll(text);
}

void explain_crash(int signal, siginfo_t* info, void*) {
  const uint64_t address = reinterpret_cast<uint64_t>(info->si_addr);
  char text[256];
  const int length = std::snprintf(text, sizeof text, "emulated GPU: %s touches %s 0x%llx\n",
                                   running_now == nullptr ? "the host" : running_now,
                                   !is_device_address(address)       ? "the host's memory at"
                                   : device_of(info->si_addr, 1) < 0 ? "device memory that is not allocated, at"
                                                                     : "device memory that it may not, at",
                                   static_cast<unsigned long long>(address));
  if (is_device_address(address) || running_now != nullptr) (void)!write(2, text, static_cast<size_t>(length));
  ::signal(signal, SIG_DFL);
}

// Reads CUDA_VISIBLE_DEVICES like CUDA: up to the first entry that is not a device.
std::vector<Memory> visible_devices() {
  const int64_t present = std::min<int64_t>(number_from("EMULATED_GPUS", 1), kMaxDevices);
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  int64_t count = visible == nullptr ? present : 0;
  while (visible != nullptr && *visible != '\0') {
    char* end = nullptr;
    const long number = std::strtol(visible, &end, 10);
    if (end == visible || number < 0 || number >= present) break;
    ++count;
    if (*end != ',') break;
    visible = end + 1;
  }
  std::vector<Memory> all;
  while (static_cast<int64_t>(all.size()) < count) {
    Memory memory;
    memory.total = static_cast<size_t>(number_from("EMULATED_GPU_MEMORY", int64_t{4} << 30));
    memory.next = kFirstAddress + all.size() * kAddressesEach;
    all.push_back(std::move(memory));
  }
  struct sigaction action = {};
  action.sa_sigaction = explain_crash;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, nullptr);
  return all;
}

// Never destroyed, because a program may free memory at exit.
std::vector<Memory>& memories() {
  static auto* all = new std::vector<Memory>(visible_devices());
  return *all;
}
std::map<uint64_t, size_t>& pinned() {
  static auto* all = new std::map<uint64_t, size_t>;
  return *all;
}

Memory& memory(int device) { return memories()[static_cast<size_t>(device)]; }

void protect(const Memory& memory, bool open) {
  for (const auto& [address, allocation] : memory.allocations)
    mprotect(allocation.mapping, allocation.mapped, open ? PROT_READ | PROT_WRITE : PROT_NONE);
}

template <typename Map>
auto range_at(Map& map, uint64_t address) {
  const auto after = map.upper_bound(address);
  return after == map.begin() ? map.end() : std::prev(after);
}

}  // namespace

int device_count() { return static_cast<int>(memories().size()); }
size_t memory_of(int device) { return memory(device).total; }
size_t free_memory_of(int device) { return memory(device).total - memory(device).used; }

void* allocate(int device, size_t bytes) {
  Memory& m = memory(device);
  const size_t taken = rounded(std::max<size_t>(bytes, 1), kAlignment), mapped = rounded(taken, kPage);
  if (taken > m.total - m.used) return nullptr;
  void* mapping = mmap(reinterpret_cast<void*>(m.next), mapped, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (mapping == MAP_FAILED) return nullptr;
  std::memset(mapping, 0xFF, mapped);
  if ((opened >> device & 1) == 0) mprotect(mapping, mapped, PROT_NONE);
  // Addresses are not reused, and a guard page follows each allocation.
  m.next += mapped + kPage;
  m.used += taken;
  char* start = static_cast<char*>(mapping) + mapped - taken;
  m.allocations[reinterpret_cast<uint64_t>(start)] = {bytes, static_cast<char*>(mapping), mapped};
  return start;
}

bool release(const void* address) {
  for (Memory& m : memories()) {
    const auto found = m.allocations.find(reinterpret_cast<uint64_t>(address));
    if (found == m.allocations.end()) continue;
    munmap(found->second.mapping, found->second.mapped);
    m.used -= rounded(std::max<size_t>(found->second.bytes, 1), kAlignment);
    m.allocations.erase(found);
    return true;
  }
  return false;
}

int device_of(const void* start, size_t bytes) {
  const uint64_t address = reinterpret_cast<uint64_t>(start);
  for (size_t device = 0; device < memories().size(); ++device) {
    auto& allocations = memories()[device].allocations;
    const auto found = range_at(allocations, address);
    if (found != allocations.end() && address + bytes <= found->first + found->second.bytes)
      return static_cast<int>(device);
  }
  return -1;
}

bool is_device_address(uint64_t address) {
  return address >= kFirstAddress && address < kFirstAddress + kMaxDevices * kAddressesEach;
}

void pin(void* start, size_t bytes) { pinned()[reinterpret_cast<uint64_t>(start)] = bytes; }
bool unpin(void* start) { return pinned().erase(reinterpret_cast<uint64_t>(start)) > 0; }
bool is_pinned(const void* start, size_t bytes) {
  const uint64_t address = reinterpret_cast<uint64_t>(start);
  const auto found = range_at(pinned(), address);
  return found != pinned().end() && address + bytes <= found->first + found->second;
}

bool is_host_address(uint64_t number) {
  // A small 32-bit number, with the upper half of an address in the padding after it.
  if ((number & 0xFFFFFFFF) < (1 << 20)) return false;
  if (number < 0x500000000000 || number >= 0x800000000000 || is_pinned(reinterpret_cast<void*>(number), 1))
    return false;
  return msync(reinterpret_cast<void*>(number / kPage * kPage), kPage, MS_ASYNC) == 0;
}

void open_memory(uint32_t devices, const char* running) {
  running_now = running;
  for (size_t device = 0; device < memories().size(); ++device) {
    const bool was = (opened >> device & 1) != 0, is = (devices >> device & 1) != 0;
    if (was != is) protect(memories()[device], is);
  }
  opened = devices;
}

}  // namespace emulator
