// Worker threads that fill a ring of batch buffers, and the queue that returns the batches in order.
//
// Batch b of the share uses slot b % slots. Workers claim rows of the batches in order under claim_mutex_, fill them
// outside every lock, and report completion under state_mutex_. The worker that fills the last row of a batch finishes
// the batch. The first error by batch and row wins: the batches before it are returned, then it is thrown. All waiting
// uses condition variables.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/host_memory.h"
#include "data/batch_feed.h"
#include "data/label_check.h"

namespace trainer {

struct PipelineOptions {
  int workers = 1;
  int prefetch = 4;  // batches prefetched
  int rank = 0;
  int world = 1;
  bool whole_epochs = false;  // no batch has records of two epochs; for one rank
  std::vector<MemoryFormat> orders;
  HostMemory* memory = &HostMemory::plain();
  LogLine log;
};

class Pipeline {
 public:
  Pipeline(std::unique_ptr<BatchFeed> feed, PipelineOptions options);
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  const BatchFeed& feed() const { return *feed_; }
  BatchFeed& feed() { return *feed_; }
  int workers() const { return options_.workers; }
  bool started() const { return !threads_.empty(); }
  void set_orders(const std::vector<MemoryFormat>& orders);
  void add_label_range(size_t top, const LabelRange& range);
  std::optional<LabelCounts> count_labels(size_t top) { return feed_->count_labels(top); }

  const std::vector<TensorDesc>& next_batch_descs();
  void start();
  // Returns the batch of the last next() and waits for the following one.
  void await_next();
  const std::vector<void*>& next();
  // Whether the next batch is not in the share; pass_over() then steps over it.
  bool next_is_others() const { return passed_ != number(handed_); }
  void pass_over();
  // Records consumed by all that share the batches: the start of the next batch.
  uint64_t position() const;
  // `share`: of the batches from the position on. Only for one rank if it is not all of them.
  void seek(uint64_t position, const BatchShare& share = {});

  double waited_seconds() const { return waited_; }
  int64_t skipped_records() const { return skipped_records_; }
  int64_t buffer_bytes();

 private:
  // Memory for one top; it grows for a larger batch.
  struct Memory {
    void* data = nullptr;
    int64_t capacity = 0;
  };
  struct Slot {
    BatchBuffer buffer;
    std::vector<Memory> memory;
    int filling = 0;      // claimed ranges not yet filled
    bool closed = false;  // no more rows will be claimed
    std::exception_ptr error;
    int64_t error_row = 0;
    SkippedRecords skipped;

    bool complete() const { return closed && filling == 0; }
  };

  Slot& slot(uint64_t batch) { return slots_[static_cast<size_t>(batch % slots_.size())]; }
  // The records of a batch: `rows` from the offset `first`, `world` apart.
  struct Span {
    uint64_t first = 0;
    int64_t rows = 0;
  };
  // The number, from base_ on, of a batch of the share.
  uint64_t number(uint64_t batch) const { return share_.first + batch * share_.every; }
  // Of a batch of the share.
  Span span(uint64_t batch) const { return numbered_span(number(batch)); }
  Span numbered_span(uint64_t number) const;
  Span span_in_epoch(uint64_t number) const;
  void describe_batch(uint64_t batch, std::vector<TensorDesc>& layout);
  void work(FeedWorker& worker);
  bool claim(FeedWorker& worker, RowRange& range, Slot*& target);
  bool begin_batch();
  void fill(FeedWorker& worker, const RowRange& range, Slot& target);
  void fail(Slot& target, int64_t row, std::exception_ptr error);
  void reserve(Slot& target);
  // Waits until `batch` has begun, or is complete.
  void wait_for(uint64_t batch, bool complete, std::unique_lock<std::mutex>& lock);
  void report_skipped(Slot& target);
  void stop();

  std::unique_ptr<BatchFeed> feed_;
  PipelineOptions options_;
  LabelCheck labels_;
  int64_t rows_per_claim_ = 1;
  uint64_t base_ = 0;    // position at which batch number 0 begins
  BatchShare share_;     // of the batches from base_ on
  uint64_t passed_ = 0;  // batches from base_ on that were handed out or passed over
  std::vector<std::thread> threads_;
  std::vector<std::unique_ptr<FeedWorker>> feed_workers_;
  std::vector<Slot> slots_;
  std::vector<TensorDesc> next_layout_;  // of batch 0, as seen before start()

  std::mutex claim_mutex_;
  int64_t claimed_rows_ = 0;  // of batch begun_ - 1; guarded by claim_mutex_

  std::mutex state_mutex_;
  std::condition_variable work_wanted_;    // a slot is free, or stop
  std::condition_variable batch_changed_;  // a batch is begun or complete
  uint64_t begun_ = 0;                     // batches whose rows are being claimed or have been
  uint64_t handed_ = 0;                    // batches handed out
  uint64_t released_ = 0;                  // batches returned
  bool stopping_ = false;
  bool failed_ = false;  // no more rows may be claimed

  double waited_ = 0.0;
  int64_t skipped_records_ = 0;
  int skipped_lines_ = 0;
};

}  // namespace trainer
