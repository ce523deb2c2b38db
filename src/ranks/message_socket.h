// Messages over a socket that never blocks.
#pragma once

#include <string>
#include <vector>

#include "meeting.pb.h"

namespace trainer {

class MessageSocket {
 public:
  // Takes over the descriptor of a connected socket.
  explicit MessageSocket(int descriptor);
  ~MessageSocket();
  MessageSocket(MessageSocket&& other) noexcept;
  MessageSocket(const MessageSocket&) = delete;
  MessageSocket& operator=(const MessageSocket&) = delete;

  int descriptor() const { return descriptor_; }
  // Reads the messages that have arrived. Returns false once the other side has closed the connection, or has sent an
  // invalid message or one longer than `most` bytes.
  bool receive(std::vector<meeting::Message>* messages, size_t most);
  // Sends as much as the connection takes. Returns false if the connection is broken.
  bool send(const meeting::Message& message);
  bool flush();
  bool has_unsent() const { return sent_ < unsent_.size(); }
  // Waits at most `milliseconds` until everything is sent.
  void drain(int milliseconds);

 private:
  int descriptor_;
  std::string received_, unsent_;
  size_t sent_ = 0;
};

// The most bytes of a message before and after the other side has proved that it knows the token.
inline constexpr size_t kMostFromStrangers = 64 << 10, kMostFromMembers = 64 << 20;

// HMAC-SHA256 (RFC 2104) of a nonce, with the token as key.
std::string proof_of(const std::string& token, const std::string& nonce);
std::string random_bytes(size_t count);
// `bytes` random bytes as hexadecimal digits.
std::string random_digits(size_t bytes);

}  // namespace trainer
