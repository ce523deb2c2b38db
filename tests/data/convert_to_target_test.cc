// Converts folders and lists of images to LMDB and HDF5, at once and with interruptions.
#include <filesystem>
#include <fstream>

#include "data/convert/convert.h"
#include "data/feeds/hdf5_rows.h"
#include "data/pictures/image_decoder.h"
#include "data/pictures/image_encoder.h"
#include "data/records/lmdb_source.h"
#include "data/small_data.h"
#include "formats/hdf5_file.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

using test::error_text;
using test::expect_contains;
using Records = std::vector<std::pair<std::string, std::string>>;
using Texts = std::vector<std::string>;

void write(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }
std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}

// An image of 2 x 1 pixels; pixel i has red `first` + 3 i, green one more, blue two more.
std::string ppm(int first) {
  std::string bytes = "P6 2 1 255\n";
  for (int i = 0; i < 6; ++i) bytes.push_back(static_cast<char>(first + i));
  return bytes;
}

std::string encoded(ItemShape shape, const std::string& pixels, const std::string& type) {
  PixelView view;
  view.shape = shape;
  view.bytes = reinterpret_cast<const uint8_t*>(pixels.data());
  view.interleaved = true;
  return encode_image(view, type);
}

Records records(const std::string& database) {
  LmdbSource source(database);
  Records all;
  for (uint64_t i = 0; i < source.size(); ++i) {
    Record record;
    source.read(i, record);
    all.emplace_back(record.key, record.value);
  }
  return all;
}

caffe::Datum datum_of(const std::string& bytes) {
  caffe::Datum datum;
  EXPECT_TRUE(datum.ParseFromString(bytes));
  return datum;
}

// 40 images in two classes, and lists of them.
class ConvertToTarget : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"photos", "photos/cat", "photos/dog"}) fs::create_directory(folder_ / name);
    std::string list;
    for (int i = 0; i < 40; ++i) {
      const std::string path = fmt::format("{}/{:02d}.ppm", i < 15 ? "cat" : "dog", i);
      write(folder_ / "photos/" + path, ppm(i));
      list += fmt::format("{} {} -{}.5\n", path, i, i);
    }
    write(folder_ / "values.txt", list);
    request_.source = folder_ / "photos";
    request_.folder = true;
    request_.images_per_save = 3;
  }

  ImagesConverted convert(const std::string& target) {
    request_.target = folder_ / target;
    lines_.clear();
    const auto note = [this](const std::string& line) { lines_.push_back(line); };
    return convert_images_to_target(request_, note, note);
  }
  // Stops the conversion before image `position`.
  void interrupt(const std::string& target, int64_t position) {
    request_.target = folder_ / target;
    EXPECT_THROW(convert_images_to_target(request_, {}, {},
                                          [&](int64_t done, int64_t) {
                                            if (done == position) throw Error(static_cast<ExitCode>(130), "stopped");
                                          }),
                 Error);
    EXPECT_FALSE(fs::exists(folder_ / target));
  }
  void list_of_values() {
    request_.folder = false;
    request_.source = folder_ / "values.txt";
    request_.root = folder_ / "photos/";
    request_.label_kind = caffe::ImageDataParameter::VALUES;
  }
  bool exists(const std::string& name) const { return fs::exists(folder_ / name); }

  test::TemporaryFolder folder_;
  ImagesToTarget request_;
  Texts lines_;
};

TEST_F(ConvertToTarget, ADatabaseHasTheFilesOfAFolder) {
  EXPECT_EQ(convert("db").records, 40);
  const Records all = records(folder_ / "db");
  ASSERT_EQ(all.size(), 40u);
  EXPECT_EQ(all[16].first, "00000016_dog/16.ppm");
  const caffe::Datum datum = datum_of(all[16].second);
  EXPECT_TRUE(datum.encoded());
  EXPECT_EQ(datum.data(), ppm(16));
  EXPECT_EQ(datum.label(), 1);
  EXPECT_EQ(bytes_of(folder_ / "db/labels.txt"), "cat\ndog\n");
  EXPECT_FALSE(exists("db.part"));

  const auto stream = test::open_stream(test::data_layer(folder_ / "db", 4), test::options());
  EXPECT_EQ(stream->class_names(), (Texts{"cat", "dog"}));
}

