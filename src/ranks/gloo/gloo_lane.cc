// Lanes through Gloo's TCP transport: the plugin libtrainer_gloo.so.
#include <gloo/allgather.h>
#include <gloo/allgatherv.h>
#include <gloo/allreduce.h>
#include <gloo/broadcast.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/store.h>
#include <gloo/transport/tcp/device.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "ranks/lane.h"

namespace trainer {
namespace {

namespace tcp = gloo::transport::tcp;

// A pair that is not connected after five times this time fails.
constexpr auto kConnectTime = std::chrono::seconds(6);
// The meeting notices lost processes, so an exchange may wait for as long as a peer tests or writes a snapshot.
constexpr auto kExchangeTime = std::chrono::hours(10000);

void sum_floats(void* to, const void* a, const void* b, size_t count) {
  auto* sum = static_cast<float*>(to);
  const auto* x = static_cast<const float*>(a);
  const auto* y = static_cast<const float*>(b);
#pragma omp simd
  for (size_t i = 0; i < count; ++i) sum[i] = x[i] + y[i];
}

void sum_bf16s(void* to, const void* a, const void* b, size_t count) {
  auto* sum = static_cast<Bf16*>(to);
  const auto* x = static_cast<const Bf16*>(a);
  const auto* y = static_cast<const Bf16*>(b);
#pragma omp simd
  for (size_t i = 0; i < count; ++i) sum[i] = to_bf16(to_float(x[i]) + to_float(y[i]));
}

// What connectFullMesh() of all processes stores: each stores a host name under "rank_N", then addresses under "N".
class SwapStore : public gloo::rendezvous::Store {
 public:
  explicit SwapStore(const LaneRequest& request) : request_(request) {}

  void set(const std::string& key, const std::vector<char>& data) override {
    const std::string prefix = key.substr(0, key.size() - std::to_string(request_.rank).size());
    const std::vector<std::string> all = request_.swap({data.begin(), data.end()});
    for (size_t i = 0; i < all.size(); ++i) values_[prefix + std::to_string(i)] = {all[i].begin(), all[i].end()};
  }
  std::vector<char> get(const std::string& key) override { return values_[key]; }
  void wait(const std::vector<std::string>&) override {}
  void wait(const std::vector<std::string>&, const std::chrono::milliseconds&) override {}

 private:
  const LaneRequest& request_;
  std::map<std::string, std::vector<char>> values_;
};

class Buffers;

// A buffer of Gloo's whose waiting threads can be interrupted.
class Buffer : public gloo::transport::UnboundBuffer {
 public:
  Buffer(Buffers& all, std::unique_ptr<gloo::transport::UnboundBuffer> buffer);
  ~Buffer() override;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  bool waitRecv(int* rank, std::chrono::milliseconds timeout) override {
    return checked([&] { return buffer_->waitRecv(rank, timeout); });
  }
  bool waitSend(int* rank, std::chrono::milliseconds timeout) override {
    return checked([&] { return buffer_->waitSend(rank, timeout); });
  }
  void abortWaitRecv() override { buffer_->abortWaitRecv(); }
  void abortWaitSend() override { buffer_->abortWaitSend(); }
  void send(int rank, uint64_t slot, size_t offset, size_t bytes) override { buffer_->send(rank, slot, offset, bytes); }
  void recv(int rank, uint64_t slot, size_t offset, size_t bytes) override { buffer_->recv(rank, slot, offset, bytes); }
  void recv(std::vector<int> ranks, uint64_t slot, size_t offset, size_t bytes) override {
    buffer_->recv(std::move(ranks), slot, offset, bytes);
  }

 private:
  template <typename Wait>
  bool checked(const Wait& wait);

