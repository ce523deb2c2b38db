// The thread that sums buckets over a lane.
#include "session/process_sums.h"

#include <utility>

#include "tensor/bf16.h"

namespace trainer {

class ProcessSums::Event : public DeviceEvent {
 public:
  explicit Event(ProcessSums& owner) : owner_(owner) {}
  void set() override {
    const std::lock_guard lock(owner_.mutex_);
    if (!expected) return;
    is_set = true;
    times.ready = owner_.seconds();
    owner_.wanted_.notify_one();
  }

  // Guarded by the owner's mutex.
  bool expected = false, is_set = false;
  BucketTimes times;

 private:
  ProcessSums& owner_;
};

ProcessSums::ProcessSums(Group& group, caffe::SolverParameter::GradientExchange exchange)
    : group_(group), rounds_(exchange == caffe::SolverParameter::BF16), thread_([this] { run(); }) {}

ProcessSums::~ProcessSums() {
  abandon();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wanted_.notify_one();
  }
  group_.gradient_lane().abort("this process ends the exchange");
  thread_.join();
}

std::unique_ptr<DeviceEvent> ProcessSums::make_event() { return std::make_unique<Event>(*this); }

double ProcessSums::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void ProcessSums::expect(DeviceEvent& event, float* data, int64_t count) {
  auto& own = static_cast<Event&>(event);
  const std::lock_guard lock(mutex_);
  if (buckets_.empty()) {
    start_ = std::chrono::steady_clock::now();
    next_times_.clear();
  }
  own.expected = true;
  own.is_set = false;
  buckets_.push_back({&own, data, count});
}

void ProcessSums::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wanted_.wait(lock,
                 [this] { return stopping_ || (!error_ && !buckets_.empty() && buckets_.front().event->is_set); });
    if (stopping_) return;
    const Bucket bucket = buckets_.front();
    BucketTimes times = bucket.event->times;
    bucket.event->expected = false;
    lock.unlock();
    times.begin = seconds();
    std::exception_ptr error;
    try {
      sum(bucket);
    } catch (...) {
      error = std::current_exception();
    }
    times.end = seconds();
    times.bytes = bucket.count * static_cast<int64_t>(rounds_ ? sizeof(Bf16) : sizeof(float));
    lock.lock();
    if (error) error_ = error;
    if (!buckets_.empty() && !error) {
      buckets_.pop_front();
      next_times_.push_back(times);
    }
    summed_.notify_one();
  }
}

void ProcessSums::sum(const Bucket& bucket) {
  Lane& lane = group_.gradient_lane();
  if (!rounds_) return lane.sum(bucket.data, bucket.count);
  const auto count = static_cast<size_t>(bucket.count);
  if (rounded_.size() < count) rounded_.resize(count);
#pragma omp simd
  for (size_t i = 0; i < count; ++i) rounded_[i] = to_bf16(bucket.data[i]);
  lane.sum(rounded_.data(), bucket.count);
#pragma omp simd
  for (size_t i = 0; i < count; ++i) bucket.data[i] = to_float(rounded_[i]);
}

void ProcessSums::finish() {
  std::unique_lock lock(mutex_);
  summed_.wait(lock, [this] { return buckets_.empty() || error_; });
  if (error_) {
    const std::exception_ptr error = std::exchange(error_, nullptr);
    buckets_.clear();
    lock.unlock();
    try {
      std::rethrow_exception(error);
    } catch (const LaneError& failed) {
      group_.throw_rank_failed(failed);
    }
  }
  times_.swap(next_times_);
}

void ProcessSums::abandon() {
  const std::lock_guard lock(mutex_);
  for (const Bucket& bucket : buckets_) bucket.event->expected = false;
  buckets_.clear();
}

}  // namespace trainer