TEST_F(ConvertToTarget, ResizedAndGrayImagesBecomePixels) {
  request_.gray = true;
  request_.resize_height = request_.resize_width = 2;
  convert("db");
  const caffe::Datum datum = datum_of(records(folder_ / "db")[0].second);
  EXPECT_FALSE(datum.encoded());
  EXPECT_EQ(datum.channels(), 1);
  // (4899 R + 9617 G + 1868 B + 8192) / 16384 of 0, 1, 2 and of 3, 4, 5.
  EXPECT_EQ(datum.data(), std::string("\1\4\1\4"));

  request_.encoded = true;
  convert("files");
  ImageDecoder decoder;
  const std::string file = datum_of(records(folder_ / "files")[0].second).data();
  const PixelView view = decoder.decode(file, ColorMode::kAsStored);
  EXPECT_EQ(view.shape, (ItemShape{1, 2, 2}));
  EXPECT_EQ(std::string(view.bytes, view.bytes + 4), "\1\4\1\4");

  request_.encoded = false;
  request_.gray = false;
  request_.resize_height = request_.resize_width = 0;
  convert("pixels");
  EXPECT_EQ(datum_of(records(folder_ / "pixels")[0].second).data(), std::string("\2\5\1\4\0\3", 6));
}

// A Data layer decodes files as they are stored; ImageData applies EXIF orientation and reads 3 channels.
TEST_F(ConvertToTarget, FilesThatADataLayerReadsDifferentlyBecomePng) {
  const std::string gray = encoded({1, 1, 2}, "\x10\x20", "png");
  const std::string exif(
      "\xFF\xE1\0\x20"
      "Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\3\0\0\0\0\0\0\0",
      34);
  const std::string jpeg = encoded({3, 8, 8}, std::string(96, '\0') + std::string(96, '\xFF'), "jpg");
  write(folder_ / "photos/cat/gray.png", gray);
  write(folder_ / "photos/cat/turned.jpg", jpeg.substr(0, 2) + exif + jpeg.substr(2));
  write(folder_ / "photos/cat/upright.jpg", jpeg);
  convert("db");
  const Records all = records(folder_ / "db");
  ImageDecoder decoder;
  const auto stored = [&](size_t i) { return datum_of(all[i].second).data(); };
  const PixelView colors = decoder.decode(stored(15), ColorMode::kAsStored);
  EXPECT_EQ(colors.shape, (ItemShape{3, 1, 2}));
  EXPECT_EQ(std::string(colors.bytes, colors.bytes + 6), "\x10\x10\x10\x20\x20\x20");
  // Orientation 3 is half a turn: white above black.
  const PixelView turned = decoder.decode(stored(16), ColorMode::kAsStored);
  EXPECT_GT(turned.bytes[0], 250);
  EXPECT_LT(turned.bytes[191], 5);
  EXPECT_EQ(stored(17), jpeg);
}

TEST_F(ConvertToTarget, ASplitHasEachImageInOnePart) {
  request_.validation_fraction = 0.25;
  const int64_t trained = convert("train").records;
  request_.validation = true;
  EXPECT_EQ(convert("test").records, 40 - trained);
}

TEST_F(ConvertToTarget, Hdf5HasPixelsAndValues) {
  list_of_values();
  convert("a.h5");
  const Hdf5File file = Hdf5File::open(folder_ / "a.h5");
  EXPECT_EQ(file.dataset("data").shape, (Shape{40, 3, 1, 2}));
  EXPECT_EQ(file.dataset("data").element_bytes, 1);
  std::vector<float> row(6);
  file.read_rows("data", 20, 21, row.data());
  EXPECT_EQ(row, (std::vector<float>{22, 25, 21, 24, 20, 23}));
  EXPECT_EQ(file.dataset("label").shape, (Shape{40, 2}));
  file.read_rows("label", 20, 21, row.data());
  EXPECT_EQ(row[0], 20);
  EXPECT_EQ(row[1], -20.5f);
  EXPECT_EQ(bytes_of(folder_ / "a.h5.txt"), folder_ / "a.h5\n");
}

