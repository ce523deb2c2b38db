// The connection of one process to the process that runs the meeting.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "ranks/group.h"
#include "ranks/message_socket.h"
#include "ranks/suspension.h"

namespace trainer {

// A lost process, and why it is thought to be lost.
struct LostMember {
  int launched_rank = 0;
  std::string text;
  bool certain = false;  // it has ended, and does not only seem so
};

// The connection ended before the table arrived: the other side is not this run's meeting, or not yet.
class MeetingGone : public std::runtime_error {
 public:
  explicit MeetingGone(const std::string& text, bool was_let_in = false)
      : std::runtime_error(text), was_let_in(was_let_in) {}
  const bool was_let_in;  // the meeting knew this process: there will be another one
};

// The reachable processes are too few to continue; the others may be able to.
class CutOff : public RankFailed {
 public:
  using RankFailed::RankFailed;
};

// How often a waiting process notes for whom it waits.
inline constexpr auto kNoteInterval = std::chrono::seconds(30);

struct MeetingWait {
  std::function<void(const std::string&)> note = [](const std::string&) {};  // for the log
  std::function<void()> check = [] {};                                       // called while waiting; may throw
};

class MeetingClient {
 public:
  // Proves that it knows the token, says hello, and waits for the table. Throws MeetingGone, CutOff, or the Error with
  // which the meeting refuses this process.
  MeetingClient(MessageSocket socket, const std::string& token, meeting::Hello hello, const MeetingWait& wait);
  ~MeetingClient();
  MeetingClient(const MeetingClient&) = delete;
  MeetingClient& operator=(const MeetingClient&) = delete;

  const meeting::Table& table() const { return table_; }
  // Called once, by another thread, when a process is lost or an exchange failed in another one; at once if that was
  // before.
  void on_failure(std::function<void()> action);

  // Gives `own` to the other members and returns what all gave, by rank; nullopt after a failure.
  std::optional<std::vector<std::string>> exchange(const std::string& own);
  // The processes lost so far, in order. One with the number of this process: the others declared it lost.
  std::vector<LostMember> losses() const;
  bool has_failed() const;
  // Waits at most `most` for the first failure. Returns the losses.
  std::vector<LostMember> wait_for_failure(std::chrono::milliseconds most);
  // Processes that wait to take part.
  int newcomers() const;

  // Leaves: with code 0 waits for the others to leave too, `most` at the longest; else `text` is for them.
  void leave(int code, const std::string& text, std::chrono::milliseconds most);
  // Leaves because of a failure, so that the others do not declare this process lost too.
  void leave_after_failure();

 private:
  using Clock = std::chrono::steady_clock;

  void prove(const std::string& token, meeting::Hello* hello, const MeetingWait& wait);
  void await_table(const std::string& token, const meeting::Hello& hello, const MeetingWait& wait);
  std::vector<meeting::Message> await_messages(const MeetingWait& wait);
  void run();
  void take(const meeting::Message& message);
  void lose(LostMember lost);
  void note_failure();
  bool send(const meeting::Message& message);
  void beat();

  const int own_rank_;
  MessageSocket socket_;
  meeting::Table table_;
  mutable std::mutex mutex_;  // guards all below, and the socket while the thread runs
  std::condition_variable changed_;
  std::vector<LostMember> losses_;
  std::optional<std::vector<std::string>> offers_;
  std::function<void()> on_failure_;
  int newcomers_ = 0;
  bool failed_ = false, over_ = false, leaving_ = false;
  Clock::time_point heard_ = Clock::now(), last_beat_ = heard_;
  Suspension suspension_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace trainer
