// Frames messages by their length, and proves knowledge of a token.
#include "ranks/message_socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/sha256.h"

namespace trainer {
namespace {

constexpr size_t kLengthBytes = 4;

std::string digest_of(const std::string& text) {
  std::string bytes;
  for (const uint32_t word : sha256(text)) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(word >> shift & 0xFF));
  }
  return bytes;
}

}  // namespace

MessageSocket::MessageSocket(int descriptor) : descriptor_(descriptor) {
  fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
  fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  const int on = 1;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

MessageSocket::~MessageSocket() {
  if (descriptor_ >= 0) close(descriptor_);
}

MessageSocket::MessageSocket(MessageSocket&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      received_(std::move(other.received_)),
      unsent_(std::move(other.unsent_)),
      sent_(other.sent_) {}

bool MessageSocket::receive(std::vector<meeting::Message>* messages, size_t most) {
  bool open = true;
  std::array<char, 65536> bytes;
  while (received_.size() <= most + kLengthBytes) {
    const ssize_t count = recv(descriptor_, bytes.data(), bytes.size(), 0);
    if (count > 0) {
      received_.append(bytes.data(), static_cast<size_t>(count));
      continue;
    }
    if (count < 0 && errno == EINTR) continue;
    open = count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    break;
  }
  size_t begin = 0;
  while (received_.size() - begin >= kLengthBytes) {
    uint32_t length = 0;
    std::memcpy(&length, &received_[begin], kLengthBytes);
    if (length > most) return false;
    if (received_.size() - begin - kLengthBytes < length) break;
    if (!messages->emplace_back().ParseFromArray(&received_[begin + kLengthBytes], static_cast<int>(length))) {
      messages->pop_back();
      return false;
    }
    begin += kLengthBytes + length;
  }
  received_.erase(0, begin);
  return open;
}

bool MessageSocket::send(const meeting::Message& message) {
  const std::string text = message.SerializeAsString();
  const auto length = static_cast<uint32_t>(text.size());
  std::array<char, kLengthBytes> head;
  std::memcpy(head.data(), &length, kLengthBytes);
  unsent_.append(head.data(), head.size());
  unsent_ += text;
  return flush();
}

bool MessageSocket::flush() {
  while (sent_ < unsent_.size()) {
    const ssize_t count = ::send(descriptor_, &unsent_[sent_], unsent_.size() - sent_, MSG_NOSIGNAL);
    if (count >= 0) {
      sent_ += static_cast<size_t>(count);
    } else if (errno != EINTR) {
      return errno == EAGAIN || errno == EWOULDBLOCK;
    }
  }
  unsent_.clear();
  sent_ = 0;
  return true;
}

void MessageSocket::drain(int milliseconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
  while (has_unsent() && std::chrono::steady_clock::now() < end) {
    pollfd waiting{descriptor_, POLLOUT, 0};
    poll(&waiting, 1, 20);
    if (!flush()) return;
  }
}

std::string proof_of(const std::string& token, const std::string& nonce) {
  constexpr size_t kBlock = 64;
  std::string key = token.size() > kBlock ? digest_of(token) : token;
  key.resize(kBlock, '\0');
  std::string inner = key, outer = key;
  for (char& c : inner) c = static_cast<char>(c ^ 0x36);
  for (char& c : outer) c = static_cast<char>(c ^ 0x5C);
  return digest_of(outer + digest_of(inner + nonce));
}

std::string random_bytes(size_t count) {
  std::string bytes(count, '\0');
  if (getrandom(bytes.data(), count, 0) != static_cast<ssize_t>(count))
    throw device_error("cannot get random numbers from the system: {}", std::strerror(errno));
  return bytes;
}

std::string random_digits(size_t bytes) {
  std::string digits;
  for (const char byte : random_bytes(bytes)) digits += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return digits;
}

}  // namespace trainer
