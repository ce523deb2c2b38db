// Results that several threads make at the same time and one thread takes in order.
//
// Result i uses slot i % slots. A maker takes the next number once its slot is free.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace trainer {

template <typename Result>
class OrderedResults {
 public:
  // Makes result `number` in `result`, which may hold an earlier one.
  using Maker = std::function<void(uint64_t number, Result& result)>;

  // Makes the results `first` to `end` - 1. Each thread has its own maker.
  OrderedResults(uint64_t first, uint64_t end, int threads, const std::function<Maker()>& new_maker)
      : slots_(static_cast<size_t>(threads) * kSlotsPerThread), end_(end), made_(first), taken_(first) {
    try {
      for (int i = 0; i < threads; ++i) threads_.emplace_back([this, maker = new_maker()] { work(maker); });
    } catch (...) {
      stop();
      throw;
    }
  }
  ~OrderedResults() { stop(); }
  OrderedResults(const OrderedResults&) = delete;
  OrderedResults& operator=(const OrderedResults&) = delete;

  // The next result, valid until the next call; nullptr at the end. Throws what its maker threw.
  Result* next() {
    std::unique_lock<std::mutex> lock(mutex_);
    if (holding_) {
      slot(taken_++).ready = false;
      holding_ = false;
      changed_.notify_all();
    }
    if (taken_ == end_) return nullptr;
    Slot& wanted = slot(taken_);
    changed_.wait(lock, [&] { return wanted.ready; });
    if (wanted.error) std::rethrow_exception(wanted.error);
    holding_ = true;
    return &wanted.result;
  }

 private:
  static constexpr size_t kSlotsPerThread = 4;
  struct Slot {
    Result result;
    std::exception_ptr error;
    bool ready = false;
  };

  Slot& slot(uint64_t number) { return slots_[static_cast<size_t>(number % slots_.size())]; }

  void work(const Maker& maker) {
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return stopping_ || made_ == end_ || made_ < taken_ + slots_.size(); });
      if (stopping_ || made_ == end_) return;
      const uint64_t number = made_++;
      Slot& target = slot(number);
      lock.unlock();
      try {
        maker(number, target.result);
      } catch (...) {
        target.error = std::current_exception();
      }
      lock.lock();
      target.ready = true;
      changed_.notify_all();
    }
  }

  void stop() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  std::vector<Slot> slots_;
  const uint64_t end_;
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t made_;   // the next number to make
  uint64_t taken_;  // the next number to take, or the one that is in use
  bool holding_ = false;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace trainer
