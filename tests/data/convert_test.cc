// Conversions, read back with the libraries and through the layers.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "data/convert/convert.h"
#include "data/records/lmdb_source.h"
#include "data/records/lmdb_writer.h"
#include "data/small_data.h"
#include "formats/hdf5_file.h"

namespace trainer {
namespace {

using test::error_text;
using test::expect_contains;

std::string big_endian(uint32_t value) {
  std::string bytes;
  for (int shift : {24, 16, 8, 0}) bytes.push_back(static_cast<char>(value >> shift & 0xFF));
  return bytes;
}

void write_text(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

// 3 pictures of 2 x 2 whose bytes count up, labels 7 8 9.
void write_idx(const test::TemporaryFolder& folder) {
  std::string pixels;
  for (int i = 0; i < 12; ++i) pixels.push_back(static_cast<char>(i + 100));
  write_text(folder / "images", big_endian(0x803) + big_endian(3) + big_endian(2) + big_endian(2) + pixels);
  write_text(folder / "labels", big_endian(0x801) + big_endian(3) + "\x07\x08\x09");
}

TEST(ConvertIdx, MakesTheRecordsOfCaffesExample) {
  test::TemporaryFolder folder;
  write_idx(folder);
  EXPECT_EQ(convert_idx({folder / "images", folder / "labels", folder / "db/"}), 3);
  LmdbSource source(folder / "db");
  ASSERT_EQ(source.size(), 3u);
  for (int i = 0; i < 3; ++i) {
    Record record;
    source.read(static_cast<uint64_t>(i), record);
    EXPECT_EQ(record.key, test::key(i));
    caffe::Datum datum;
    ASSERT_TRUE(datum.ParseFromArray(record.value.data(), static_cast<int>(record.value.size())));
    EXPECT_EQ(datum.channels(), 1);
    EXPECT_EQ(datum.height(), 2);
    EXPECT_EQ(datum.width(), 2);
    EXPECT_EQ(datum.label(), 7 + i);
    EXPECT_FALSE(datum.encoded());
    std::string expected;
    for (int p = 0; p < 4; ++p) expected.push_back(static_cast<char>(100 + 4 * i + p));
    EXPECT_EQ(datum.data(), expected);
  }
  expect_contains(error_text([&] {
                    convert_idx({folder / "images", folder / "labels", folder / "db"});
                  }),
                  {folder / "db" + " exists already"});
}

TEST(ConvertIdx, WrongInputLeavesNothingBehind) {
  test::TemporaryFolder folder;
  write_idx(folder);
  expect_contains(error_text([&] {
                    convert_idx({folder / "labels", folder / "images", folder / "db"});
                  }),
                  {"labels swapped?"});
  write_text(folder / "two", big_endian(0x801) + big_endian(2) + "\x07\x08");
  expect_contains(error_text([&] {
                    convert_idx({folder / "images", folder / "two", folder / "db"});
                  }),
                  {"3 images", "2 labels"});
  int entries = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "")) {
    ++entries;
    EXPECT_EQ(entry.path().string().find("part"), std::string::npos);
  }
  EXPECT_EQ(entries, 3);
}

// Sets the umask of the process during its lifetime.
class Mask {
 public:
  explicit Mask(mode_t mask) : before_(::umask(mask)) {}
  ~Mask() { ::umask(before_); }
  Mask(const Mask&) = delete;
  Mask& operator=(const Mask&) = delete;

 private:
  mode_t before_;
};

TEST(LmdbWriter, ObeysTheUsersMask) {
  test::TemporaryFolder folder;
  const auto mode = [](const std::string& path) {
    struct stat status {};
    ::stat(path.c_str(), &status);
    return status.st_mode & 0777;
  };
  for (const mode_t mask : {077, 022, 002}) {
    const Mask set(mask);
    const std::string path = folder / std::to_string(mask);
    LmdbWriter writer(path);
    writer.put("key", "value");
    writer.finish();
    EXPECT_EQ(mode(path), 0777u & ~mask);
    EXPECT_EQ(mode(path + "/data.mdb"), 0666u & ~mask);
  }
}

TEST(LmdbWriter, RemovesWhatAKilledOneLeft) {
  test::TemporaryFolder folder;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    LmdbWriter writer(folder / "db");
    ::kill(::getpid(), SIGKILL);
  }
  ::waitpid(child, nullptr, 0);
  const auto entries = [&] { return std::distance(std::filesystem::directory_iterator(folder / ""), {}); };
  EXPECT_EQ(entries(), 1);
  LmdbWriter alive(folder / "db");
  EXPECT_EQ(entries(), 1);
  LmdbWriter beside(folder / "db");
  EXPECT_EQ(entries(), 2);
}

TEST(LmdbWriter, GrowsItsMap) {
  test::TemporaryFolder folder;
  {
    LmdbWriter writer(folder / "db", 64 << 10);
    for (int i = 0; i < 2500; ++i) writer.put(test::key(i), std::string(700, static_cast<char>('a' + i % 26)));
    writer.finish();
  }
  LmdbSource source(folder / "db");
  ASSERT_EQ(source.size(), 2500u);
  Record record;
  source.read(2499, record);
  EXPECT_EQ(record.key, "00002499");
  EXPECT_EQ(record.value, std::string(700, static_cast<char>('a' + 2499 % 26)));
}