TEST_F(ConvertToTarget, Hdf5HasMasksAndClassNames) {
  write(folder_ / "masks.txt", "photos/cat/00.ppm mask.png\n");
  write(folder_ / "mask.png", encoded({1, 1, 2}, "\7\x09", "png"));
  write(folder_ / "labels.txt", "sky\nsea\n");
  request_ = {};
  request_.source = folder_ / "masks.txt";
  request_.root = folder_ / "";
  request_.label_kind = caffe::ImageDataParameter::MASK;
  request_.labels = folder_ / "labels.txt";
  convert("a.h5");
  const Hdf5File file = Hdf5File::open(folder_ / "a.h5");
  EXPECT_EQ(file.dataset("label").shape, (Shape{1, 1, 1, 2}));
  EXPECT_EQ(file.read_floats("label"), (std::vector<float>{7, 9}));
  EXPECT_EQ(Hdf5Rows(folder_ / "a.h5.txt", {"data", "label"}, false, 0).class_names(), (Texts{"sky", "sea"}));
}

TEST_F(ConvertToTarget, TheNumberOfWorkersDoesNotMatter) {
  request_.shuffle = true;
  request_.workers = 1;
  convert("one");
  convert("one.h5");
  request_.workers = 3;
  convert("three");
  convert("three.h5");
  EXPECT_EQ(records(folder_ / "one"), records(folder_ / "three"));
  EXPECT_EQ(bytes_of(folder_ / "one.h5"), bytes_of(folder_ / "three.h5"));
}

TEST_F(ConvertToTarget, AnInterruptedConversionContinues) {
  write(folder_ / "photos/cat/07.ppm", "no image");
  request_.skip_bad_records = true;
  convert("whole");
  request_.shards = 3;
  convert("whole.h5");
  for (const int64_t position : {1, 4, 14, 39}) {
    request_.resume = false;
    request_.shards = 1;
    interrupt("db", position);
    EXPECT_TRUE(exists("db.part"));
    expect_contains(error_text([&] { convert("db"); }), {"db.part has", "of 40 images", "--resume", "--overwrite"});
    request_.resume = true;
    EXPECT_EQ(convert("db").records, 39);
    EXPECT_EQ(records(folder_ / "db"), records(folder_ / "whole"));
    fs::remove_all(folder_ / "db");

    request_.shards = 3;
    request_.resume = false;
    interrupt("a.h5", position);
    request_.resume = true;
    const ImagesConverted converted = convert("a.h5");
    EXPECT_EQ(converted.records, 39);
    EXPECT_EQ(converted.skipped, 1);
    for (const char* shard : {"-00000-of-00003.h5", "-00001-of-00003.h5", "-00002-of-00003.h5"}) {
      EXPECT_EQ(bytes_of(folder_ / "a" + shard), bytes_of(folder_ / "whole" + shard)) << position << shard;
      fs::remove(folder_ / "a" + shard);
    }
    fs::remove(folder_ / "a.h5.txt");
    EXPECT_FALSE(exists("a.h5.part"));
  }
  EXPECT_EQ(Hdf5Rows(folder_ / "whole.h5.txt", {"data", "label"}, false, 0).rows(), 39u);
  EXPECT_EQ(Hdf5File::open(folder_ / "whole-00000-of-00003.h5").dataset("data").shape[0], 13);
}

TEST_F(ConvertToTarget, AnotherConversionDoesNotContinue) {
  interrupt("db", 20);
  request_.resume = true;
  fs::rename(folder_ / "db.part/database", folder_ / "moved");
  expect_contains(error_text([&] { convert("db"); }), {"lacks records", "--overwrite"});
  fs::remove_all(folder_ / "db.part/database");
  fs::rename(folder_ / "moved", folder_ / "db.part/database");
  request_.gray = true;
  expect_contains(error_text([&] { convert("db"); }), {"other images, labels or flags"});
  request_.resume = false;
  request_.overwrite = true;
  convert("db");
  EXPECT_EQ(datum_of(records(folder_ / "db")[0].second).channels(), 1);
}

TEST_F(ConvertToTarget, BadImagesAreNamed) {
  for (int i = 3; i < 15; ++i) write(folder_ / fmt::format("photos/cat/{:02d}.ppm", i), "no image");
  const std::string text = error_text([&] { convert("db"); });
  expect_contains(text, {"12 of the 40 images", "cat/03.ppm", "cat/12.ppm", "and 2 more", "--skip_bad_records",
                         "db.part has 3 of 40 images"});
  EXPECT_EQ(text.find("cat/13.ppm"), std::string::npos);
  request_.resume = request_.skip_bad_records = true;
  EXPECT_EQ(convert("db").skipped, 12);
  EXPECT_EQ(records(folder_ / "db")[3].first, "00000015_dog/15.ppm");
  EXPECT_EQ(lines_.size(), 13u) << "the folder, the state, ten images and an end";
}

