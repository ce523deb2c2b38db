// Addresses, sockets and the file of a meeting.
#include "ranks/meeting_place.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

#include "base/error.h"
#include "base/host_name.h"
#include "base/text.h"

namespace trainer {
namespace {

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

// nullptr if the name is unknown.
Addresses resolve(const std::string& name, uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(name.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return nullptr;
  return Addresses(found);
}

std::string text_of(const sockaddr* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address->sa_family == AF_INET)
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, text.data(), text.size());
  if (address->sa_family == AF_INET6)
    inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, text.data(), text.size());
  return text.data();
}

uint16_t port_of(const sockaddr_storage& address) {
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

// The first IPv4 address of an interface that is up and for which `wanted` is true; "" for none.
std::string interface_address(const std::function<bool(const ifaddrs&)>& wanted) {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return "";
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, freeifaddrs);
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != AF_INET || (entry->ifa_flags & IFF_UP) == 0)
      continue;
    if (wanted(*entry)) return text_of(entry->ifa_addr);
  }
  return "";
}

bool write_all(int file, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t count = ::write(file, &text[done], text.size() - done);
    if (count < 0 && errno != EINTR) return false;
    if (count > 0) done += static_cast<size_t>(count);
  }
  return true;
}

// The text of a file of this user that others may neither read nor write; "" if there is none. Throws for other files.
std::string read_private(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  if (file < 0 && errno != ELOOP) return "";
  struct stat status {};
  const bool is_private = file >= 0 && fstat(file, &status) == 0 && S_ISREG(status.st_mode) &&
                          status.st_uid == geteuid() && (status.st_mode & 077) == 0;
  std::string text(64 << 10, '\0');
  const ssize_t count = is_private ? ::read(file, text.data(), text.size()) : 0;
  if (file >= 0) close(file);
  if (!is_private)
    throw data_error(
        "{} is not a private file of this user, so it does not tell where the run meets: remove it, or give another "
        "snapshot_prefix",
        path);
  text.resize(static_cast<size_t>(std::max<ssize_t>(count, 0)));
  return text;
}

}  // namespace

std::string token_of(const Environment& environment) {
  if (const auto token = environment("TRAINER_TOKEN"); token && !token->empty()) return *token;
  const auto path = environment("TRAINER_TOKEN_FILE");
  if (!path || path->empty()) return "";
  std::ifstream file(*path);
  std::string token;
  if (!std::getline(file, token) || trim(token).empty())
    throw config_error("TRAINER_TOKEN_FILE={}: the file has no token in its first line, or cannot be read: {}", *path,
                       file.is_open() ? "it is empty" : std::strerror(errno));
  return trim(token);
}

void MeetingFile::write(const MeetingPlace& place, const std::string& job) const {
  const std::string temporary = fmt::format("{}.{}", path_, getpid());
  const auto fail = [&](const char* action) {
    return data_error(
        "cannot {} {}, where the other processes look for rank 0: {}. Put this file in a folder that all processes can "
        "read and write (for train: change snapshot_prefix), or set MASTER_ADDR, MASTER_PORT and TRAINER_TOKEN",
        action, path_, std::strerror(errno));
  };
  ::unlink(temporary.c_str());
  const int file = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) throw fail("create");
  const std::string text = fmt::format("trainer meeting\njob {}\nnumber {}\nport {}\ntoken {}\naddress {}\nend\n", job,
                                       place.number, place.port, place.token, fmt::join(place.addresses, "\naddress "));
  const bool written = write_all(file, text);
  if (close(file) != 0 || !written || rename(temporary.c_str(), path_.c_str()) != 0) {
    const Error error = fail("write");
    ::unlink(temporary.c_str());
    throw Error(error);
  }
}

