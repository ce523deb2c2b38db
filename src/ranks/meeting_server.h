// The meeting of the processes that train together, in a thread of rank 0.
//
// First it gathers: processes prove that they know the token, and once all expected ones are there and run the same,
// each gets the table of all. Then it passes texts between them (Offer), watches over them by their connections and
// heartbeats, and tells all when one is lost or leaves with an error. Nothing that it receives is executed.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "ranks/message_socket.h"
#include "ranks/suspension.h"

namespace trainer {

// A process that is silent for kMostSilence is lost. Each process sends a heartbeat every kBeatInterval.
inline constexpr auto kMostSilence = std::chrono::seconds(10), kBeatInterval = std::chrono::seconds(1);

// Why a process is lost: its connection ended, or it is silent.
inline constexpr const char* kConnectionEnded = "it has ended, or its connection broke";
std::string silence_text();

struct MeetingOptions {
  int listener = -1;  // a listening socket, which the caller closes after the server has ended
  std::string token;
  int keeper = 0;             // the launched rank of this process
  int number = 1;             // of the meeting in its run
  int world = 1;              // processes as launched
  std::vector<int> expected;  // their numbers, as launched, ascending
  std::vector<int> optional;  // more that may come in the first seconds
  std::chrono::seconds patience{300};
  // With --elastic: the least number of processes to start with once the patience is over; 0: all must come.
  int least = 0;
  int most = 0;  // 0: no limit
  // For a meeting after a loss: the members of the group before it, without those that certainly ended. A majority of
  // them, or half including the first, must arrive, so that two separated parts cannot both continue.
  std::vector<int> former;
};

class MeetingServer {
 public:
  explicit MeetingServer(MeetingOptions options);
  // Lets the members know that they meet again, if `end_for_new_meeting` was called.
  ~MeetingServer();
  MeetingServer(const MeetingServer&) = delete;
  MeetingServer& operator=(const MeetingServer&) = delete;

  // The other end of a connection for a member in this process.
  MessageSocket connect_inside();
  // The launched ranks of processes that wait to take part.
  std::vector<int> newcomers() const;
  // Takes no further connections, and the system refuses them. Call once the table is out.
  void stop_listening();
  // The members are to meet again, at another server.
  void end_for_new_meeting() { meets_again_ = true; }

 private:
  using Clock = std::chrono::steady_clock;
  enum class Stage : uint8_t { kGathering, kRunning, kOver };
  struct Peer {
    explicit Peer(MessageSocket connected) : socket(std::move(connected)) {}
    MessageSocket socket;
    enum class State : uint8_t { kStranger, kArrived, kMember, kLeft, kGone } state = State::kStranger;
    std::string nonce;
    meeting::Hello hello;
    Clock::time_point heard = Clock::now();
    std::optional<std::string> offer;
  };

  void run();
  void accept_all();
  void take_inside();
  void read(Peer& peer);
  void take(Peer& peer, const meeting::Message& message);
  void greet(Peer& peer);
  void hear_hello(Peer& peer, const meeting::Hello& hello);
  void refuse(Peer& peer, const meeting::Refusal& refusal);
  void refuse_all(const meeting::Refusal& refusal);
  void advance();
  void gather();
  bool enough(const std::vector<Peer*>& arrived) const;
  std::string difference(const std::vector<Peer*>& arrived) const;
  std::vector<Peer*> chosen(std::vector<Peer*> arrived) const;
  void open_table(const std::vector<Peer*>& arrived);
  std::string missing_text() const;
  void end_late_peers();
  void lose(Peer& peer, const std::string& text, bool certain);
  void note_departure(Peer& peer, const meeting::Bye& bye);
  void tell_members(const meeting::Message& message, const Peer* except = nullptr);
  void pass_offers();
  void count_newcomers();
  void announce_end();
  std::vector<Peer*> peers_in(Peer::State state);
  Peer* arrived_as(int launched_rank) const;

  const MeetingOptions options_;
  Stage stage_ = Stage::kGathering;
  bool failed_ = false;  // a process is lost, or an exchange failed
  Suspension suspension_;
  std::vector<std::unique_ptr<Peer>> peers_;
  const Clock::time_point start_ = Clock::now();
  Clock::time_point last_wait_ = start_, last_beat_ = start_;
  mutable std::mutex mutex_;
  std::vector<int> inside_;     // descriptors of connect_inside(), guarded by mutex_
  std::vector<int> newcomers_;  // guarded by mutex_
  std::atomic<bool> stopping_ = false, meets_again_ = false, listening_ = true;
  std::thread thread_;
};

}  // namespace trainer