  Buffers& all_;
  const std::unique_ptr<gloo::transport::UnboundBuffer> buffer_;
};

// The buffers in use, and whether the exchange was ended.
class Buffers {
 public:
  void add(Buffer* buffer) {
    const std::lock_guard lock(mutex_);
    buffers_.insert(buffer);
  }
  void remove(Buffer* buffer) {
    const std::lock_guard lock(mutex_);
    buffers_.erase(buffer);
  }
  void abort(const std::string& reason) {
    const std::lock_guard lock(mutex_);
    if (reason_.empty()) reason_ = reason;
    for (Buffer* buffer : buffers_) {
      buffer->abortWaitRecv();
      buffer->abortWaitSend();
    }
  }
  void check() {
    const std::lock_guard lock(mutex_);
    if (!reason_.empty()) throw LaneError(reason_);
  }

 private:
  std::mutex mutex_;
  std::set<Buffer*> buffers_;
  std::string reason_;
};

Buffer::Buffer(Buffers& all, std::unique_ptr<gloo::transport::UnboundBuffer> buffer)
    : UnboundBuffer(buffer->ptr, buffer->size), all_(all), buffer_(std::move(buffer)) {
  all_.add(this);
}

Buffer::~Buffer() { all_.remove(this); }

template <typename Wait>
bool Buffer::checked(const Wait& wait) {
  all_.check();
  if (wait()) return true;
  all_.check();
  return false;
}

// Gloo's context with these buffers.
class InterruptibleContext : public gloo::transport::Context {
 public:
  InterruptibleContext(std::shared_ptr<gloo::transport::Context> context, Buffers& buffers)
      : gloo::transport::Context(context->rank, context->size), context_(std::move(context)), buffers_(buffers) {
    context_->setTimeout(kConnectTime);
  }
  std::unique_ptr<gloo::transport::Pair>& getPair(int rank) override { return context_->getPair(rank); }
  std::unique_ptr<gloo::transport::Pair>& createPair(int rank) override { return context_->createPair(rank); }
  std::unique_ptr<gloo::transport::UnboundBuffer> createUnboundBuffer(void* data, size_t size) override {
    return std::make_unique<Buffer>(buffers_, context_->createUnboundBuffer(data, size));
  }

 private:
  const std::shared_ptr<gloo::transport::Context> context_;
  Buffers& buffers_;
};

// Gloo's TCP transport with these contexts.
class InterruptibleDevice : public gloo::transport::Device {
 public:
  InterruptibleDevice(std::shared_ptr<gloo::transport::Device> device, Buffers& buffers)
      : device_(std::move(device)), buffers_(buffers) {}
  std::string str() const override { return device_->str(); }
  const std::string& getPCIBusID() const override { return device_->getPCIBusID(); }
  int getInterfaceSpeed() const override { return device_->getInterfaceSpeed(); }
  std::shared_ptr<gloo::transport::Context> createContext(int rank, int size) override {
    return std::make_shared<InterruptibleContext>(device_->createContext(rank, size), buffers_);
  }

 private:
  const std::shared_ptr<gloo::transport::Device> device_;
  Buffers& buffers_;
};

std::shared_ptr<gloo::transport::Device> open_device(const std::string& address) {
  tcp::attr attributes;
  const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
  if (interface != nullptr && *interface != '\0') {
    attributes.iface = interface;
  } else {
    attributes.hostname = address;
  }
  return tcp::CreateDevice(attributes);
}

class GlooLane : public Lane {
 public:
  explicit GlooLane(const LaneRequest& request)
      : size_(request.size), connections_(std::make_shared<gloo::rendezvous::Context>(request.rank, request.size)) {
    connections_->setTimeout(kConnectTime);
    guarded([&] {
      std::shared_ptr<gloo::transport::Device> device =
          std::make_shared<InterruptibleDevice>(open_device(request.address), buffers_);
      SwapStore store(request);
      connections_->connectFullMesh(store, device);
    });
  }

  void sum(float* data, int64_t count) override { reduce(data, count, sum_floats); }
  void sum(Bf16* data, int64_t count) override { reduce(data, count, sum_bf16s); }

  void broadcast(void* data, int64_t bytes, int root) override {
    if (bytes == 0) return;
    guarded([&] {
      gloo::BroadcastOptions options(connections_);
      options.setOutput(static_cast<char*>(data), static_cast<size_t>(bytes));
      options.setRoot(root);
      options.setTag(next_tag());
      options.setTimeout(kExchangeTime);
      gloo::broadcast(options);
    });
  }