std::optional<MeetingPlace> MeetingFile::read(const std::string& job) const {
  std::istringstream file(read_private(path_));
  std::string line;
  MeetingPlace place;
  bool complete = false, same_job = false;
  if (!std::getline(file, line) || line != "trainer meeting") return std::nullopt;
  for (int lines = 0; lines < 100 && std::getline(file, line); ++lines) {
    const size_t blank = line.find(' ');
    const std::string name = line.substr(0, blank), value = blank == std::string::npos ? "" : line.substr(blank + 1);
    if (name == "job") same_job = value == job;
    if (name == "number") std::from_chars(value.data(), value.data() + value.size(), place.number);
    if (name == "port") std::from_chars(value.data(), value.data() + value.size(), place.port);
    if (name == "token") place.token = value;
    if (name == "address") place.addresses.push_back(value);
    complete = name == "end";
  }
  if (!complete || !same_job || place.port == 0 || place.addresses.empty()) return std::nullopt;
  return place;
}

void MeetingFile::remove() const noexcept { ::unlink(path_.c_str()); }

std::string local_address(int descriptor) {
  sockaddr_storage own{};
  socklen_t size = sizeof(own);
  return getsockname(descriptor, reinterpret_cast<sockaddr*>(&own), &size) == 0
             ? text_of(reinterpret_cast<sockaddr*>(&own))
             : "";
}

int listen_at(const std::string& address, uint16_t* port) {
  const Addresses addresses = resolve(address, *port);
  if (addresses == nullptr) throw config_error("rank 0 cannot listen at {}: the name is unknown", printable(address));
  int problem = 0;
  for (const addrinfo* candidate = addresses.get(); candidate != nullptr; candidate = candidate->ai_next) {
    const int listener = socket(candidate->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0) {
      problem = errno;
      continue;
    }
    const int on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    sockaddr_storage bound{};
    socklen_t size = sizeof(bound);
    if (bind(listener, candidate->ai_addr, candidate->ai_addrlen) == 0 && listen(listener, SOMAXCONN) == 0 &&
        getsockname(listener, reinterpret_cast<sockaddr*>(&bound), &size) == 0) {
      *port = port_of(bound);
      return listener;
    }
    problem = errno;
    close(listener);
  }
  if (problem == EADDRINUSE)
    throw device_error("rank 0 cannot listen at {} port {}: the port is taken. Choose another MASTER_PORT", address,
                       *port);
  if (problem == EADDRNOTAVAIL)
    throw config_error(
        "rank 0 cannot listen at {}: this host, {}, does not have that address. MASTER_ADDR is the host of rank 0",
        address, host_name());
  throw device_error("rank 0 cannot listen at {} port {}: {}", address, *port, std::strerror(problem));
}

int connect_to(const std::string& address, uint16_t port, int milliseconds, std::string* own_address) {
  const Addresses addresses = resolve(address, port);
  for (const addrinfo* candidate = addresses.get(); candidate != nullptr; candidate = candidate->ai_next) {
    const int connected = socket(candidate->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (connected < 0) continue;
    int problem = 0;
    if (connect(connected, candidate->ai_addr, candidate->ai_addrlen) != 0) {
      problem = errno;
      pollfd waiting{connected, POLLOUT, 0};
      socklen_t size = sizeof(problem);
      if (problem == EINPROGRESS && poll(&waiting, 1, milliseconds) == 1)
        getsockopt(connected, SOL_SOCKET, SO_ERROR, &problem, &size);
    }
    if (problem == 0) {
      *own_address = local_address(connected);
      return connected;
    }
    close(connected);
  }
  return -1;
}

std::string cluster_address(const Environment& environment) {
  if (const auto interface = environment("GLOO_SOCKET_IFNAME"); interface && !interface->empty()) {
    const std::string found = interface_address([&](const ifaddrs& entry) { return entry.ifa_name == *interface; });
    if (found.empty())
      throw config_error("GLOO_SOCKET_IFNAME={}: this host has no such interface that is up", *interface);
    return found;
  }
  if (const Addresses named = resolve(host_name(), 0); named != nullptr) {
    for (const addrinfo* entry = named.get(); entry != nullptr; entry = entry->ai_next) {
      const std::string address = text_of(entry->ai_addr);
      if (entry->ai_family == AF_INET && !address.starts_with("127.")) return address;
    }
  }
  const std::string found =
      interface_address([](const ifaddrs& entry) { return (entry.ifa_flags & IFF_LOOPBACK) == 0; });
  return found.empty() ? "127.0.0.1" : found;
}

}  // namespace trainer
