// MemoryData: rows of HDF5 and .npy files.
#include <filesystem>
#include <fstream>
#include <numeric>

#include "data/small_data.h"
#include "formats/hdf5_file.h"
#include "formats/npy_writer.h"

namespace trainer {
namespace {

using test::error_text;
using test::expect_contains;
using test::options;
using test::take_many;

class MemoryData : public testing::Test {
 protected:
  // Values 0, 1, 2, ...; labels 10, 11, ...
  void write(const std::string& name, const Shape& data, const Shape& labels) {
    std::vector<float> values(static_cast<size_t>(data.count())), numbers(static_cast<size_t>(labels.count()));
    std::iota(values.begin(), values.end(), 0.0f);
    std::iota(numbers.begin(), numbers.end(), 10.0f);
    Hdf5File file = Hdf5File::create(folder_ / name);
    file.write_floats("data", data, values.data());
    file.write_floats("label", labels, numbers.data());
    file.close();
  }
  caffe::LayerParameter layer(const std::string& source, int batch, const std::string& shape,
                              const std::string& transform = "") {
    return test::layer_of("name: 'data' type: 'MemoryData' top: 'data' top: 'label' memory_data_param { " +
                          (source.empty() ? "" : "source: '" + folder_ / source + "' ") + "batch_size: " +
                          std::to_string(batch) + " " + shape + " } transform_param { " + transform + " }");
  }
  test::TemporaryFolder folder_;
};

TEST_F(MemoryData, GivesRowsInOrderAndGoesOnFromTheFirst) {
  write("x.h5", Shape{3, 1, 1, 2}, Shape{3});
  std::string warnings;
  auto stream = test::open_stream(layer("x.h5", 2, "channels: 1 height: 1 width: 2", "scale: 2"), options(), &warnings);
  EXPECT_EQ(stream->next_batch_descs()[0].shape, (Shape{2, 1, 1, 2}));
  expect_contains(warnings, {"3 items", "not a multiple of batch_size 2"});
  stream->start();
  const auto batches = take_many(*stream, 2);
  EXPECT_EQ(batches[0].tops[0], (std::vector<float>{0, 2, 4, 6}));
  EXPECT_EQ(batches[1].tops[0], (std::vector<float>{8, 10, 0, 2}));
  EXPECT_EQ(batches[1].tops[1], (std::vector<float>{12, 10}));
}

TEST_F(MemoryData, CropsAndTakesRowsOfAnyRank) {
  write("x.h5", Shape{2, 1, 3, 3}, Shape{2, 1});
  auto stream =
      test::open_stream(layer("x.h5", 2, "channels: 1 height: 1 width: 1", "crop_size: 1"), options(caffe::TEST));
  stream->start();
  EXPECT_EQ(take_many(*stream, 1)[0].tops[0], (std::vector<float>{4, 13}));
  write("rows.h5", Shape{2, 6}, Shape{2});
  auto rows = test::open_stream(layer("rows.h5", 2, "channels: 3 height: 1 width: 2"), options());
  EXPECT_EQ(rows->next_batch_descs()[0].shape, (Shape{2, 3, 1, 2}));
}

TEST_F(MemoryData, NpyHasNoLabels) {
  NpyWriter writer(folder_ / "x.npy", Shape{2, 2});
  const float values[] = {1, 2, 3, 4};
  writer.write(values, 4);
  writer.finish();
  const auto wanted = layer("x.npy", 2, "channels: 2 height: 1 width: 1");
  expect_contains(error_text([&] { test::open_stream(wanted, options()); }),
                  {"has no labels to train on", "trainer convert hdf5 data="});
  StreamOptions looking = options();
  looking.in_order = true;
  EXPECT_EQ(test::open_stream(wanted, looking)->records_per_epoch(), 2);
  std::string warnings;
  auto stream = test::open_stream(wanted, options(caffe::TEST), &warnings);
  expect_contains(warnings, {"has no labels: all are 0"});
  stream->start();
  const auto batch = take_many(*stream, 1)[0];
  EXPECT_EQ(batch.tops[0], (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(batch.tops[1], (std::vector<float>{0, 0}));
}

// The size limit of a blob does not apply to a file.
TEST_F(MemoryData, AFileMayHaveMoreElementsThanABlob) {
  const std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': (3000000, 1000), }\n";
  const std::string path = folder_ / "large.npy";
  std::ofstream(path, std::ios::binary) << "\x93NUMPY\x01" << '\0' << static_cast<char>(header.size()) << '\0'
                                        << header;
  std::filesystem::resize_file(path, 10 + header.size() + 3'000'000'000);
  auto stream = test::open_stream(layer("large.npy", 2, "channels: 1000 height: 1 width: 1"), options(caffe::TEST));
  EXPECT_EQ(stream->next_batch_descs()[0].shape, (Shape{2, 1000, 1, 1}));
  EXPECT_EQ(stream->records_per_epoch(), 3'000'000);
  expect_contains(error_text([&] {
                    test::open_stream(
                        layer("large.npy", 1, "channels: 4294967295 height: 4294967295 width: 4294967295"),
                        options(caffe::TEST));
                  }),
                  {"items of 1000x1x1", "says 4294967295x4294967295x4294967295"});
}

TEST_F(MemoryData, MistakesAreNamed) {
  const auto reason = [&](const caffe::LayerParameter& wrong, ExitCode code = ExitCode::kData) {
    return error_text([&] { test::open_stream(wrong, options()); }, code);
  };
  write("x.h5", Shape{3, 1, 1, 2}, Shape{3});
  write("labels.h5", Shape{3, 1, 1, 2}, Shape{4});
  expect_contains(reason(layer("", 1, "channels: 1 height: 1 width: 2"), ExitCode::kConfiguration),
                  {"memory_data_param.source", "--set 'layer[data].memory_data_param.source=FILE'"});
  expect_contains(reason(layer("x.h5", 1, "channels: 3 height: 1 width: 2")), {"items of 1x1x2", "says 3x1x2"});
  expect_contains(reason(layer("x.h5", 1, "channels: 0 height: 1 width: 2"), ExitCode::kConfiguration),
                  {"channels is 0"});
  expect_contains(reason(layer("labels.h5", 1, "channels: 1 height: 1 width: 2")),
                  {"one label for each of the 3 items"});
  expect_contains(reason(layer("none.h5", 1, "channels: 1 height: 1 width: 2")), {"none.h5", "No such file"});
  auto other = layer("x.h5", 1, "channels: 1 height: 1 width: 2");
  other.set_top(0, "pictures");
  expect_contains(reason(other), {"no dataset \"pictures\"", "data, label"});
}

}  // namespace
}  // namespace trainer