// A version 1.0 .npy file of little-endian float64.
void write_npy(const std::string& path, const std::string& shape, const std::vector<double>& values) {
  std::string header = "{'descr': '<f8', 'fortran_order': False, 'shape': " + shape + ", }";
  header += std::string(64 - (10 + header.size() + 1) % 64, ' ') + "\n";
  std::string bytes = "\x93NUMPY\x01";
  bytes.push_back('\0');
  bytes.push_back(static_cast<char>(header.size() & 0xFF));
  bytes.push_back(static_cast<char>(header.size() >> 8));
  bytes += header;
  bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double));
  write_text(path, bytes);
}

TEST(ConvertArrays, NpyAndTableBecomeAnHdf5DataLayersInput) {
  test::TemporaryFolder folder;
  write_npy(folder / "x.npy", "(3, 4)", {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11.5});
  write_text(folder / "t.csv", "a,class,b\n1,0,2\n3,1,4\n5,2,6\n");
  ArraysToHdf5 request;
  request.inputs = {{"data", folder / "x.npy", {}, {1, 2, 2}},
                    {"label", folder / "t.csv", {"class"}, {}},
                    {"extra", folder / "t.csv", {"b", "0"}, {}}};
  request.target = folder / "out.h5";
  EXPECT_EQ(convert_arrays_to_hdf5(request), 3);
  Hdf5File file = Hdf5File::open(folder / "out.h5");
  EXPECT_EQ(file.dataset("data").shape, (Shape{3, 1, 2, 2}));
  EXPECT_EQ(file.dataset("label").shape, (Shape{3}));
  EXPECT_EQ(file.read_floats("extra"), (std::vector<float>{2, 1, 4, 3, 6, 5}));

  auto stream = test::open_stream(
      test::layer_of("name: 'd' type: 'HDF5Data' top: 'label' top: 'data' hdf5_data_param { source: '" +
                     folder / "out.h5.txt" + "' batch_size: 3 }"),
      test::options());
  stream->start();
  const test::Batch batch = test::take_many(*stream, 1)[0];
  EXPECT_EQ(batch.tops[0], (std::vector<float>{0, 1, 2}));
  EXPECT_EQ(batch.tops[1].back(), 11.5f);
}

TEST(ConvertArrays, KeepsWhatAnotherConversionMadeMeanwhile) {
  test::TemporaryFolder folder;
  write_npy(folder / "x.npy", "(2, 2)", {0, 1, 2, 3});
  ArraysToHdf5 request;
  request.inputs = {{"data", folder / "x.npy", {}, {}}};
  request.target = folder / "out.h5";
  bool first = true;
  const auto other_is_faster = [&](int64_t, int64_t) {
    if (std::exchange(first, false)) convert_arrays_to_hdf5(request);
  };
  expect_contains(error_text([&] { convert_arrays_to_hdf5(request, other_is_faster); }),
                  {folder / "out.h5" + " was created by another process in the meantime"});
  EXPECT_EQ(Hdf5File::open(folder / "out.h5").read_floats("data"), (std::vector<float>{0, 1, 2, 3}));
  const auto entries = std::distance(std::filesystem::directory_iterator(folder / ""), {});
  EXPECT_EQ(entries, 3);  // the array, the dataset, its list
}

TEST(ConvertArrays, WrongRequests) {
  test::TemporaryFolder folder;
  write_npy(folder / "x.npy", "(2, 2)", {0, 1, 2, 3});
  write_text(folder / "t.csv", "alpha,beta\n1,2\n3,4\n5,6\n");
  const auto error = [&](std::vector<ArrayInput> inputs, ExitCode code) {
    return error_text([&] { convert_arrays_to_hdf5({std::move(inputs), folder / "o.h5", ""}); }, code);
  };
  expect_contains(error({{"a", folder / "x.npy", {}, {}}, {"b", folder / "t.csv", {}, {}}}, ExitCode::kData),
                  {"x.npy has 2 rows but", "t.csv has 3"});
  expect_contains(error({{"a", folder / "t.csv", {"alhpa"}, {}}}, ExitCode::kConfiguration), {"did you mean 'alpha'?"});
  expect_contains(error({{"a", folder / "x.npy", {}, {3}}}, ExitCode::kConfiguration), {"2 values", "shape 3"});
  expect_contains(error({{"a", folder / "x.npy", {}, {}}, {"a", folder / "x.npy", {}, {}}}, ExitCode::kConfiguration),
                  {"two arrays"});
  expect_contains(error({{"a", folder / "x.mat", {}, {}}}, ExitCode::kConfiguration), {".npy, .csv"});
  EXPECT_FALSE(std::filesystem::exists(folder / "o.h5"));
  EXPECT_FALSE(std::filesystem::exists(folder / "o.h5.txt"));
}

TEST(ConvertArrays, NumbersThatAreNotFiniteAreNamed) {
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / fmt::format("trainer_csv_{}", getpid());
  std::filesystem::create_directories(folder);
  const std::string table = (folder / "a.csv").string();
  std::ofstream(table) << "1,2\n3,nan\n";
  ArraysToHdf5 conversion;
  conversion.inputs.push_back({"data", table, {}, {}});
  conversion.target = (folder / "a.h5").string();
  try {
    convert_arrays_to_hdf5(conversion);
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("line 2, column 2: nan is not a finite number"), std::string::npos)
        << error.what();
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace trainer
