// Names of precisions, and the parts of a device for the host.
#include "runtime/device.h"

#include <chrono>

#include "base/text.h"

namespace trainer {
namespace {

class HostReadback : public Readback {
 public:
  explicit HostReadback(size_t count) : values_(count) {}
  void start(std::span<const void* const> from) override {
    for (size_t i = 0; i < from.size(); ++i) values_[i] = *static_cast<const float*>(from[i]);
  }
  std::span<const float> wait() override { return values_; }

 private:
  std::vector<float> values_;
};

class HostTimer : public StepTimer {
 public:
  void mark() override { marks_.push_back(Clock::now()); }
  std::vector<double> read() override {
    std::vector<double> seconds;
    for (size_t i = 1; i < marks_.size(); ++i)
      seconds.push_back(std::chrono::duration<double>(marks_[i] - marks_[i - 1]).count());
    marks_.clear();
    return seconds;
  }

 private:
  using Clock = std::chrono::steady_clock;
  std::vector<Clock::time_point> marks_;
};

class HostEvent : public DeviceEvent {
 public:
  void set() override {}
};

class HostAllReduce : public AllReduce {
 public:
  void start(std::span<DeviceEvent* const>, std::span<float* const> data, int64_t count) override {
    for (int64_t i = 0; i < count; ++i) {
      float sum = 0;
      for (const float* of_device : data) sum += of_device[i];
      for (float* of_device : data) of_device[i] = sum;
    }
  }
  void finish() override {}
};

}  // namespace

OutOfMemory OutOfMemory::make(const std::string& device, int64_t bytes, int64_t free) {
  return {
      fmt::format(
          "not enough memory on {}: {} requested, {} free. A smaller batch_size with a larger iter_size needs less.",
          device, format_bytes(bytes), format_bytes(free)),
      device, bytes, free};
}

const char* name_of(Precision precision) {
  switch (precision) {
    case Precision::kFP32: return "fp32";
    case Precision::kTF32: return "tf32";
    case Precision::kBF16: return "bf16";
    case Precision::kFP16: return "fp16";
  }
  return "?";
}

DType activation_type(Precision precision) {
  return precision == Precision::kBF16 ? DType::kBF16 : precision == Precision::kFP16 ? DType::kF16 : DType::kF32;
}

std::unique_ptr<Readback> Device::make_readback(size_t count) { return std::make_unique<HostReadback>(count); }
std::unique_ptr<StepTimer> Device::make_step_timer() { return std::make_unique<HostTimer>(); }

std::unique_ptr<DeviceEvent> Device::make_event() { return std::make_unique<HostEvent>(); }
void Device::copy_within(void* to, const void* from, int64_t bytes) {
  std::memcpy(to, from, static_cast<size_t>(bytes));
}
std::unique_ptr<AllReduce> Device::make_all_reduce(std::span<Device* const>, const AllReduceLink* link) {
  TRAINER_ASSERT(link == nullptr);
  return std::make_unique<HostAllReduce>();
}

}  // namespace trainer
