// What goes on between the host and a GPU beside the kernels: see the classes of runtime/device.h.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "device/cuda/context.h"

namespace trainer::cuda {

std::unique_ptr<Readback> make_readback(Context& context, size_t count);
std::unique_ptr<Uploads> make_uploads(Device& device, Context& context);
std::unique_ptr<StepTimer> make_step_timer(Context& context);
// What `queue` queues takes.
double seconds_of(Context& context, const std::function<void()>& queue);
std::unique_ptr<DeviceEvent> make_event(Context& context);
// Sums through NCCL, with markers of make_event, a context for each GPU.
std::unique_ptr<AllReduce> make_all_reduce(std::vector<Context*> contexts);
// A CUDA graph; nullptr where what is queued cannot be captured.
std::unique_ptr<CapturedPass> record(Context& context, const std::function<void()>& queue);
// Page-locked: copies read it without the processor.
std::unique_ptr<HostMemory> make_locked_memory(Context& context);

}  // namespace trainer::cuda
