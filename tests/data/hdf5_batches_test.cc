// HDF5Data layers: datasets by name, batches across files, integers, shuffling, invalid files.
#include <hdf5.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "data/feeds/hdf5_rows.h"
#include "data/small_data.h"
#include "formats/hdf5_file.h"
#include "formats/sparse_dataset.h"

namespace trainer {
namespace {

using test::error_text;
using test::expect_contains;
using test::options;
using test::take_many;

caffe::LayerParameter hdf5_layer(const std::string& list, int batch_size, const std::string& more = "") {
  return test::layer_of("name: 'data' type: 'HDF5Data' top: 'data' top: 'label' hdf5_data_param { source: '" + list +
                        "' batch_size: " + std::to_string(batch_size) + " } " + more);
}

// Element p of row r of `data` is 100 * id + r + p, and label is id + r (an integer).
void write_file(const std::string& path, int id, int rows, const Shape& row) {
  Hdf5File file = Hdf5File::create(path);
  std::vector<float> data;
  std::vector<int32_t> labels;
  for (int r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < row.count(); ++i)
      data.push_back(static_cast<float>(100 * id + r) + 0.01f * static_cast<float>(i));
    labels.push_back(id + r);
  }
  std::vector<int64_t> dims{rows};
  dims.insert(dims.end(), row.dims().begin(), row.dims().end());
  file.write_floats("data", Shape(dims), data.data());
  file.write_ints("label", Shape{rows}, labels.data());
  file.close();
}

class Hdf5Batches : public testing::Test {
 protected:
  void write_list(const std::vector<std::string>& names) {
    std::ofstream out(folder_ / "list.txt");
    for (const std::string& name : names) out << folder_ / name << "\n";
  }
  std::string open_error(const std::string& more = "", ExitCode code = ExitCode::kData) {
    return error_text([&] { test::open_stream(hdf5_layer(folder_ / "list.txt", 2, more), options()); }, code);
  }
  test::TemporaryFolder folder_;
};

// Each file is a block. Those in which a rank has no row are not opened again.
TEST_F(Hdf5Batches, BlocksOfOtherRanksAreNotRead) {
  std::vector<std::string> names;
  for (int id = 0; id < 6; ++id) {
    names.push_back(std::to_string(id) + ".h5");
    write_file(folder_ / names.back(), id, 2, Shape{3});
  }
  write_list(names);
  for (const uint64_t rank : {0u, 2u, 3u}) {
    Hdf5Rows rows(folder_ / "list.txt", {"data", "label"}, false, 0);
    const auto move = [&](const std::string& from, const std::string& to) {
      for (uint64_t id = 0; id < 6; ++id) {
        if (id % 2 != rank / 2) std::filesystem::rename(folder_ / (names[id] + from), folder_ / (names[id] + to));
      }
    };
    move("", ".away");
    for (uint64_t offset = rank; offset < 24; offset += 4) {
      rows.fetch(offset, 4);
      const uint64_t row = offset % 12, half = row / 2;
      EXPECT_EQ(*rows.row(1), static_cast<float>(half + row % 2)) << offset;
      EXPECT_EQ(*rows.row(0), static_cast<float>(100 * half + row % 2)) << offset;
    }
    move(".away", "");
  }
}

TEST_F(Hdf5Batches, StraddleFilesAndEpochs) {
  write_file(folder_ / "a.h5", 0, 3, Shape{2, 2, 3});
  write_file(folder_ / "b.h5", 1, 4, Shape{2, 2, 3});
  write_list({"a.h5", "b.h5"});
  auto stream = test::open_stream(hdf5_layer(folder_ / "list.txt", 5), options());
  EXPECT_EQ(stream->records_per_epoch(), 7);
  EXPECT_EQ(stream->workers(), 1);
  EXPECT_EQ(stream->next_batch_descs()[0].shape, (Shape{5, 2, 2, 3}));
  EXPECT_EQ(stream->next_batch_descs()[1].shape, (Shape{5}));
  stream->set_orders({MemoryFormat::kChannelsLast});
  stream->start();
  int record = 0;
  for (const test::Batch& batch : take_many(*stream, 6)) {
    for (size_t n = 0; n < 5; ++n, ++record) {
      const int in_epoch = record % 7, id = in_epoch < 3 ? 0 : 1, row = in_epoch < 3 ? in_epoch : in_epoch - 3;
      EXPECT_EQ(batch.tops[1][n], static_cast<float>(id + row));
      for (size_t i = 0; i < 6; ++i) {
        for (size_t c = 0; c < 2; ++c) {
          ASSERT_EQ(batch.tops[0][n * 12 + i * 2 + c],
                    static_cast<float>(100 * id + row) + 0.01f * static_cast<float>(c * 6 + i));
        }
      }
    }
  }
}

TEST_F(Hdf5Batches, RanksTakeEverySecondRow) {
  write_file(folder_ / "a.h5", 0, 5, Shape{1});
  StreamOptions second = options();
  second.rank = 1;
  second.world = 2;
  auto stream = test::open_stream(hdf5_layer(folder_ / "a.h5", 4), second);  // without a list
  stream->start();
  EXPECT_EQ(take_many(*stream, 1)[0].tops[1], (std::vector<float>{1, 3, 0, 2}));
}

// With memory for a few rows only, an epoch still has every row once, and distant rows meet.
TEST_F(Hdf5Batches, ShuffleInLittleMemoryIsAPermutation) {
  write_file(folder_ / "a.h5", 0, 40, Shape{3});
  write_file(folder_ / "b.h5", 1, 37, Shape{3});
  write_list({"a.h5", "b.h5"});
  Hdf5Memory memory;
  memory.block_bytes = 4 * 12;   // 4 rows
  memory.group_bytes = 16 * 12;  // 16 rows
  memory.whole_bytes = 0;
  Hdf5Rows rows(folder_ / "list.txt", {"data"}, true, 5, memory);
  std::set<std::vector<float>> orders;
  for (uint64_t epoch = 0; epoch < 3; ++epoch) {
    std::vector<float> order;
    for (uint64_t i = 0; i < 77; ++i) {
      rows.fetch(epoch * 77 + i);
      order.push_back(rows.row(0)[0]);
    }
    orders.insert(order);
    int near = 0;
    for (size_t i = 1; i < 77; ++i) near += std::abs(order[i] - order[i - 1]) < 4.0f;
    EXPECT_LT(near, 50);
    std::sort(order.begin(), order.end());
    for (int i = 0; i < 77; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], static_cast<float>(i < 40 ? i : 60 + i));
  }
  EXPECT_EQ(orders.size(), 3u);
  // Seeking back to any position gives the same row, from a new object too.
  Hdf5Rows again(folder_ / "list.txt", {"data"}, true, 5, memory);
  for (uint64_t offset : {200u, 3u, 76u, 77u, 150u}) {
    rows.fetch(offset);
    again.fetch(offset);
    EXPECT_EQ(rows.row(0)[0], again.row(0)[0]);
    EXPECT_EQ(rows.describe(), again.describe());
  }
}

