// Transfers, events, timers, graphs and all-reduce of a GPU: implementations of the classes of runtime/device.h.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "device/cuda/context.h"

namespace trainer::cuda {

std::unique_ptr<Readback> make_readback(Context& context, size_t count);
std::unique_ptr<Uploads> make_uploads(Device& device, Context& context);
std::unique_ptr<StepTimer> make_step_timer(Context& context);
// The seconds that the work which `queue` queues takes on the GPU.
double seconds_of(Context& context, const std::function<void()>& queue);
std::unique_ptr<DeviceEvent> make_event(Context& context);
// All-reduce by NCCL, with one context per GPU and the events of make_event; `link` as in Device::make_all_reduce.
std::unique_ptr<AllReduce> make_all_reduce(std::vector<Context*> contexts, const AllReduceLink* link);
// Captures the work that `queue` queues as a CUDA graph; nullptr if it cannot be captured.
std::unique_ptr<CapturedPass> capture(Context& context, const std::function<void()>& queue);
// Page-locked memory: the GPU copies it without the processor.
std::unique_ptr<HostMemory> make_page_locked_memory(Context& context);

}  // namespace trainer::cuda
