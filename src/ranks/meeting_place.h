// Where the processes of a run meet, and the token that they prove to know.
//
// With MASTER_ADDR and MASTER_PORT rank 0 listens there; otherwise it writes its address into the meeting's file, which
// only its owner may read. The token is TRAINER_TOKEN, the first line of the file that TRAINER_TOKEN_FILE names, or a
// random one, which the meeting's file then holds.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "ranks/launcher.h"

namespace trainer {

struct MeetingPlace {
  std::vector<std::string> addresses;  // names or numbers, to be tried in order
  uint16_t port = 0;
  std::string token;
  int number = 1;  // of the meeting in its run: of two, the higher one is later

  bool operator==(const MeetingPlace&) const = default;
};

// The token of the environment; "" for none. Throws a config_error for a file that cannot be read or is empty.
std::string token_of(const Environment& environment);

// The file of a meeting: PREFIX.meeting.
class MeetingFile {
 public:
  explicit MeetingFile(std::string path) : path_(std::move(path)) {}
  const std::string& path() const { return path_; }
  // Throws a data_error if the file cannot be written.
  void write(const MeetingPlace& place, const std::string& job) const;
  // nullopt if there is none, it is not complete, or is of another job. Throws a data_error if it is not a file
  // that only this user may read: another user could redirect the process with it.
  std::optional<MeetingPlace> read(const std::string& job) const;
  void remove() const noexcept;

 private:
  std::string path_;
};

// A socket that listens at this address (a name or a number), or at a free port if `port` is 0, which is then set.
// Throws an Error that says what to do if the address is not of this machine or the port is taken.
int listen_at(const std::string& address, uint16_t* port);
// The address of this side of a connection, in numbers; "" if it is not IP.
std::string local_address(int descriptor);
// A connected socket, or -1. `own_address`: that of this side, in numbers.
int connect_to(const std::string& address, uint16_t port, int milliseconds, std::string* own_address);

// The address of this machine in the cluster's network: that of the interface GLOO_SOCKET_IFNAME, that of the host's
// name, or the first that is not loopback.
std::string cluster_address(const Environment& environment);

}  // namespace trainer
