// An HTTP server on the loopback address with one file. The first part of a path says how it answers:
//
//   /whole/     the file, or the rest of it that a Range asks for
//   /plain/     the whole file, whatever the Range
//   /broken/    ends the connection in the middle of the file, but completes the rest for a Range
//   /stalling/  sends the first half, then nothing more
//   /slow/      the file in pieces of 1 KiB, one in 20 ms
//   /other/     as many bytes of something else
//   /shifted/   answers a Range with another one
//   /elsewhere/ redirects to /whole/;  /loop/ to itself;  /local/ to a file:// address
//
// and anything else is 404.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace trainer {

class LoopbackServer {
 public:
  explicit LoopbackServer(std::string file) : file_(std::move(file)), listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    if (bind(listener_, any, size) == 0 && listen(listener_, 8) == 0 && getsockname(listener_, any, &size) == 0)
      port_ = ntohs(address.sin_port);
    accepting_ = std::thread([this] { accept_all(); });
  }
  ~LoopbackServer() {
    stopped_ = true;
    shutdown(listener_, SHUT_RDWR);
    accepting_.join();
    for (std::thread& connection : connections_) connection.join();
    close(listener_);
  }
  LoopbackServer(const LoopbackServer&) = delete;
  LoopbackServer& operator=(const LoopbackServer&) = delete;

  int port() const { return port_; }
  std::string url(const std::string& how) const {
    return "http://127.0.0.1:" + std::to_string(port_) + "/" + how + "/weights.bin";
  }
  // Each is the way of the answer, and the Range if there was one: "whole bytes=5-".
  std::vector<std::string> requests() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return requests_;
  }

 private:
  void accept_all() {
    while (true) {
      const int connection = accept(listener_, nullptr, nullptr);
      if (connection < 0) return;
      connections_.emplace_back([this, connection] {
        answer(connection);
        close(connection);
      });
    }
  }

  static void send_all(int connection, const std::string& bytes) {
    for (size_t done = 0; done < bytes.size();) {
      const ssize_t sent = send(connection, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
      if (sent <= 0) return;
      done += static_cast<size_t>(sent);
    }
  }

  static std::string read_request(int connection) {
    std::string text;
    char bytes[4096];
    while (text.find("\r\n\r\n") == std::string::npos) {
      const ssize_t got = recv(connection, bytes, sizeof bytes, 0);
      if (got <= 0) break;
      text.append(bytes, static_cast<size_t>(got));
    }
    return text;
  }

  static void send_status(int connection, const std::string& status, const std::string& headers, size_t length) {
    send_all(connection, "HTTP/1.1 " + status + "\r\nConnection: close\r\n" + headers +
                             "Content-Length: " + std::to_string(length) + "\r\n\r\n");
  }

  void redirect(int connection, const std::string& to) {
    send_status(connection, "302 Found", "Location: " + to + "\r\n", 0);
  }

  void answer(int connection) {
    const std::string request = read_request(connection);
    const size_t begin = request.find('/') + 1;
    const std::string how = request.substr(begin, request.find('/', begin) - begin);
    const size_t range = request.find("Range: ");
    const std::string asked =
        range == std::string::npos ? "" : request.substr(range + 7, request.find('\r', range) - range - 7);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      requests_.push_back(asked.empty() ? how : how + " " + asked);
    }
    if (how == "elsewhere") return redirect(connection, url("whole"));
    if (how == "loop") return redirect(connection, url("loop"));
    if (how == "local") return redirect(connection, "file:///etc/hostname");
    send_file(connection, how, how == "plain" || asked.empty() ? 0 : std::stoul(asked.substr(asked.find('=') + 1)));
  }

  void send_file(int connection, const std::string& how, size_t first) {
    const std::vector<std::string> ways = {"whole", "plain", "broken", "stalling", "slow", "other", "shifted"};
    if (std::ranges::find(ways, how) == ways.end()) return send_status(connection, "404 Not Found", "", 0);
    if (first > 0 && first >= file_.size()) return send_status(connection, "416 Range Not Satisfiable", "", 0);
    const std::string rest = how == "other" ? std::string(file_.size() - first, 'x') : file_.substr(first);
    const size_t named = how == "shifted" ? first - 1 : first;
    send_status(connection, first > 0 ? "206 Partial Content" : "200 OK",
                first > 0 ? "Content-Range: bytes " + std::to_string(named) + "-" + std::to_string(file_.size() - 1) +
                                "/" + std::to_string(file_.size()) + "\r\n"
                          : "",
                rest.size());
    const bool halved = how == "stalling" || (how == "broken" && first == 0);
    const std::string sent = halved ? rest.substr(0, rest.size() / 2) : rest;
    if (how != "slow") {
      send_all(connection, sent);
    } else {
      constexpr size_t kPiece = 1024;
      for (size_t at = 0; at < sent.size() && !stopped_; at += kPiece) {
        send_all(connection, sent.substr(at, kPiece));
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
    }
    while (how == "stalling" && !stopped_) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }

  const std::string file_;
  const int listener_;
  int port_ = 0;
  std::atomic<bool> stopped_{false};
  std::thread accepting_;
  std::vector<std::thread> connections_;  // of accept_all() alone, until it ends
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
};

}  // namespace trainer
