// Data layers over raw records: content by the documented formula, order, epochs, ranks.
#include <algorithm>
#include <chrono>
#include <set>
#include <thread>

#include "data/small_data.h"
#include "formats/mean_file.h"

namespace trainer {
namespace {

using test::data_layer;
using test::options;
using test::pixel;
using test::take_many;

TEST(DatumBatches, ScaleAndMeanValuesInKeyOrderAcrossEpochs) {
  test::TemporaryFolder folder;
  test::write_lmdb(folder / "db", test::raw_records(5, 3, 4, 6));
  auto stream = test::open_stream(
      data_layer(folder / "db", 3, "", "scale: 0.5 mean_value: 10 mean_value: 20 mean_value: 30"), options());
  EXPECT_EQ(stream->records_per_epoch(), 5);
  EXPECT_EQ(stream->batch_size(), 3);
  const std::vector<TensorDesc> layout = stream->next_batch_descs();
  ASSERT_EQ(layout.size(), 2u);
  EXPECT_EQ(layout[0].shape, (Shape{3, 3, 4, 6}));
  EXPECT_EQ(layout[1].shape, (Shape{3}));
  stream->start();
  int record = 0;
  for (const test::Batch& batch : take_many(*stream, 4)) {
    size_t at = 0;
    for (int n = 0; n < 3; ++n, ++record) {
      EXPECT_EQ(batch.tops[1][static_cast<size_t>(n)], static_cast<float>(record % 5));
      for (int c = 0; c < 3; ++c) {
        for (int h = 0; h < 4; ++h) {
          for (int w = 0; w < 6; ++w) {
            const float value = static_cast<float>(pixel(record % 5, c, h, w));
            ASSERT_EQ(batch.tops[0][at++], (value - 10.0f * static_cast<float>(c + 1)) * 0.5f);
          }
        }
      }
    }
  }
  EXPECT_EQ(stream->cursor().records, 12u);
  EXPECT_EQ(stream->cursor().epoch, 2u);
}

TEST(DatumBatches, CentreCropOfTestPhaseWithMeanFileInChannelsLast) {
  test::TemporaryFolder folder;
  test::write_lmdb(folder / "db", test::raw_records(4, 2, 7, 6));
  MeanImage mean;
  mean.shape = Shape{2, 7, 6};
  for (int i = 0; i < 84; ++i) mean.data.push_back(static_cast<float>(i) * 0.25f);
  write_mean_file(folder / "mean.binaryproto", mean);
  auto stream = test::open_stream(
      data_layer(folder / "db", 4, "", "crop_size: 4 mean_file: '" + folder / "mean.binaryproto" + "'"),
      options(caffe::TEST));
  stream->set_orders({MemoryFormat::kChannelsLast, MemoryFormat::kChannelsLast});
  EXPECT_EQ(stream->next_batch_descs()[0].order, MemoryFormat::kChannelsLast);
  EXPECT_EQ(stream->next_batch_descs()[1].order, MemoryFormat::kRowMajor);
  stream->start();
  const test::Batch batch = take_many(*stream, 1)[0];
  // Offsets (7 - 4) / 2 = 1 and (6 - 4) / 2 = 1.
  size_t at = 0;
  for (int n = 0; n < 4; ++n) {
    for (int h = 0; h < 4; ++h) {
      for (int w = 0; w < 4; ++w) {
        for (int c = 0; c < 2; ++c) {
          const float average = static_cast<float>((c * 7 + h + 1) * 6 + w + 1) * 0.25f;
          ASSERT_EQ(batch.tops[0][at++], static_cast<float>(pixel(n, c, h + 1, w + 1)) - average);
        }
      }
    }
  }
}

TEST(DatumBatches, FloatRecordsAndOneTop) {
  test::TemporaryFolder folder;
  caffe::Datum datum;
  datum.set_channels(1);
  datum.set_height(2);
  datum.set_width(2);
  for (float value : {0.5f, -1.5f, 1e6f, 0.0f}) datum.add_float_data(value);
  test::write_lmdb(folder / "db", {{"a", datum.SerializeAsString()}});
  caffe::LayerParameter layer = data_layer(folder / "db", 2, "", "scale: 2");
  layer.mutable_top()->RemoveLast();
  auto stream = test::open_stream(layer, options());
  stream->start();
  const test::Batch batch = take_many(*stream, 1)[0];
  ASSERT_EQ(batch.tops.size(), 1u);
  EXPECT_EQ(batch.tops[0], (std::vector<float>{1, -3, 2e6f, 0, 1, -3, 2e6f, 0}));
}

// Every row of a cropped and mirrored batch is one of the 2 * 3 * 3 windows of its record, and each window occurs.
TEST(DatumBatches, RandomCropAndMirrorCoverAllWindows) {
  test::TemporaryFolder folder;
  test::write_lmdb(folder / "db", test::raw_records(4, 1, 5, 5));
  auto stream = test::open_stream(data_layer(folder / "db", 4, "", "crop_size: 3 mirror: true"), options());
  stream->start();
  std::set<int> seen;
  for (const test::Batch& batch : take_many(*stream, 100)) {
    for (int n = 0; n < 4; ++n) {
      const float* row = batch.tops[0].data() + n * 9;
      int matches = 0;
      for (int window = 0; window < 18; ++window) {
        const int flip = window / 9, top = window % 9 / 3, left = window % 3;
        bool equal = true;
        for (int h = 0; h < 3; ++h) {
          for (int w = 0; w < 3; ++w) {
            const int out_w = flip ? 2 - w : w;
            equal = equal && row[h * 3 + out_w] == static_cast<float>(pixel(n, 0, top + h, left + w));
          }
        }
        if (equal) {
          ++matches;
          seen.insert(window);
        }
      }
      ASSERT_EQ(matches, 1);
    }
  }
  EXPECT_EQ(seen.size(), 18u);
}

TEST(DatumBatches, MirrorIsRandomInTestPhaseToo) {
  test::TemporaryFolder folder;
  test::write_lmdb(folder / "db", test::raw_records(1, 1, 1, 2));
  auto stream = test::open_stream(data_layer(folder / "db", 64, "", "mirror: true"), options(caffe::TEST));
  stream->start();
  const test::Batch batch = take_many(*stream, 1)[0];
  int mirrored = 0;
  for (size_t n = 0; n < 64; ++n) mirrored += batch.tops[0][2 * n] == static_cast<float>(pixel(0, 0, 0, 1));
  EXPECT_GT(mirrored, 16);
  EXPECT_LT(mirrored, 48);
}

TEST(DatumBatches, ShuffleIsAFreshPermutationEveryEpoch) {
  test::TemporaryFolder folder;
  test::Records records;
  for (int i = 0; i < 12; ++i) records.emplace_back(test::key(i), test::raw_datum(i, 1, 1, 1, i));
  test::write_lmdb(folder / "db", records);
  auto stream = test::open_stream(data_layer(folder / "db", 4, "shuffle: true"), options());
  stream->start();
  std::set<std::vector<float>> orders;
  for (int epoch = 0; epoch < 5; ++epoch) {
    std::vector<float> order;
    for (const test::Batch& batch : take_many(*stream, 3)) {
      for (size_t n = 0; n < 4; ++n) {
        order.push_back(batch.tops[1][n]);
        EXPECT_EQ(batch.tops[0][n], static_cast<float>(pixel(static_cast<int>(order.back()), 0, 0, 0)));
      }
    }
    orders.insert(order);
    std::sort(order.begin(), order.end());
    for (size_t i = 0; i < 12; ++i) EXPECT_EQ(order[i], static_cast<float>(i));
  }
  EXPECT_EQ(orders.size(), 5u);
}

TEST(DatumBatches, RanksShareTheRunningOffsetsOfTrainOnly) {
  test::TemporaryFolder folder;
  test::write_lmdb(folder / "db", test::raw_records(5, 1, 1, 1));
  for (int rank = 0; rank < 2; ++rank) {
    StreamOptions shared = options();
    shared.rank = rank;
    shared.world = 2;
    auto stream = test::open_stream(data_layer(folder / "db", 3), shared);
    stream->start();
    std::vector<float> labels;
    for (const test::Batch& batch : take_many(*stream, 2)) {
      labels.insert(labels.end(), batch.tops[1].begin(), batch.tops[1].end());
    }
    // Offsets 0 2 4 6 8 10 and 1 3 5 7 9 11, each modulo 5.
    EXPECT_EQ(labels, rank == 0 ? (std::vector<float>{0, 2, 4, 1, 3, 0}) : (std::vector<float>{1, 3, 0, 2, 4, 1}));
    EXPECT_EQ(stream->cursor().records, 12u);
    shared.phase = caffe::TEST;
    auto test_stream = test::open_stream(data_layer(folder / "db", 3), shared);
    test_stream->start();
    EXPECT_EQ(take_many(*test_stream, 1)[0].tops[1], (std::vector<float>{0, 1, 2}));
  }
}

TEST(DatumBatches, BatchesOfOneMayChangeTheirSize) {
  test::TemporaryFolder folder;
  test::write_lmdb(folder / "db", {{"a", test::raw_datum(0, 1, 2, 3, 0)}, {"b", test::raw_datum(1, 1, 9, 8, 1)}});
  auto stream = test::open_stream(data_layer(folder / "db", 1), options());
  stream->start();
  for (int i = 0; i < 6; ++i) {
    const std::vector<TensorDesc> layout = stream->next_batch_descs();
    EXPECT_EQ(layout[0].shape, i % 2 == 0 ? (Shape{1, 1, 2, 3}) : (Shape{1, 1, 9, 8}));
    const test::Batch batch = test::take(*stream, layout);
    EXPECT_EQ(batch.tops[0].back(), static_cast<float>(i % 2 == 0 ? pixel(0, 0, 1, 2) : pixel(1, 0, 8, 7)));
  }
}

TEST(DatumBatches, BuffersAreAlignedAndStayUntilTheNextCall) {
  test::TemporaryFolder folder;
  test::write_lmdb(folder / "db", test::raw_records(10, 1, 3, 3));
  auto stream = test::open_stream(data_layer(folder / "db", 2, "prefetch: 1"), options());
  stream->start();
  for (int i = 0; i < 20; ++i) {
    const std::vector<void*> buffers = stream->next();
    for (void* buffer : buffers) EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer) % 64, 0u);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_EQ(static_cast<float*>(buffers[1])[0], static_cast<float>(i * 2 % 10));
  }
}

