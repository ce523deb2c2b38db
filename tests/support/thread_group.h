// A group whose processes are threads of one process, for tests.
#pragma once

#include <condition_variable>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "ranks/group.h"
#include "tensor/bf16.h"

namespace trainer::test {

// What the threads of a lane share: each shows the others an address, and all wait for each other.
class ThreadMeeting {
 public:
  explicit ThreadMeeting(int size) : shown_(static_cast<size_t>(size)) {}

  // Calls `use` with the addresses of all threads, by rank, and returns when all have used them.
  template <typename Use>
  void exchange(int rank, const void* own, const Use& use) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      shown_[static_cast<size_t>(rank)] = own;
    }
    arrive();
    use(shown_);
    arrive();
  }

  void abort(const std::string& reason) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (reason_.empty()) reason_ = reason;
    changed_.notify_all();
  }
  bool is_aborted() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return !reason_.empty();
  }

 private:
  void arrive() {
    std::unique_lock<std::mutex> lock(mutex_);
    const int64_t round = round_;
    if (reason_.empty() && ++arrived_ == shown_.size()) {
      arrived_ = 0;
      ++round_;
      changed_.notify_all();
    }
    changed_.wait(lock, [&] { return round_ != round || !reason_.empty(); });
    if (round_ == round) throw LaneError(reason_);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<const void*> shown_;
  size_t arrived_ = 0;
  int64_t round_ = 0;
  std::string reason_;  // of abort()
};

class ThreadLane : public Lane {
 public:
  ThreadLane(std::shared_ptr<ThreadMeeting> meeting, int rank) : meeting_(std::move(meeting)), rank_(rank) {}

  void sum(float* data, int64_t count) override {
    sum_values(
        data, count, [](float value) { return value; }, [](float sum) { return sum; });
  }
  void sum(Bf16* data, int64_t count) override {
    sum_values(
        data, count, [](Bf16 value) { return to_float(value); }, [](float sum) { return to_bf16(sum); });
  }
  void broadcast(void* data, int64_t bytes, int root) override {
    meeting_->exchange(rank_, data, [&](const std::vector<const void*>& shown) {
      if (rank_ != root) std::memcpy(data, shown[static_cast<size_t>(root)], static_cast<size_t>(bytes));
    });
  }
  std::vector<std::string> gather(const std::string& own) override {
    std::vector<std::string> texts;
    meeting_->exchange(rank_, &own, [&](const std::vector<const void*>& shown) {
      for (const void* text : shown) texts.push_back(*static_cast<const std::string*>(text));
    });
    return texts;
  }
  void abort(const std::string& reason) noexcept override { meeting_->abort(reason); }
  bool is_aborted() const { return meeting_->is_aborted(); }

 private:
  // In the order of the ranks, so that all get the same bits.
  template <typename T, typename Read, typename Write>
  void sum_values(T* data, int64_t count, const Read& read, const Write& write) {
    std::vector<float> sums(static_cast<size_t>(count));
    meeting_->exchange(rank_, data, [&](const std::vector<const void*>& shown) {
      for (const void* values : shown) {
        for (size_t i = 0; i < sums.size(); ++i) sums[i] += read(static_cast<const T*>(values)[i]);
      }
    });
    for (size_t i = 0; i < sums.size(); ++i) data[i] = write(sums[i]);
  }

  const std::shared_ptr<ThreadMeeting> meeting_;
  const int rank_;
};

class ThreadGroup : public Group {
 public:
  ThreadGroup(int rank, std::vector<Member> members, std::shared_ptr<ThreadMeeting> meeting,
              std::shared_ptr<ThreadMeeting> of_gradients)
      : rank_(rank),
        members_(std::move(members)),
        lane_(std::move(meeting), rank),
        gradients_(std::move(of_gradients), rank) {}

  int rank() const override { return rank_; }
  const std::vector<Member>& members() const override { return members_; }
  void sum(float* data, int64_t count) override {
    explained([&] { lane_.sum(data, count); });
  }
  void broadcast(void* data, int64_t bytes, int root) override {
    explained([&] { lane_.broadcast(data, bytes, root); });
  }
  std::vector<std::string> gather(const std::string& own) override {
    ++gathers;
    std::vector<std::string> texts;
    explained([&] { texts = lane_.gather(own); });
    return texts;
  }
  Lane& gradient_lane() override { return gradients_; }
  bool has_failed() const override { return gradients_.is_aborted(); }
  [[noreturn]] void throw_rank_failed(const LaneError& error) override { throw RankFailed(error.what()); }
  // The process is lost: the functions of all others throw.
  void leave(const Error& error) override {
    lane_.abort(error.what());
    gradients_.abort(error.what());
  }
  void leave() override {}

  int gathers = 0;  // by this rank

 private:
  template <typename Exchange>
  void explained(const Exchange& exchange) {
    try {
      exchange();
    } catch (const LaneError& error) {
      throw_rank_failed(error);
    }
  }

  const int rank_;
  const std::vector<Member> members_;
  ThreadLane lane_, gradients_;
};

// Runs `action` with the group of each rank, in a thread each. Returns what each threw; a rank that throws is lost to
// the others.
template <typename Action>
std::vector<std::exception_ptr> run_ranks(int size, const Action& action) {
  std::vector<Member> members;
  for (int rank = 0; rank < size; ++rank) members.push_back({rank, rank, "host" + std::to_string(rank)});
  const auto meeting = std::make_shared<ThreadMeeting>(size), of_gradients = std::make_shared<ThreadMeeting>(size);
  std::vector<std::exception_ptr> thrown(static_cast<size_t>(size));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      ThreadGroup group(rank, members, meeting, of_gradients);
      try {
        action(group);
      } catch (...) {
        thrown[static_cast<size_t>(rank)] = std::current_exception();
        group.leave(data_error("rank {} is lost", rank));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return thrown;
}

// Of what a rank threw: its text, "" for nothing.
inline std::string message_of(const std::exception_ptr& thrown) {
  if (!thrown) return "";
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& error) {
    return error.what();
  }
}

}  // namespace trainer::test