  std::vector<std::string> gather(const std::string& own) override {
    // A block holds the length and the start of each text. Texts that do not fit follow.
    constexpr size_t kBlock = 256, kInBlock = kBlock - sizeof(uint64_t);
    const uint64_t length = own.size();
    std::vector<char> block(kBlock), blocks(kBlock * static_cast<size_t>(size_));
    std::memcpy(block.data(), &length, sizeof(length));
    std::memcpy(block.data() + sizeof(length), own.data(), std::min(own.size(), kInBlock));
    guarded([&] {
      gloo::AllgatherOptions options(connections_);
      options.setInput(block.data(), block.size());
      options.setOutput(blocks.data(), blocks.size());
      options.setTag(next_tag());
      options.setTimeout(kExchangeTime);
      gloo::allgather(options);
    });
    std::vector<size_t> rest;
    std::vector<std::string> all;
    size_t total = 0;
    for (size_t i = 0; i < static_cast<size_t>(size_); ++i) {
      uint64_t its_length = 0;
      std::memcpy(&its_length, &blocks[i * kBlock], sizeof(its_length));
      all.emplace_back(&blocks[i * kBlock + sizeof(its_length)], std::min<size_t>(its_length, kInBlock));
      rest.push_back(static_cast<size_t>(its_length) - all.back().size());
      total += rest.back();
    }
    if (total > 0) gather_rest(own.substr(std::min(own.size(), kInBlock)), rest, total, &all);
    return all;
  }

  void abort(const std::string& reason) noexcept override {
    try {
      buffers_.abort(reason);
    } catch (...) {
      // There is no memory for the reason: the connections fail by themselves, later.
    }
  }

 private:
  // Runs `action`; Gloo's errors become LaneErrors.
  template <typename Action>
  void guarded(const Action& action) {
    try {
      buffers_.check();
      action();
    } catch (const gloo::Exception& error) {
      throw LaneError(error.what());
    }
  }

  // Gloo needs different tags only for exchanges that run at the same time.
  uint32_t next_tag() { return tag_++; }

  template <typename Number>
  void reduce(Number* data, int64_t count, void (*add)(void*, const void*, const void*, size_t)) {
    if (count == 0) return;
    guarded([&] {
      gloo::AllreduceOptions options(connections_);
      options.setOutput(data, static_cast<size_t>(count));
      options.setReduceFunction(add);
      options.setAlgorithm(gloo::AllreduceOptions::Algorithm::RING);
      options.setTag(next_tag());
      options.setTimeout(kExchangeTime);
      gloo::allreduce(options);
    });
  }

  // The ends of texts that are longer than a block, of these lengths, `total` together.
  void gather_rest(std::string own, const std::vector<size_t>& lengths, size_t total, std::vector<std::string>* all) {
    // Gloo sends no empty texts: each gets one byte more.
    own.push_back('\0');
    std::vector<size_t> counts = lengths;
    for (size_t& count : counts) ++count;
    std::vector<char> joined(total + counts.size());
    guarded([&] {
      gloo::AllgathervOptions options(connections_);
      options.setInput(own.data(), own.size());
      options.setOutput(joined.data(), counts);
      options.setTag(next_tag());
      options.setTimeout(kExchangeTime);
      gloo::allgatherv(options);
    });
    size_t begin = 0;
    for (size_t i = 0; i < counts.size(); ++i) {
      (*all)[i].append(&joined[begin], lengths[i]);
      begin += counts[i];
    }
  }

  const int size_;
  Buffers buffers_;
  const std::shared_ptr<gloo::rendezvous::Context> connections_;
  uint32_t tag_ = 0;
};

}  // namespace
}  // namespace trainer

// Throws a LaneError.
extern "C" __attribute__((visibility("default"))) trainer::Lane* trainer_open_gloo_lane(
    const trainer::LaneRequest* request) {
  return new trainer::GlooLane(*request);
}
