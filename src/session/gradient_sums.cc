// Divides gradients into buckets and queues their sums.
#include "session/gradient_sums.h"

#include <algorithm>

#include "session/parameters.h"
#include "session/state_names.h"

namespace trainer {
namespace {

std::vector<Device*> devices_of(const std::vector<DeviceSession*>& ranks) {
  std::vector<Device*> devices;
  for (const DeviceSession* rank : ranks) devices.push_back(rank->device.get());
  return devices;
}

// 8 MiB: enough for the full bandwidth of the links.
constexpr int64_t kBucketFloats = int64_t{2} << 20;

}  // namespace

GradientSums::GradientSums(const std::vector<DeviceSession*>& ranks, const std::vector<std::string>& gradients,
                           caffe::SolverParameter::GradientExchange exchange)
    : ranks_(ranks), rounds_(ranks.front()->group != nullptr && exchange == caffe::SolverParameter::BF16) {
  const DeviceSession& first = *ranks.front();
  if (first.group != nullptr && first.device->is_host()) {
    TRAINER_ASSERT(ranks.size() == 1);
    processes_ = std::make_unique<ProcessSums>(*first.group, exchange);
  }
  divide(gradients);
  if (!processes_) explained([this] { connect(); });
}

void GradientSums::connect() {
  const DeviceSession& first = *ranks_.front();
  Group* const group = first.group;
  const std::vector<Device*> devices = devices_of(ranks_);
  AllReduceLink link;
  if (group != nullptr) {
    link.first = first.rank;
    link.all = first.world;
    link.rounds = rounds_;
    link.share = [group](const std::string& own) { return group->broadcast_text(own, 0); };
    link.is_lost = [group] { return group->has_failed(); };
  }
  sum_ = devices.front()->make_all_reduce(devices, group == nullptr ? nullptr : &link);
  reserve();
  // Sums zeros so that NCCL allocates its buffers before programs are fitted into the remaining memory.
  sum();
  for (Device* device : devices) device->synchronize();
}

int GradientBucket::last_step(const Program& program) const {
  int last = 0;
  for (const std::string& gradient : gradients) last = std::max(last, program.last_use(gradient));
  return last;
}

template <typename Exchange>
void GradientSums::explained(const Exchange& exchange) {
  try {
    exchange();
  } catch (const ExchangeFailed& failed) {
    ranks_.front()->group->throw_rank_failed(LaneError(failed.what()));
  }
}

std::vector<GradientBucket> divide_gradients(const StateStore& store, const std::vector<std::string>& gradients) {
  const float* flat = static_cast<const float*>(store.data(kGradientGroup));
  int64_t end = store.shape(kGradientGroup).count();
  std::vector<GradientBucket> buckets;
  for (auto gradient = gradients.rbegin(); gradient != gradients.rend(); ++gradient) {
    if (buckets.empty() || buckets.back().count >= kBucketFloats) buckets.emplace_back();
    GradientBucket& bucket = buckets.back();
    bucket.begin = static_cast<const float*>(store.data(*gradient)) - flat;
    bucket.gradients.push_back(*gradient);
    bucket.count += end - bucket.begin;
    end = bucket.begin;
  }
  return buckets;
}

void GradientSums::divide(const std::vector<std::string>& gradients) {
  buckets_.clear();
  for (GradientBucket& part : divide_gradients(ranks_.front()->store, gradients)) {
    Bucket& bucket = buckets_.emplace_back();
    for (const DeviceSession* rank : ranks_) {
      bucket.data.push_back(static_cast<float*>(rank->store.data(kGradientGroup)) + part.begin);
      bucket.events.push_back(processes_ ? processes_->make_event() : rank->device->make_event());
    }
    bucket.part = std::move(part);
  }
  if (sum_) reserve();
}

void GradientSums::reserve() {
  for (const Bucket& bucket : buckets_) sum_->reserve(bucket.part.count);
}

void GradientSums::mark(int rank, Program& program) {
  for (Bucket& bucket : buckets_)
    program.mark_after(bucket.part.last_step(program), *bucket.events[static_cast<size_t>(rank)]);
}

void GradientSums::begin() {
  if (!processes_) return;
  for (const Bucket& bucket : buckets_)
    processes_->expect(*bucket.events.front(), bucket.data.front(), bucket.part.count);
}

void GradientSums::finish() {
  if (processes_) return processes_->finish();
  explained([this] { sum(); });
}

void GradientSums::sum() {
  std::vector<DeviceEvent*> events;
  for (const Bucket& bucket : buckets_) {
    events.clear();
    for (const auto& event : bucket.events) events.push_back(event.get());
    sum_->start(events, bucket.data, bucket.part.count);
  }
  sum_->finish();
}

void GradientSums::abandon() {
  if (processes_) processes_->abandon();
}

std::optional<std::chrono::steady_clock::time_point> GradientSums::computed() const {
  return sum_ ? sum_->computed() : std::nullopt;
}

std::vector<BucketTimes> GradientSums::times() const {
  return processes_ ? processes_->times() : std::vector<BucketTimes>();
}

int64_t GradientSums::bytes() const {
  int64_t numbers = 0;
  for (const Bucket& bucket : buckets_) numbers += bucket.part.count;
  return numbers * static_cast<int64_t>(rounds_ ? sizeof(Bf16) : sizeof(float));
}

std::unique_ptr<GradientSums> sum_gradients(const LoweredNet& net, const std::vector<DeviceSession*>& ranks,
                                            caffe::SolverParameter::GradientExchange exchange) {
  std::vector<std::string> gradients;
  for (const ParameterInfo* parameter : trained_parameters(net)) gradients.push_back(gradient_state(parameter->state));
  if (ranks.front()->world == 1 || gradients.empty()) return nullptr;
  return std::make_unique<GradientSums>(ranks, gradients, exchange);
}

}  // namespace trainer