TEST_F(Hdf5Batches, LabelOutOfRangeNamesFileAndRow) {
  write_file(folder_ / "a.h5", 0, 5, Shape{1});
  write_file(folder_ / "b.h5", 4, 5, Shape{1});
  write_list({"a.h5", "b.h5"});
  auto stream = test::open_stream(hdf5_layer(folder_ / "list.txt", 2), options());
  stream->add_label_range(1, {7, std::nullopt, "layer 'accuracy' (Accuracy)"});
  stream->start();
  take_many(*stream, 4);
  // Labels 0 1 2 3 4, then 4 5 6 7: the fourth row of b.h5 is too large.
  expect_contains(error_text([&] { stream->next(); }), {"row 3 of " + folder_ / "b.h5", "its label is 7",
                                                        "layer 'accuracy' (Accuracy) expects labels 0 to 6"});
}

TEST_F(Hdf5Batches, LabelBetweenTwoClassesIsRefused) {
  const std::vector<float> numbers{0, 1, 2.5f};
  Hdf5File file = Hdf5File::create(folder_ / "a.h5");
  file.write_floats("data", Shape{3, 1}, numbers.data());
  file.write_floats("label", Shape{3}, numbers.data());
  file.close();
  write_list({"a.h5"});
  auto stream = test::open_stream(hdf5_layer(folder_ / "list.txt", 3), options());
  stream->add_label_range(1, {7, std::nullopt, "layer 'accuracy' (Accuracy)"});
  stream->start();
  expect_contains(error_text([&] { stream->next(); }),
                  {"row 2 of " + folder_ / "a.h5", "its label is 2.5", "whole numbers"});
}

