// The ring, the workers and the handover of batches.
#include "data/pipeline.h"

#if defined(__SSE2__)
#include <pmmintrin.h>
#include <xmmintrin.h>
#endif

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace trainer {

namespace {

constexpr int64_t kAlignment = 64;
constexpr int kMostSkippedLines = 10;

int64_t aligned(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

void flush_denormals() {
#if defined(__SSE2__)
  _MM_SET_FLUSH_ZERO_MODE(_MM_FLUSH_ZERO_ON);
  _MM_SET_DENORMALS_ZERO_MODE(_MM_DENORMALS_ZERO_ON);
#endif
}

}  // namespace

Pipeline::Pipeline(std::unique_ptr<BatchFeed> feed, PipelineOptions options)
    : feed_(std::move(feed)), options_(std::move(options)) {
  TRAINER_ASSERT(options_.world >= 1 && options_.rank >= 0 && options_.rank < options_.world);
  if (!feed_->parallel()) options_.workers = 1;
  options_.workers = std::max(1, options_.workers);
  options_.prefetch = std::max(1, options_.prefetch);
  options_.orders.resize(feed_->tops(), MemoryFormat::kRowMajor);
  // Several claims per batch keep all workers on the batch that is needed first.
  const int64_t batch = feed_->batch_size();
  rows_per_claim_ = options_.workers == 1 ? batch : std::max<int64_t>(1, batch / (2 * options_.workers));
  next_layout_.resize(feed_->tops());
}

Pipeline::~Pipeline() {
  stop();
  for (Slot& slot : slots_) {
    for (Memory& memory : slot.memory) options_.memory->release(memory.data);
  }
}

void Pipeline::set_orders(const std::vector<MemoryFormat>& orders) {
  TRAINER_ASSERT(!started() && orders.size() <= feed_->tops());
  std::copy(orders.begin(), orders.end(), options_.orders.begin());
}

void Pipeline::add_label_range(size_t top, const LabelRange& range) {
  TRAINER_ASSERT(!started() && top < feed_->tops());
  labels_.add(top, range);
}

Pipeline::Span Pipeline::numbered_span(uint64_t number) const {
  if (options_.whole_epochs) return span_in_epoch(number);
  const auto world = static_cast<uint64_t>(options_.world), rank = static_cast<uint64_t>(options_.rank);
  const uint64_t own_first = base_ + (rank + world - base_ % world) % world;
  return {own_first + number * static_cast<uint64_t>(feed_->batch_size()) * world, feed_->batch_size()};
}

// The last batch of an epoch has the records that are left.
Pipeline::Span Pipeline::span_in_epoch(uint64_t number) const {
  const auto size = static_cast<uint64_t>(feed_->batch_size());
  const auto records = static_cast<uint64_t>(feed_->records_per_epoch());
  const auto batches = [size](uint64_t count) { return (count + size - 1) / size; };
  uint64_t epoch = base_ / records, first = base_ % records;
  if (const uint64_t left = batches(records - first); number < left) {
    first += number * size;
  } else {
    epoch += 1 + (number - left) / batches(records);
    first = (number - left) % batches(records) * size;
  }
  return {epoch * records + first, static_cast<int64_t>(std::min(size, records - first))};
}

void Pipeline::describe_batch(uint64_t batch, std::vector<TensorDesc>& layout) {
  const Span records = span(batch);
  feed_->shape_batch(records.first, layout);
  for (size_t top = 0; top < layout.size(); ++top) {
    layout[top].shape[0] = records.rows;
    layout[top].dtype = DType::kF32;
    layout[top].order = layout[top].shape.rank() >= 3 ? options_.orders[top] : MemoryFormat::kRowMajor;
  }
}

const std::vector<TensorDesc>& Pipeline::next_batch_descs() {
  if (!started()) {
    describe_batch(0, next_layout_);
    return next_layout_;
  }
  std::unique_lock<std::mutex> lock(state_mutex_);
  wait_for(handed_, false, lock);
  Slot& wanted = slot(handed_);
  if (wanted.error) std::rethrow_exception(wanted.error);
  return wanted.buffer.layout;
}

void Pipeline::start() {
  TRAINER_ASSERT(!started());
  if (slots_.empty()) {
    slots_ = std::vector<Slot>(static_cast<size_t>(options_.prefetch) + 1);
    for (Slot& slot : slots_) {
      slot.buffer.layout.resize(feed_->tops());
      slot.buffer.data.resize(feed_->tops());
      slot.memory.resize(feed_->tops());
    }
    describe_batch(0, next_layout_);
    for (Slot& slot : slots_) {
      slot.buffer.layout = next_layout_;
      reserve(slot);
    }
  }
  while (feed_workers_.size() < static_cast<size_t>(options_.workers)) feed_workers_.push_back(feed_->make_worker());
  try {
    for (auto& worker : feed_workers_) threads_.emplace_back([this, &worker] { work(*worker); });
  } catch (...) {
    stop();
    throw;
  }
}

// Claims a range of the current batch, or of the next one once a slot is free. Returns false if the worker should end.
bool Pipeline::claim(FeedWorker& worker, RowRange& range, Slot*& target) {
  std::lock_guard<std::mutex> claiming(claim_mutex_);
  if (begun_ == 0 || claimed_rows_ == span(begun_ - 1).rows) {
    if (!begin_batch()) return false;
  }
  const uint64_t batch = begun_ - 1;
  const Span records = span(batch);
  target = &slot(batch);
  range.first_row = claimed_rows_;
  range.rows = std::min(rows_per_claim_, records.rows - claimed_rows_);
  range.stride = static_cast<uint64_t>(options_.world);
  range.first_offset = records.first + static_cast<uint64_t>(claimed_rows_) * range.stride;
  {
    std::lock_guard<std::mutex> lock(state_mutex_);
    if (stopping_ || failed_) return false;
    ++target->filling;
    claimed_rows_ += range.rows;
    target->closed = claimed_rows_ == records.rows;
  }
  try {
    worker.claim(range);
  } catch (...) {
    fail(*target, range.first_row, std::current_exception());
    std::lock_guard<std::mutex> lock(state_mutex_);
    --target->filling;
    batch_changed_.notify_all();
    return false;
  }
  return true;
}

// Only the claiming worker changes begun_, so it may read it without the state mutex.
bool Pipeline::begin_batch() {
  {
    std::unique_lock<std::mutex> lock(state_mutex_);
    work_wanted_.wait(lock, [this] { return stopping_ || failed_ || begun_ < released_ + slots_.size(); });
    if (stopping_ || failed_) return false;
  }
  Slot& fresh = slot(begun_);
  fresh.filling = 0;
  fresh.closed = false;
  fresh.error = nullptr;
  fresh.skipped.clear();
  std::exception_ptr error;
  try {
    describe_batch(begun_, fresh.buffer.layout);
    reserve(fresh);
  } catch (...) {
    error = std::current_exception();
  }
  claimed_rows_ = 0;
  {
    std::lock_guard<std::mutex> lock(state_mutex_);
    ++begun_;
  }
  if (error) {
    fail(fresh, 0, error);
    return false;
  }
  batch_changed_.notify_all();
  return true;
}

void Pipeline::reserve(Slot& target) {
  for (size_t top = 0; top < target.memory.size(); ++top) {
    Memory& memory = target.memory[top];
    const int64_t bytes = aligned(std::max<int64_t>(1, target.buffer.layout[top].bytes()));
    if (bytes > memory.capacity) {
      options_.memory->release(memory.data);
      memory.data = nullptr;
      memory.capacity = 0;
      memory.data = options_.memory->allocate(bytes);
      if (memory.data == nullptr) {
        throw device_error("not enough memory for a batch of {}: choose a smaller batch_size", format_bytes(bytes));
      }
      memory.capacity = bytes;
    }
    target.buffer.data[top] = memory.data;
  }
}

void Pipeline::work(FeedWorker& worker) {
  flush_denormals();
  RowRange range;
  Slot* target = nullptr;
  while (claim(worker, range, target)) fill(worker, range, *target);
}

void Pipeline::fill(FeedWorker& worker, const RowRange& range, Slot& target) {
  SkippedRecords skipped;
  int64_t i = 0;
  try {
    for (; i < range.rows; ++i) {
      worker.fill(i, target.buffer, skipped);
      if (!labels_.empty()) labels_.check(target.buffer, range.first_row + i, worker, i);
    }
  } catch (...) {
    fail(target, range.first_row + i, std::current_exception());
  }
  std::unique_lock<std::mutex> lock(state_mutex_);
  target.skipped.insert(target.skipped.end(), skipped.begin(), skipped.end());
  if (target.closed && target.filling == 1 && !target.error) {
    lock.unlock();
    worker.finish(target.buffer, range.batch_offset());
    lock.lock();
  }
  --target.filling;
  if (target.complete()) batch_changed_.notify_all();
}

void Pipeline::fail(Slot& target, int64_t row, std::exception_ptr error) {
  std::lock_guard<std::mutex> lock(state_mutex_);
  if (!target.error || row < target.error_row) {
    target.error = std::move(error);
    target.error_row = row;
  }
  target.closed = true;
  failed_ = true;
  work_wanted_.notify_all();
  batch_changed_.notify_all();
}

void Pipeline::wait_for(uint64_t batch, bool complete, std::unique_lock<std::mutex>& lock) {
  const auto there = [&] { return begun_ > batch && (!complete || slot(batch).complete()); };
  if (there()) return;
  const auto start = std::chrono::steady_clock::now();
  batch_changed_.wait(lock, there);
  waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void Pipeline::await_next() {
  TRAINER_ASSERT(started());
  std::unique_lock<std::mutex> lock(state_mutex_);
  if (released_ < handed_) {
    released_ = handed_;
    work_wanted_.notify_all();
  }
  wait_for(handed_, true, lock);
  if (slot(handed_).error) std::rethrow_exception(slot(handed_).error);
}

const std::vector<void*>& Pipeline::next() {
  TRAINER_ASSERT(!next_is_others());
  await_next();
  std::unique_lock<std::mutex> lock(state_mutex_);
  Slot& ready = slot(handed_);
  ++handed_;
  ++passed_;
  lock.unlock();
  if (!ready.skipped.empty()) report_skipped(ready);
  return ready.buffer.data;
}

void Pipeline::report_skipped(Slot& target) {
  std::sort(target.skipped.begin(), target.skipped.end());
  for (const auto& skipped : target.skipped) {
    ++skipped_records_;
    if (!options_.log || skipped_lines_ > kMostSkippedLines) continue;
    ++skipped_lines_;
    options_.log(skipped_lines_ <= kMostSkippedLines
                     ? fmt::format("Skipped a bad record; using the next good one: {}", skipped.second)
                     : std::string("Skipping more bad records without a line for each"));
  }
}

void Pipeline::pass_over() {
  TRAINER_ASSERT(next_is_others());
  ++passed_;
}

uint64_t Pipeline::position() const {
  if (options_.whole_epochs) return span_in_epoch(passed_).first;
  return base_ + passed_ * static_cast<uint64_t>(feed_->batch_size()) * static_cast<uint64_t>(options_.world);
}

void Pipeline::seek(uint64_t position, const BatchShare& share) {
  TRAINER_ASSERT(share.first < share.every && (share.every == 1 || options_.world == 1));
  const bool running = started();
  stop();
  base_ = position;
  share_ = share;
  begun_ = handed_ = released_ = passed_ = 0;
  claimed_rows_ = 0;
  failed_ = false;
  if (running) start();
}

void Pipeline::stop() {
  {
    std::lock_guard<std::mutex> lock(state_mutex_);
    stopping_ = true;
  }
  work_wanted_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  stopping_ = false;
}

int64_t Pipeline::buffer_bytes() {
  int64_t bytes = 0;
  for (const TensorDesc& top : started() ? next_layout_ : next_batch_descs()) bytes += aligned(top.bytes());
  return bytes * (options_.prefetch + 1) + feed_->memory_bytes();
}

}  // namespace trainer
