// The processes that train together.
//
// One of them, at first rank 0, keeps a meeting (ranks/meeting_server.h) that all others join; it compares what they
// run, numbers them and watches over them. Numbers go through lanes (ranks/lane.h) of an engine.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "ranks/lane.h"

namespace trainer {

// A process of a group.
struct Member {
  int rank = 0;           // in this group
  int launched_rank = 0;  // as the launcher numbers it: the same number after others are gone
  std::string host;
};
// "rank 3 on node7".
std::string text_of(const Member& member);

// Another process failed, left, hangs or cannot be reached. The message names its rank and host.
class RankFailed : public Error {
 public:
  explicit RankFailed(const std::string& message) : Error(ExitCode::kRankFailed, message) {}
};

// All functions throw RankFailed once a process of the group is lost.
class Group {
 public:
  virtual ~Group() = default;
  virtual int rank() const = 0;
  virtual const std::vector<Member>& members() const = 0;
  int size() const { return static_cast<int>(members().size()); }
  bool is_first() const { return rank() == 0; }

  // Exchanges of the thread of the loop: see Lane. All ranks call the same ones in the same order.
  virtual void sum(float* data, int64_t count) = 0;
  virtual void broadcast(void* data, int64_t bytes, int root) = 0;
  virtual std::vector<std::string> gather(const std::string& own) = 0;
  // Replaces the text by that of rank `root`.
  std::string broadcast_text(const std::string& own, int root);

  // A second lane, for exchanges of another thread.
  virtual Lane& gradient_lane() = 0;
  // Whether a process is lost, or an exchange failed in another one. Any thread may ask.
  virtual bool has_failed() const = 0;
  // Throws a RankFailed that says which process is lost, for a LaneError.
  [[noreturn]] virtual void throw_rank_failed(const LaneError& error) = 0;
  // Leaves the group, of which only lanes and members are used then: tells the others that this process ends with an
  // error, unless a loss has already been reported.
  virtual void leave(const Error& error) = 0;
  // Leaves without an error: waits until the others leave too.
  virtual void leave() = 0;
  // Processes that wait to take part, as this process knows.
  virtual int newcomers() const { return 0; }
  // Call before all processes throw the same error: unless an exchange follows, they leave with it and none is reported
  // as lost.
  virtual void share_error() {}
};

}  // namespace trainer
