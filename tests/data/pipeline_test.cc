// The ring and its workers over a test feed.
#include <atomic>
#include <chrono>
#include <thread>

#include "data/pipeline.h"
#include "data/small_data.h"

namespace trainer {
namespace {

// Row values are running offsets. Rows at `bad_offset` and above throw; a claim at `bad_claim` throws.
struct CountingFeed : BatchFeed {
  explicit CountingFeed(int64_t batch) : batch_size_(batch) {}

  struct Worker : FeedWorker {
    explicit Worker(CountingFeed& f) : feed(f) {}
    void claim(const RowRange& rows) override {
      range = rows;
      if (rows.first_offset >= feed.bad_claim) throw data_error("claim {}", rows.first_offset);
    }
    void fill(int64_t i, const BatchBuffer& batch, SkippedRecords&) override {
      ++feed.filled;
      if (feed.slow) std::this_thread::sleep_for(std::chrono::microseconds((range.offset(i) * 7919) % 300));
      if (range.offset(i) >= feed.bad_offset) throw data_error("row {}", range.offset(i));
      *batch.row(0, range.first_row + i) = static_cast<float>(range.offset(i));
    }
    void finish(const BatchBuffer& batch, uint64_t first_offset) override {
      if (!feed.finishes) return;
      const int64_t rows = batch.layout[0].shape[0];
      for (int64_t r = 0; r < rows; ++r) *batch.row(0, r) += 1000.0f * static_cast<float>(first_offset);
    }
    std::string describe(int64_t i) const override { return "row " + std::to_string(range.offset(i)); }
    CountingFeed& feed;
    RowRange range;
  };

  size_t tops() const override { return 1; }
  int64_t batch_size() const override { return batch_size_; }
  int64_t records_per_epoch() const override { return 1000; }
  std::string content() override { return ""; }
  bool parallel() const override { return true; }
  int64_t memory_bytes() const override { return 0; }
  void shape_batch(uint64_t offset, std::vector<TensorDesc>& layout) override {
    if (offset >= bad_shape) throw data_error("shape {}", offset);
    layout[0].shape = Shape{batch_size_};
  }
  std::unique_ptr<FeedWorker> make_worker() override { return std::make_unique<Worker>(*this); }
  std::unique_ptr<StoredReader> make_stored_reader() override { return nullptr; }

