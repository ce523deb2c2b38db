// The memories of the emulated GPUs. Only work that runs on a GPU can access its memory.
#pragma once

#include <cstddef>
#include <cstdint>

namespace emulator {

int device_count();

// The memory is filled with 0xFF (NaN in every float) and ends at a guard page. nullptr if the device has too little.
void* allocate(int device, size_t bytes);
bool release(const void* memory);
size_t memory_of(int device);
size_t free_memory_of(int device);
// The device with a live allocation that contains all of these bytes, or -1.
int device_of(const void* memory, size_t bytes);
// Whether an address is in the range of device addresses.
bool is_device_address(uint64_t address);

void pin(void* memory, size_t bytes);
bool unpin(void* memory);
bool is_pinned(const void* memory, size_t bytes);
// Whether a number is the address of host memory that a GPU cannot access.
bool is_host_address(uint64_t number);

// Permits access to the memories of these devices (bits of a mask) and to no others. `running`: the name of the work,
// for the message of a crash.
void open_memory(uint32_t devices, const char* running);

}  // namespace emulator
