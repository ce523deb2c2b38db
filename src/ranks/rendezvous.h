// Brings the processes of a run together, at its start and again after a loss.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ranks/elastic_limits.h"
#include "ranks/group.h"
#include "ranks/launcher.h"
#include "ranks/meeting_client.h"
#include "ranks/meeting_place.h"

namespace trainer {

class MeetingServer;

struct RendezvousRequest {
  LaunchedRank launched;
  // The meeting's file; not used if MASTER_ADDR and a token are given and the run is not elastic.
  std::string file;
  // What all processes must run the same of: "the solver", and its text.
  std::vector<std::pair<std::string, std::string>> compared;
  ElasticLimits elastic;
  MeetingWait wait;
  Environment environment = process_environment;
};

// "rank 2 of 4 on node7: TEXT".
std::string named_process(const LaunchedRank& launched, const std::string& text);

class Rendezvous {
 public:
  // Throws a config_error for variables of the environment that make no sense.
  explicit Rendezvous(RendezvousRequest request);
  ~Rendezvous();

  // Waits for the others and connects to them. Once more after this process has left the group of an earlier call; a
  // process that is cut off then returns to the others as a newcomer. Throws the Error with which the meeting ends:
  // RankFailed if processes do not come. The group must end before this object.
  std::unique_ptr<Group> meet();
  bool is_elastic() const { return request_.elastic.least > 0; }

  // After this process has left a group, whether or not it could meet others again:
  // Whether a process is known to be lost.
  bool has_loss() const { return !losses_.empty(); }
  // Whether this process is the first of those that remain. If the meeting is lost, whose process alone knew of other
  // losses, this is true for the first process on its host and for the first on the other hosts.
  bool is_first_remaining() const;

 private:
  class JoinedGroup;

  std::unique_ptr<MeetingClient> find_others();
  std::unique_ptr<MeetingClient> join();
  std::unique_ptr<MeetingClient> join_again();
  std::unique_ptr<MeetingClient> come_back(const std::string& reason);
  std::unique_ptr<MeetingClient> keep_meeting(const std::vector<int>& expected, const std::vector<int>& optional,
                                              const std::vector<int>& former);
  std::unique_ptr<MeetingClient> connect(const std::function<std::optional<MeetingPlace>()>& place,
                                         const std::string& keeper, std::chrono::seconds patience);
  meeting::Hello hello(const std::string& address);
  void write_file(const MeetingPlace& place);
  void remove_file() noexcept;
  std::optional<MeetingPlace> known_place() const;
  std::optional<MeetingPlace> find_place() const;
  std::optional<MeetingPlace> find_later_place() const;
  void check_place() const;
  bool is_lost(int launched_rank) const;

  const RendezvousRequest request_;
  const MeetingFile file_;
  const std::chrono::seconds patience_;
  std::string token_;
  int listener_ = -1;
  uint16_t listener_port_ = 0;
  std::optional<MeetingPlace> written_;  // into the file, by this process
  std::unique_ptr<MeetingServer> server_;
  // Of the former group.
  meeting::Table table_;
  std::vector<LostMember> losses_;
};

}  // namespace trainer