  int64_t batch_size_;
  uint64_t bad_offset = ~uint64_t{0}, bad_claim = ~uint64_t{0}, bad_shape = ~uint64_t{0};
  bool slow = false, finishes = false;
  std::atomic<int64_t> filled{0};
};

PipelineOptions with_workers(int workers, int prefetch = 2) {
  PipelineOptions options;
  options.workers = workers;
  options.prefetch = prefetch;
  return options;
}

void expect_batch(Pipeline& pipeline, int64_t batch, int64_t size) {
  const auto* values = static_cast<const float*>(pipeline.next()[0]);
  for (int64_t i = 0; i < size; ++i) ASSERT_EQ(values[i], static_cast<float>(batch * size + i));
}

TEST(Pipeline, OrderUnderManyUnevenWorkers) {
  auto feed = std::make_unique<CountingFeed>(7);
  feed->slow = true;
  Pipeline pipeline(std::move(feed), with_workers(5));
  pipeline.start();
  for (int64_t b = 0; b < 60; ++b) expect_batch(pipeline, b, 7);
  EXPECT_EQ(pipeline.position(), 420u);
  EXPECT_GT(pipeline.waited_seconds(), 0.0);
}

TEST(Pipeline, StopsAtThePrefetchDepthAndShutsDownWhileBlocked) {
  for (int taken : {0, 1, 3}) {
    auto feed = std::make_unique<CountingFeed>(4);
    CountingFeed& seen = *feed;
    auto pipeline = std::make_unique<Pipeline>(std::move(feed), with_workers(3));
    pipeline->start();
    for (int64_t b = 0; b < taken; ++b) expect_batch(*pipeline, b, 4);
    // Two ahead of the batch that the consumer holds; before the first call that slot is free as well.
    const int64_t expected = 4 * (taken == 0 ? 3 : taken + 2);
    for (int i = 0; i < 2000 && seen.filled < expected; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_EQ(seen.filled, expected);
    pipeline.reset();
  }
  // Destroys pipelines that never started or that are still working.
  Pipeline unused(std::make_unique<CountingFeed>(4), with_workers(2));
  for (int i = 0; i < 20; ++i) {
    auto feed = std::make_unique<CountingFeed>(16);
    feed->slow = true;
    Pipeline busy(std::move(feed), with_workers(3));
    busy.start();
    if (i % 2 == 1) busy.next();
  }
}

TEST(Pipeline, TheFirstErrorByPositionComesAfterTheBatchesBefore) {
  for (int workers : {1, 4}) {
    for (int kind = 0; kind < 3; ++kind) {
      auto feed = std::make_unique<CountingFeed>(8);
      feed->slow = true;
      (kind == 0 ? feed->bad_offset : kind == 1 ? feed->bad_claim : feed->bad_shape) = kind == 0 ? 43 : 40;
      Pipeline pipeline(std::move(feed), with_workers(workers, 4));
      pipeline.start();
      for (int64_t b = 0; b < 5; ++b) expect_batch(pipeline, b, 8);
      const std::string expected = kind == 0 ? "row 43" : kind == 1 ? "claim 40" : "shape 40";
      for (int again = 0; again < 2; ++again) {
        EXPECT_EQ(test::error_text([&] { pipeline.next(); }), expected);
      }
      EXPECT_EQ(pipeline.position(), 40u);
      // After a seek the stream works again.
      pipeline.seek(8);
      expect_batch(pipeline, 1, 8);
    }
  }
}

TEST(Pipeline, FinishesEachBatchOnceWhenItsRowsAreThere) {
  for (const int workers : {1, 4}) {
    auto feed = std::make_unique<CountingFeed>(8);
    feed->slow = feed->finishes = true;
    PipelineOptions options = with_workers(workers);
    options.rank = 1;
    options.world = 2;
    Pipeline pipeline(std::move(feed), options);
    pipeline.start();
    for (int64_t b = 0; b < 20; ++b) {
      const auto* values = static_cast<const float*>(pipeline.next()[0]);
      const int64_t first = 1 + 16 * b;
      for (int64_t r = 0; r < 8; ++r) ASSERT_EQ(values[r], static_cast<float>(first + 2 * r + 1000 * first));
    }
  }
}

// Each takes its share, and all together take the batches of one pipeline.
TEST(Pipeline, SharesOfTheBatches) {
  constexpr uint64_t kSharers = 3;
  for (const bool whole_epochs : {false, true}) {
    PipelineOptions options = with_workers(2);
    options.whole_epochs = whole_epochs;
    std::vector<std::unique_ptr<Pipeline>> sharers;
    std::vector<CountingFeed*> feeds;
    for (uint64_t s = 0; s < kSharers; ++s) {
      auto feed = std::make_unique<CountingFeed>(300);  // 1000 records: the last batch of an epoch has 100
      feeds.push_back(feed.get());
      sharers.push_back(std::make_unique<Pipeline>(std::move(feed), options));
      sharers.back()->start();
      sharers.back()->seek(600, {(s + 1) % kSharers, kSharers});
      feeds.back()->filled = 0;
    }
    Pipeline alone(std::make_unique<CountingFeed>(300), options);
    alone.seek(600);
    alone.start();
    for (uint64_t batch = 0; batch < 13; ++batch) {
      const std::vector<TensorDesc> layout = alone.next_batch_descs();
      const auto* expected = static_cast<const float*>(alone.next()[0]);
      for (uint64_t s = 0; s < kSharers; ++s) {
        const bool others = (s + 1) % kSharers != batch % kSharers;
        ASSERT_EQ(sharers[s]->next_is_others(), others);
        if (others) {
          sharers[s]->pass_over();
        } else {
          const int64_t rows = sharers[s]->next_batch_descs()[0].shape[0];
          ASSERT_EQ(rows, layout[0].shape[0]);
          const auto* values = static_cast<const float*>(sharers[s]->next()[0]);
          for (int64_t r = 0; r < rows; ++r) ASSERT_EQ(values[r], expected[r]);
        }
        ASSERT_EQ(sharers[s]->position(), alone.position());
      }
    }
    // No batch is made twice, and none of another share: 5 were taken at most, and 3 are made ahead.
    for (const CountingFeed* feed : feeds) EXPECT_LE(feed->filled, 8 * 300);
  }
}

TEST(Pipeline, SeekWhileRunningAndRanks) {
  PipelineOptions options = with_workers(2);
  options.rank = 2;
  options.world = 3;
  Pipeline pipeline(std::make_unique<CountingFeed>(2), options);
  pipeline.start();
  const float* values = static_cast<const float*>(pipeline.next()[0]);
  EXPECT_EQ(values[0], 2.0f);
  EXPECT_EQ(values[1], 5.0f);
  EXPECT_EQ(pipeline.position(), 6u);
  pipeline.seek(60);
  values = static_cast<const float*>(pipeline.next()[0]);
  EXPECT_EQ(values[0], 62.0f);
  EXPECT_EQ(values[1], 65.0f);
}

// 1,000 records in batches of 300: each epoch ends with a batch of 100.
TEST(Pipeline, WholeEpochsEndWithASmallerBatch) {
  PipelineOptions options = with_workers(3);
  options.whole_epochs = true;
  auto feed = std::make_unique<CountingFeed>(300);
  feed->slow = true;
  Pipeline pipeline(std::move(feed), options);
  pipeline.start();
  const auto expect = [&](int64_t first, int64_t rows) {
    EXPECT_EQ(pipeline.position(), static_cast<uint64_t>(first));
    EXPECT_EQ(pipeline.next_batch_descs()[0].shape, Shape{rows});
    const auto* values = static_cast<const float*>(pipeline.next()[0]);
    for (int64_t i = 0; i < rows; ++i) ASSERT_EQ(values[i], static_cast<float>(first + i));
  };
  for (int64_t epoch = 0; epoch < 2; ++epoch) {
    for (int64_t batch = 0; batch < 4; ++batch) expect(1000 * epoch + 300 * batch, batch < 3 ? 300 : 100);
  }
  pipeline.seek(450);  // inside an epoch
  expect(450, 300);
  expect(750, 250);
  expect(1000, 300);
}

}  // namespace
}  // namespace trainer
