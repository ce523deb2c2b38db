// The memories of the emulated GPUs, apart from the host's: nobody can touch them but work that runs on their GPU.
#pragma once

#include <cstddef>
#include <cstdint>

namespace emulator {

int device_count();

// Filled with 0xFF (a NaN in each float), ends at a guard page; nullptr where the device's memory does not hold it.
void* allocate(int device, size_t bytes);
bool release(const void* memory);
size_t memory_of(int device);
size_t free_memory_of(int device);
// The device in whose one live allocation all of these bytes lie, or -1.
int device_of(const void* memory, size_t bytes);
// Whether an address is of the range from which the devices' are taken.
bool is_device_address(uint64_t address);

void pin(void* memory, size_t bytes);
bool unpin(void* memory);
bool is_pinned(const void* memory, size_t bytes);
// Whether a number is the address of memory of the host that a GPU cannot reach.
bool is_host_address(uint64_t number);

// Lets the memories of these devices (bits of a mask) be touched and all others not; what a crash says is running.
void open_memory(uint32_t devices, const char* running);

}  // namespace emulator
