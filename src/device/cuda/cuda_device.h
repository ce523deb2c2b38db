// An NVIDIA GPU as a device.
#pragma once

#include <memory>

#include "device/cuda/context.h"
#include "runtime/device.h"
#include "runtime/device_spec.h"

namespace trainer::cuda {

class CudaDevice : public Device {
 public:
  // The GPU with the spec's ordinal, which `gpus` found usable; or with an architecture, a GPU that is only planned for
  // (typical_properties).
  CudaDevice(const DeviceSpec& spec, const DeviceOptions& options);
  ~CudaDevice() override;

  std::string name() const override;
  DeviceSpeed best_speed() override;
  std::optional<DataSheet> data_sheet() const override;
  std::string refuse_precision(Precision precision) const override;
  bool reads_packed_weights() const override { return true; }
  int64_t channel_multiple() const override;
  KernelChoice choose(const OpInstance& instance) override;
  size_t joinable(std::span<const OpInstance> ops) override;
  std::unique_ptr<Kernel> join(std::span<const OpInstance> ops) override;
  std::vector<std::string> generated_sources() const override;
  int64_t free_memory() override;
  void* allocate(int64_t bytes) override;
  void release(void* memory, int64_t bytes) override;
  void copy_to_host(void* host, const void* device, int64_t bytes) override;
  void copy_from_host(void* device, const void* host, int64_t bytes) override;
  void copy_within(void* to, const void* from, int64_t bytes) override;
  bool is_host() const override { return false; }
  void synchronize() override;
  void begin_pass(const RunContext& context) override { current_context().set_pass(context.pass); }
  std::unique_ptr<Readback> make_readback(size_t count) override;
  std::unique_ptr<Uploads> make_uploads() override;
  std::unique_ptr<StepTimer> make_step_timer() override;
  std::unique_ptr<DeviceEvent> make_event() override;
  std::unique_ptr<AllReduce> make_all_reduce(std::span<Device* const> devices, const AllReduceLink* link) override;
  std::unique_ptr<CapturedPass> record(const std::function<void()>& queue) override;
  HostMemory& host_memory() override { return *host_memory_; }

 private:
  // The context, as the current one: the calling thread may have worked on another GPU.
  Context& current_context() const;

  std::unique_ptr<Context> context_;
  std::unique_ptr<HostMemory> host_memory_;  // page-locked
};

}  // namespace trainer::cuda
