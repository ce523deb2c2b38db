// Reserves address space without memory.
#include "runtime/planning_device.h"

#include <sys/mman.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace trainer {
namespace {

class PlannedAllReduce : public AllReduce {
 public:
  void start(std::span<DeviceEvent* const>, std::span<float* const>, int64_t) override {}
  void finish() override {}
};

class PlanningDevice : public Device {
 public:
  explicit PlanningDevice(std::unique_ptr<Device> device) : device_(std::move(device)) {}

  std::string name() const override { return device_->name(); }
  DeviceSpeed best_speed() override { return device_->best_speed(); }
  std::optional<DataSheet> data_sheet() const override { return device_->data_sheet(); }
  std::string refuse_precision(Precision precision) const override { return device_->refuse_precision(precision); }
  int64_t free_memory() override { return device_->free_memory(); }
  bool is_host() const override { return device_->is_host(); }
  int64_t channel_multiple() const override { return device_->channel_multiple(); }
  bool reads_packed_weights() const override { return device_->reads_packed_weights(); }
  KernelChoice choose(const OpInstance& instance) override { return device_->choose(instance); }
  size_t joinable(std::span<const OpInstance> ops) override { return device_->joinable(ops); }
  std::unique_ptr<Kernel> join(std::span<const OpInstance> ops) override { return device_->join(ops); }
  std::vector<std::string> generated_sources() const override { return device_->generated_sources(); }

  void* allocate(int64_t bytes) override {
    void* memory = mmap(nullptr, length(bytes), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
      throw device_error("the plan needs {} of address space, more than this process may use", format_bytes(bytes));
    return memory;
  }
  void release(void* memory, int64_t bytes) override { munmap(memory, length(bytes)); }

  void copy_to_host(void*, const void*, int64_t) override { TRAINER_ASSERT(!"a plan has no values"); }
  void copy_from_host(void*, const void*, int64_t) override {}
  std::unique_ptr<AllReduce> make_all_reduce(std::span<Device* const>, const AllReduceLink*) override {
    return std::make_unique<PlannedAllReduce>();
  }

 private:
  static size_t length(int64_t bytes) { return static_cast<size_t>(std::max<int64_t>(bytes, 1)); }

  std::unique_ptr<Device> device_;
};

}  // namespace

std::unique_ptr<Device> planning_device(std::unique_ptr<Device> device) {
  return std::make_unique<PlanningDevice>(std::move(device));
}

}  // namespace trainer
