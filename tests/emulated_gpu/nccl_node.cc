// Exchanges numbers between processes over sockets.
#include "nccl_node.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <stdexcept>
#include <utility>

namespace emulator {
namespace {

// What an identifier contains.
struct Place {
  uint16_t port = 0;
  uint64_t key = 0;
};

class Closed : public std::runtime_error {
 public:
  Closed() : std::runtime_error("a connection ended") {}
};

void send_bytes(int socket, const void* data, size_t bytes) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t sent = send(socket, at, bytes, MSG_NOSIGNAL);
    if (sent <= 0) throw Closed();
    at += sent;
    bytes -= static_cast<size_t>(sent);
  }
}

void receive_bytes(int socket, void* data, size_t bytes) {
  char* at = static_cast<char*>(data);
  while (bytes > 0) {
    const ssize_t received = recv(socket, at, bytes, 0);
    if (received <= 0) throw Closed();
    at += received;
    bytes -= static_cast<size_t>(received);
  }
}

template <typename T>
void send_value(int socket, T value) {
  send_bytes(socket, &value, sizeof value);
}
template <typename T>
T receive_value(int socket) {
  T value;
  receive_bytes(socket, &value, sizeof value);
  return value;
}

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// Takes the connections of all ranks; the first number in a connection is the key.
std::map<int, std::vector<int>> accept_all(int listener, uint64_t key) {
  std::map<int, std::vector<int>> ranks;  // by socket
  size_t joined = 0, world = 1;
  while (joined < world) {
    const int socket = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) throw Closed();
    if (receive_value<uint64_t>(socket) != key) {
      close(socket);
      continue;
    }
    world = receive_value<uint32_t>(socket);
    ranks[socket].resize(receive_value<uint32_t>(socket));
    for (int& rank : ranks[socket]) rank = receive_value<int32_t>(socket);
    joined += ranks[socket].size();
  }
  return ranks;
}

// Waits until all processes have sent something.
void await_all(const std::map<int, std::vector<int>>& ranks) {
  for (bool all = false; !all; std::this_thread::sleep_for(std::chrono::milliseconds(all ? 0 : 1))) {
    all = true;
    for (const auto& entry : ranks) {
      char first;
      const ssize_t received = recv(entry.first, &first, 1, MSG_PEEK | MSG_DONTWAIT);
      if (received == 0 || (received < 0 && errno != EAGAIN)) throw Closed();
      all = all && received > 0;
    }
  }
}

// One exchange. Sums in the order of the ranks.
void sum_once(const std::map<int, std::vector<int>>& ranks) {
  std::map<int, std::vector<float>> numbers;  // by rank
  size_t count = 0;
  bool first = true;
  await_all(ranks);
  for (const auto& [socket, numbered] : ranks) {
    const auto own = receive_value<uint64_t>(socket);
    if (!std::exchange(first, false) && own != count) {
      std::fprintf(stderr, "emulated NCCL: processes call ncclAllReduce with count=%zu and count=%zu\n", count,
                   static_cast<size_t>(own));
      std::abort();
    }
    count = own;
    for (const int rank : numbered) {
      numbers[rank].resize(count);
      receive_bytes(socket, numbers[rank].data(), count * sizeof(float));
    }
  }
  std::vector<float> sum(count);
  for (const auto& [rank, values] : numbers) {
    for (size_t i = 0; i < count; ++i) sum[i] = rank == 0 ? values[i] : sum[i] + values[i];
  }
  for (const auto& entry : ranks) send_bytes(entry.first, sum.data(), count * sizeof(float));
}

// Until a connection ends; then all end.
void serve(int listener, uint64_t key) {
  std::map<int, std::vector<int>> ranks;
  try {
    ranks = accept_all(listener, key);
    for (const auto& entry : ranks) send_value<char>(entry.first, 1);
    while (true) sum_once(ranks);
  } catch (const Closed&) {
  }
  for (const auto& entry : ranks) close(entry.first);
  close(listener);
}

}  // namespace

std::string serve_exchanges() {
  Place place;
  sockaddr_in address = loopback(0);
  socklen_t length = sizeof address;
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0 || bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener, 64) != 0 || getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    std::perror("emulated NCCL: listening");
    std::abort();
  }
  place.port = ntohs(address.sin_port);
  place.key = static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()) ^
              static_cast<uint64_t>(getpid()) << 32;
  std::thread([listener, place] { serve(listener, place.key); }).detach();
  return {reinterpret_cast<const char*>(&place), sizeof place};
}

Node::Node(const std::string& id, int world, std::vector<int> ranks) : ranks_(std::move(ranks)) {
  socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  thread_ = std::thread([this, id, world] { run(id, world); });
}

Node::~Node() {
  abort();
  thread_.join();
  close(socket_);
}

void Node::abort() {
  const std::lock_guard lock(mutex_);
  aborted_ = true;
  shutdown(socket_, SHUT_RDWR);
  changed_.notify_all();
}

void Node::want(std::shared_ptr<Exchange> exchange) {
  const std::lock_guard lock(mutex_);
  wanted_.push_back(std::move(exchange));
  changed_.notify_all();
}

void Node::connect(const std::string& id, int world) {
  Place place;
  std::memcpy(&place, id.data(), sizeof place);
  const sockaddr_in address = loopback(place.port);
  if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) throw Closed();
  const int at_once = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
  send_value(socket_, place.key);
  send_value(socket_, static_cast<uint32_t>(world));
  send_value(socket_, static_cast<uint32_t>(ranks_.size()));
  for (const int rank : ranks_) send_value(socket_, static_cast<int32_t>(rank));
  receive_value<char>(socket_);
}

void Node::exchange(Exchange& exchange) {
  send_value(socket_, static_cast<uint64_t>(exchange.own[0].size()));
  for (const std::vector<float>& numbers : exchange.own)
    send_bytes(socket_, numbers.data(), numbers.size() * sizeof(float));
  exchange.sum.resize(exchange.own[0].size());
  receive_bytes(socket_, exchange.sum.data(), exchange.sum.size() * sizeof(float));
  exchange.done = true;
}

void Node::run(const std::string& id, int world) {
  constexpr auto kBetweenLooks = std::chrono::milliseconds(20);
  try {
    connect(id, world);
    state_ = ncclSuccess;
    std::unique_lock lock(mutex_);
    while (!aborted_) {
      if (wanted_.empty()) {
        changed_.wait_for(lock, kBetweenLooks);
        char next;
        if (wanted_.empty() && recv(socket_, &next, 1, MSG_PEEK | MSG_DONTWAIT) == 0) throw Closed();
        continue;
      }
      const std::shared_ptr<Exchange> next = std::exchange(wanted_.front(), nullptr);
      wanted_.pop_front();
      lock.unlock();
      exchange(*next);
      lock.lock();
    }
  } catch (const Closed&) {
    state_ = ncclRemoteError;
  }
}

}  // namespace emulator