TEST(DatumBatches, SaysWhatHasNoEffect) {
  test::TemporaryFolder folder;
  test::write_lmdb(folder / "db", test::raw_records(2, 1, 2, 2));
  std::string warnings;
  test::open_stream(data_layer(folder / "db", 1, "scale: 0.1 mirror: true rand_skip: 3", "force_color: true"),
                    options(), &warnings);
  test::expect_contains(warnings, {"data_param.scale has no effect", "transform_param.scale", "data_param.mirror",
                                   "rand_skip", "those of " + folder / "db" + " are raw"});
}

// One for each core that the scheduler, the control groups and OMP_NUM_THREADS allow.
TEST(DatumBatches, WorkersFollowTheGrantedCores) {
  test::TemporaryFolder folder;
  test::write_lmdb(folder / "db", test::raw_records(10, 1, 2, 2));
  const auto workers = [&] {
    return test::open_stream(test::data_layer(folder / "db", 2), options(caffe::TRAIN, 0))->workers();
  };
  setenv("OMP_NUM_THREADS", "4", 1);
  EXPECT_EQ(workers(), 4);
  setenv("OMP_NUM_THREADS", "1", 1);
  EXPECT_EQ(workers(), 1);
  unsetenv("OMP_NUM_THREADS");
}

}  // namespace
}  // namespace trainer
