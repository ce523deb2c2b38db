// A stream that continues from a cursor gives bit for bit the batches of an uninterrupted one, for any number of
// workers.
#include "data/small_data.h"
#include "formats/hdf5_file.h"

#include <fstream>

namespace trainer {
namespace {

using test::Batch;
using test::options;
using test::take_many;

// 17 batches of 6 out of 20 records: several epochs, which begin and end inside a batch.
void expect_same_after_resume(const caffe::LayerParameter& layer) {
  auto uninterrupted = test::open_stream(layer, options(caffe::TRAIN, 1));
  uninterrupted->start();
  const std::vector<Batch> expected = take_many(*uninterrupted, 17);

  for (const int workers : {2, 5}) {
    auto many_workers = test::open_stream(layer, options(caffe::TRAIN, workers));
    many_workers->start();
    EXPECT_TRUE(take_many(*many_workers, 17) == expected) << workers;
  }

  for (int stop : {0, 1, 5, 9}) {
    auto before = test::open_stream(layer, options(caffe::TRAIN, 2));
    before->start();
    take_many(*before, stop);
    const Cursor cursor = before->cursor();
    EXPECT_EQ(cursor.records, static_cast<uint64_t>(stop) * 6);
    before.reset();

    auto after = test::open_stream(layer, options(caffe::TRAIN, 3));
    after->seek(cursor);
    after->start();
    EXPECT_TRUE(take_many(*after, 17 - stop) == std::vector<Batch>(expected.begin() + stop, expected.end())) << stop;
    // Seeks back while it runs.
    after->seek(cursor);
    EXPECT_TRUE(take_many(*after, 17 - stop) == std::vector<Batch>(expected.begin() + stop, expected.end())) << stop;
  }
}

TEST(Resume, ShuffleCropMirrorOfLmdb) {
  test::TemporaryFolder folder;
  test::write_lmdb(folder / "db", test::raw_records(20, 3, 9, 8));
  expect_same_after_resume(test::data_layer(folder / "db", 6, "shuffle: true", "crop_size: 5 mirror: true scale: 0.1"));
}

TEST(Resume, AugmentedLmdb) {
  test::TemporaryFolder folder;
  test::write_lmdb(folder / "db", test::raw_records(20, 3, 24, 20));
  expect_same_after_resume(test::data_layer(folder / "db", 6, "shuffle: true", test::kEveryStep));
}

TEST(Resume, MixedLmdb) {
  test::TemporaryFolder folder;
  test::write_lmdb(folder / "db", test::raw_records(20, 3, 9, 8));
  expect_same_after_resume(test::data_layer(folder / "db", 6, "shuffle: true",
                                            "crop_size: 5 mix { mixup: 0.4 cutmix: 1 probability: 0.9 classes: 10 }"));
}

TEST(Resume, SampledLmdb) {
  test::TemporaryFolder folder;
  test::write_lmdb(folder / "db", test::raw_records(20, 1, 4, 4));
  expect_same_after_resume(
      test::data_layer(folder / "db", 6, "shuffle: true sampling { class_weight: [1, 2, 3, 0, 5, 6, 7, 8, 9, 1] }"));
}

TEST(Resume, SequentialLmdb) {
  test::TemporaryFolder folder;
  test::write_lmdb(folder / "db", test::raw_records(20, 1, 4, 4));
  expect_same_after_resume(test::data_layer(folder / "db", 6, "", "crop_size: 2 mirror: true"));
}

TEST(Resume, BadRecordsLeftOut) {
  test::TemporaryFolder folder;
  test::Records records = test::raw_records(20, 1, 4, 4);
  for (size_t bad : {0u, 7u, 8u, 19u}) records[bad].second = "no datum";
  test::write_lmdb(folder / "db", records);
  expect_same_after_resume(test::data_layer(folder / "db", 6, "shuffle: true skip_bad_records: true"));
}

TEST(Resume, Hdf5) {
  test::TemporaryFolder folder;
  std::ofstream list(folder / "list.txt");
  for (int f = 0; f < 2; ++f) {
    const std::string path = folder / ("part" + std::to_string(f) + ".h5");
    Hdf5File file = Hdf5File::create(path);
    std::vector<float> values, labels;
    for (int row = 0; row < 10; ++row) {
      for (int i = 0; i < 8; ++i) values.push_back(static_cast<float>(f * 1000 + row * 10 + i));
      labels.push_back(static_cast<float>(f * 10 + row));
    }
    file.write_floats("data", Shape{10, 2, 2, 2}, values.data());
    file.write_floats("label", Shape{10}, labels.data());
    file.close();
    list << path << "\n";
  }
  list.close();
  for (const char* shuffle : {"false", "true"}) {
    expect_same_after_resume(
        test::layer_of("name: 'data' type: 'HDF5Data' top: 'data' top: 'label' hdf5_data_param { "
                       "source: '" +
                       folder / "list.txt" + "' batch_size: 6 shuffle: " + shuffle + " }"));
  }
}

}  // namespace
}  // namespace trainer