// Soft labels of 3 classes, (rows, 3, 1, 2): the weights of a place are 2 values apart.
TEST_F(Hdf5Batches, WrongSoftLabelsAreRefused) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> good = {0.25f, 0, 0.5f, 0, 0.25f, 0};
  const auto message = [&](size_t at, float value) {
    std::vector<float> labels = good;
    labels.insert(labels.end(), good.begin(), good.end());
    labels[6 + at] = value;
    Hdf5File file = Hdf5File::create(folder_ / "a.h5");
    file.write_floats("data", Shape{2, 3, 1, 2}, labels.data());
    file.write_floats("label", Shape{2, 3, 1, 2}, labels.data());
    file.close();
    write_list({"a.h5"});
    std::string text;
    for (const MemoryFormat order : {MemoryFormat::kRowMajor, MemoryFormat::kChannelsLast}) {
      auto stream = test::open_stream(hdf5_layer(folder_ / "list.txt", 2), options());
      stream->set_orders({order, order});
      stream->add_label_range(1, {3, std::nullopt, "layer 'loss' (SoftmaxWithLoss)", 1});
      stream->start();
      try {
        stream->next();
        text += "accepted";
      } catch (const Error& error) {
        text += error.what();
      }
      text += "\n";
    }
    return text;
  };
  EXPECT_EQ(message(2, 0.505f), "accepted\naccepted\n");
  const std::string record = "layer \"data\" (HDF5Data): row 1 of " + folder_ / "a.h5: ";
  const auto twice = [&](const std::string& text) { return record + text + "\n" + record + text + "\n"; };
  EXPECT_EQ(message(3, 0.5f), twice("its 3 weights sum to 0.5, but layer 'loss' (SoftmaxWithLoss) expects soft labels "
                                    "that sum to 1. Divide them by their sum; weights of 0 ignore an item"));
  expect_contains(message(4, -0.25f), {"the weight of class 2 is -0.25, but layer 'loss'"});
  expect_contains(message(0, nan), {"the weight of class 0 is nan"});
  expect_contains(message(0, -1 / 0.0f), {"the weight of class 0 is -inf"});
}

// As h5py's resize() leaves a file: 9 rows declared, 4 written.
TEST_F(Hdf5Batches, RowsThatWereNotWrittenAreRefused) {
  const hsize_t rows = 4, claimed = 9, chunk = 2, most = H5S_UNLIMITED;
  const float values[4] = {1, 2, 3, 4};
  const hid_t file = H5Fcreate((folder_ / "a.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const hid_t space = H5Screate_simple(1, &rows, &most), creation = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(creation, 1, &chunk);
  for (const char* name : {"data", "label"}) {
    const hid_t dataset = H5Dcreate2(file, name, H5T_NATIVE_FLOAT, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    ASSERT_GE(H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), 0);
    if (name[0] == 'd') H5Dset_extent(dataset, &claimed);
    H5Dclose(dataset);
  }
  H5Pclose(creation);
  H5Sclose(space);
  H5Fclose(file);
  write_list({"a.h5"});
  expect_contains(open_error(), {"a.h5: dataset \"data\" (9) is incomplete: of its 5 chunks it stores only 2"});
}

TEST_F(Hdf5Batches, WrongFiles) {
  expect_contains(open_error(), {"layer \"data\" (HDF5Data)", "there is no file " + folder_ / "list.txt"});
  write_list({});
  expect_contains(open_error(), {"is empty"});
  write_list({"missing.h5"});
  expect_contains(open_error(), {"missing.h5"});
  write_file(folder_ / "a.h5", 0, 3, Shape{2});
  write_file(folder_ / "b.h5", 0, 3, Shape{3});
  write_list({"a.h5", "b.h5"});
  expect_contains(open_error(), {"rows of dataset 'data' are 3", "b.h5 but 2 in"});
  {
    Hdf5File file = Hdf5File::create(folder_ / "c.h5");
    const float values[4] = {};
    file.write_floats("data", Shape{2, 2}, values);
    file.write_floats("labels", Shape{4}, values);
    file.close();
  }
  write_list({"c.h5"});
  expect_contains(open_error(), {"has no dataset 'label'", "did you mean 'labels'?"});
  {
    Hdf5File file = Hdf5File::create(folder_ / "d.h5");
    const float values[4] = {};
    file.write_floats("data", Shape{2, 2}, values);
    file.write_floats("label", Shape{4}, values);
    file.close();
  }
  write_list({"d.h5"});
  expect_contains(open_error(), {"have 2 and 4 rows"});
  write_list({"a.h5"});
  expect_contains(open_error("transform_param { scale: 2 }", ExitCode::kConfiguration),
                  {"HDF5Data does not transform data"});
}

// A file may have more elements than a blob: rows are read one by one.
TEST_F(Hdf5Batches, ReadsFilesOfMoreElementsThanABlob) {
  Hdf5File::create(folder_ / "large.h5").close();
  add_sparse_dataset(folder_ / "large.h5", "data", {3'000'000, 1000});
  add_sparse_dataset(folder_ / "large.h5", "label", {3'000'000});
  write_list({"large.h5"});
  auto stream = test::open_stream(hdf5_layer(folder_ / "list.txt", 2), options());
  stream->start();
  EXPECT_EQ(stream->records_per_epoch(), 3'000'000);
  EXPECT_EQ(take_many(*stream, 1)[0].tops[0], std::vector<float>(2000, 0.0f));
}

}  // namespace
}  // namespace trainer