TEST_F(ConvertToTarget, FilesAreReplacedOnRequest) {
  write(folder_ / "a.h5", "old");
  expect_contains(error_text([&] { convert("a.h5"); }), {"a.h5 exists already", "--overwrite"});
  EXPECT_FALSE(exists("a.h5.part"));
  fs::create_directory(folder_ / "mine.part");
  write(folder_ / "mine.part/file", "of a user");
  request_.overwrite = true;
  expect_contains(error_text([&] { convert("mine"); }), {"mine.part", "is not an interrupted conversion"});
  EXPECT_TRUE(exists("mine.part/file"));
  expect_contains(error_text([&] { convert("photos"); }), {"photos is not replaced"});
  convert("a.h5");
  EXPECT_TRUE(Hdf5File::has_signature(folder_ / "a.h5"));
}

TEST_F(ConvertToTarget, ShardsOfAnotherNumberAreNotLeftBeside) {
  request_.shards = 3;
  convert("a.h5");
  for (const char* name : {"a-00000-of-00001.h5", "a-00003-of-00003.h5", "a-0-of-4.h5", "a-00000-of-00003.h5.bak"})
    write(folder_ / name, "of a user");
  fs::remove(folder_ / "a.h5.txt");
  request_.shards = 2;
  expect_contains(error_text([&] { convert("a.h5"); }),
                  {"a-00000-of-00003.h5 exists already", "another number of shards", "--overwrite"});
  EXPECT_TRUE(exists("a-00002-of-00003.h5"));
  EXPECT_FALSE(exists("a.h5.part"));

  request_.overwrite = true;
  convert("a.h5");
  for (const char* name : {"a-00000-of-00003.h5", "a-00001-of-00003.h5", "a-00002-of-00003.h5", "a.h5.part"})
    EXPECT_FALSE(exists(name)) << name;
  expect_contains(lines_.back(), {"Removed", "a-00000-of-00003.h5, ", "a-00002-of-00003.h5"});
  request_.shards = 1;
  convert("a.h5");
  EXPECT_FALSE(exists("a-00001-of-00002.h5"));
  EXPECT_TRUE(exists("a.h5"));
  request_.shards = 2;
  convert("a.h5");
  EXPECT_FALSE(exists("a.h5"));
  for (const char* name : {"a-00000-of-00001.h5", "a-00003-of-00003.h5", "a-0-of-4.h5", "a-00000-of-00003.h5.bak"})
    EXPECT_EQ(bytes_of(folder_ / name), "of a user") << name;
}

TEST_F(ConvertToTarget, FilesOfOthersAreNeverRemoved) {
  convert("db");
  fs::create_directory(folder_ / "db/experiments");
  request_.overwrite = true;
  expect_contains(error_text([&] { convert("db"); }), {"db is not replaced", "nothing else in it"});
  EXPECT_TRUE(exists("db/experiments"));

  // A target that appears during the conversion.
  request_.overwrite = false;
  request_.target = folder_ / "late";
  const auto make = [&](int64_t, int64_t) { fs::create_directories(folder_ / "late/thesis"); };
  expect_contains(error_text([&] { convert_images_to_target(request_, {}, {}, make); }), {"late exists already"});
  EXPECT_TRUE(exists("late/thesis"));
  EXPECT_TRUE(exists("late.part"));
}

TEST_F(ConvertToTarget, HdfIsNoNameOfADatabase) {
  expect_contains(error_text([&] { convert("a.hdf5"); }, ExitCode::kConfiguration), {"must end in .h5"});
}

TEST_F(ConvertToTarget, ImagesOfDifferentSizes) {
  write(folder_ / "photos/dog/39.ppm", "P6 1 1 255\nabc");
  EXPECT_EQ(convert("db").records, 40);
  expect_contains(error_text([&] { convert("a.h5"); }), {"39.ppm", "3x1x1", "3x1x2", "--resize_height"});
  request_.check_size = true;
  expect_contains(error_text([&] { convert("checked"); }), {"39.ppm", "3x1x1", "3x1x2"});
}

}  // namespace
}  // namespace trainer
