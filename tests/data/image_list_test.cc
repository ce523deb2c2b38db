// ImageData layers: lists, paths, labels, resizing, order, bad pictures, resuming.
#include <algorithm>
#include <fstream>
#include <set>

#include "data/feeds/image_list.h"
#include "data/pictures/resize.h"
#include "data/small_data.h"

namespace trainer {
namespace {

using test::error_text;
using test::expect_contains;
using test::options;
using test::take_many;

void write(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

// A binary PGM file of one grey value.
std::string gray_file(int height, int width, int value) {
  return "P5\n" + std::to_string(width) + " " + std::to_string(height) + "\n255\n" +
         std::string(static_cast<size_t>(height * width), static_cast<char>(value));
}

// Pictures 0.pgm, 1.pgm, ... of 2x2 pixels of value i, label 10 + i.
void write_pictures(const test::TemporaryFolder& folder, int count) {
  std::string list;
  for (int i = 0; i < count; ++i) {
    const std::string name = std::to_string(i) + ".pgm";
    write(folder / name, gray_file(2, 2, i));
    list += name + " " + std::to_string(10 + i) + "\n";
  }
  write(folder / "list.txt", list);
}

caffe::LayerParameter image_layer(const test::TemporaryFolder& folder, int batch, const std::string& fields = "",
                                  const std::string& transform = "") {
  return test::layer_of("name: 'data' type: 'ImageData' top: 'data' top: 'label' image_data_param { source: '" +
                        folder / "list.txt" + "' root_folder: '" + folder / "" + "' is_color: false batch_size: " +
                        std::to_string(batch) + " " + fields + " } transform_param { " + transform + " }");
}

std::vector<float> labels(BatchStream& stream, int batches) {
  std::vector<float> all;
  for (const test::Batch& batch : take_many(stream, batches))
    all.insert(all.end(), batch.tops[1].begin(), batch.tops[1].end());
  return all;
}

TEST(ImageListFile, SplitsAtTheLastBlank) {
  const test::TemporaryFolder folder;
  write(folder / "l",
        "\xEF\xBB\xBF"
        "a b/c d.png 7\r\n\nx.png  3\ny.png +12\nz.png -1");
  const ImageList list = read_image_list(folder / "l");
  ASSERT_EQ(list.size(), 4u);
  EXPECT_EQ(list.path(0), "a b/c d.png");
  EXPECT_EQ(list.label(0)[0], 7);
  EXPECT_EQ(list.path(1), "x.png ") << "only the last blank separates";
  EXPECT_EQ(list.line(1), 3);
  EXPECT_EQ(list.label(2)[0], 12);
  EXPECT_EQ(list.label(3)[0], -1);
}

TEST(ImageListFile, MistakesAreNamedWithTheirLine) {
  const test::TemporaryFolder folder;
  const auto reason = [&](const std::string& text) {
    write(folder / "l", text);
    return error_text([&] { read_image_list(folder / "l"); });
  };
  expect_contains(reason("a.png 1\nb.png\n"), {"l:2:", "\"b.png\" has no label"});
  expect_contains(reason("a.png\t1\n"), {"l:1:", "there is a tab"});
  for (const std::string label : {"cat", "1.5", "3abc", "0x10", "1e3", "99999999999", "+-1", "-"})
    expect_contains(reason("a.png " + label + "\n"), {"l:1:", "\"" + label + "\" is not a label"});
  expect_contains(reason("\n \n"), {"is empty"});
  expect_contains(reason(std::string("a\0b", 3)), {"is not a text file"});
  expect_contains(error_text([&] { read_image_list(folder / "none"); }), {"none", "No such file"});
}

TEST(ImageData, ReadsInOrderWithRootFolderAndTransforms) {
  const test::TemporaryFolder folder;
  write_pictures(folder, 5);
  auto stream = test::open_stream(image_layer(folder, 3, "", "scale: 0.5 mean_value: 1"), options());
  EXPECT_EQ(stream->next_batch_descs()[0].shape, (Shape{3, 1, 2, 2}));
  stream->start();
  const auto batches = take_many(*stream, 2);
  EXPECT_EQ(batches[0].tops[0], (std::vector<float>{-.5f, -.5f, -.5f, -.5f, 0, 0, 0, 0, .5f, .5f, .5f, .5f}));
  EXPECT_EQ(batches[1].tops[1], (std::vector<float>{13, 14, 10}));
}

TEST(ImageData, ColourHasThreeChannelsBlueFirst) {
  const test::TemporaryFolder folder;
  write(folder / "my picture.ppm", std::string("P6 2 1 255\n") + "\x01\x02\x03\x04\x05\x06");
  write(folder / "list.txt", "my picture.ppm 4\n");
  auto layer = image_layer(folder, 1);
  layer.mutable_image_data_param()->set_is_color(true);
  auto stream = test::open_stream(layer, options());
  stream->start();
  const auto batch = take_many(*stream, 1)[0];
  EXPECT_EQ(batch.tops[0], (std::vector<float>{3, 6, 2, 5, 1, 4}));
  EXPECT_EQ(batch.tops[1], (std::vector<float>{4}));
}

// Half-pixel centres: pixel x of the result is at (x + 0.5) * in / out - 0.5 of the picture.
TEST(Resize, IsBilinearWithHalfPixelCentres) {
  const std::vector<uint8_t> line = {0, 100};
  std::vector<uint8_t> out;
  resize_bilinear({line.data(), 1, 1, 2, 2}, 1, 4, out);
  EXPECT_EQ(out, (std::vector<uint8_t>{0, 25, 75, 100}));
  // Halving both sides takes means of 2x2 blocks, rounded half up.
  const std::vector<uint8_t> square = {1, 2, 10, 20, 3, 4, 30, 41};
  resize_bilinear({square.data(), 1, 2, 4, 4}, 1, 2, out);
  EXPECT_EQ(out, (std::vector<uint8_t>{3, 25}));
  // Shrinking does not smooth: a factor of 3 takes the middle pixel.
  const std::vector<uint8_t> nine = {9, 50, 9, 9, 80, 9};
  resize_bilinear({nine.data(), 1, 1, 6, 6}, 1, 2, out);
  EXPECT_EQ(out, (std::vector<uint8_t>{50, 80}));
}

TEST(Resize, ReadsAWindowOfALargerPicture) {
  const std::vector<uint8_t> picture = {9, 9, 9, 9, 9, 1, 2, 9, 9, 3, 4, 9};
  std::vector<uint8_t> out;
  resize_bilinear({picture.data() + 5, 1, 2, 2, 4}, 2, 2, out);
  EXPECT_EQ(out, (std::vector<uint8_t>{1, 2, 3, 4}));
}

TEST(ImageData, ResizesPicturesOfAnySize) {
  const test::TemporaryFolder folder;
  write(folder / "a.pgm", gray_file(3, 5, 40));
  write(folder / "b.pgm", gray_file(9, 2, 50));
  write(folder / "list.txt", "a.pgm 0\nb.pgm 1\n");
  auto stream = test::open_stream(image_layer(folder, 2, "new_height: 4 new_width: 6"), options());
  EXPECT_EQ(stream->next_batch_descs()[0].shape, (Shape{2, 1, 4, 6}));
  stream->start();
  std::vector<float> expected(24, 40.0f);
  expected.resize(48, 50.0f);
  EXPECT_EQ(take_many(*stream, 1)[0].tops[0], expected);

  const std::string half = error_text([&] { test::open_stream(image_layer(folder, 1, "new_height: 4"), options()); },
                                      ExitCode::kConfiguration);
  expect_contains(half, {"new_height without new_width"});
}

TEST(ImageData, VaryingSizesComeOneByOneAndAreRefusedTogether) {
  const test::TemporaryFolder folder;
  write(folder / "a.pgm", gray_file(3, 5, 40));
  write(folder / "b.pgm", gray_file(9, 2, 50));
  write(folder / "list.txt", "a.pgm 0\nb.pgm 1\n");
  auto stream = test::open_stream(image_layer(folder, 1), options());
  stream->start();
  for (const Shape& shape : {Shape{1, 1, 3, 5}, Shape{1, 1, 9, 2}, Shape{1, 1, 3, 5}}) {
    EXPECT_EQ(stream->next_batch_descs()[0].shape, shape);
    take_many(*stream, 1);
  }
  auto both = test::open_stream(image_layer(folder, 2), options());
  both->start();
  expect_contains(error_text([&] { both->next(); }), {"list.txt:2 (b.pgm)", "1x9x2", "1x3x5"});
}

TEST(ImageData, ALaterBatchThatIsNoBlobIsRefusedBeforeItTakesMemory) {
  const test::TemporaryFolder folder;
  write(folder / "small.pgm", gray_file(2, 2, 40));
  write(folder / "large.pgm", "P5\n18000 18000\n255\n");
  std::string list;
  for (int i = 0; i < 7; ++i) list += "small.pgm 0\n";
  write(folder / "list.txt", list + "large.pgm 1\n");
  auto stream = test::open_stream(image_layer(folder, 7), options());
  stream->start();
  take_many(*stream, 1);
  expect_contains(error_text([&] { stream->next_batch_descs(); }),
                  {"(ImageData)", "list.txt:8 (large.pgm)", "7,1,18000,18000 has more than 2147483647 elements",
                   "image_data_param.batch_size"});
}

TEST(ImageData, ShuffleDrawsAFreshOrderEachEpochWhateverTheWorkers) {
  const test::TemporaryFolder folder;
  write_pictures(folder, 40);
  auto stream = test::open_stream(image_layer(folder, 8, "shuffle: true"), options());
  stream->start();
  const std::vector<float> first = labels(*stream, 5), second = labels(*stream, 5);
  EXPECT_NE(first, second);
  EXPECT_EQ(std::set<float>(first.begin(), first.end()).size(), 40u);
  EXPECT_EQ(std::set<float>(second.begin(), second.end()).size(), 40u);
  auto many = test::open_stream(image_layer(folder, 8, "shuffle: true workers: 4"), options());
  EXPECT_EQ(many->workers(), 4);
  many->start();
  EXPECT_EQ(labels(*many, 5), first);
}

TEST(ImageData, RandSkipStartsWithinItsBoundAndGoesOnInOrder) {
  const test::TemporaryFolder folder;
  write_pictures(folder, 20);
  std::set<float> starts;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    StreamOptions seeded = options();
    seeded.seed = seed;
    auto stream = test::open_stream(image_layer(folder, 4, "rand_skip: 5"), seeded);
    stream->start();
    const std::vector<float> seen = labels(*stream, 5);
    starts.insert(seen[0]);
    EXPECT_LT(seen[0], 15);
    for (size_t i = 1; i < seen.size(); ++i) {
      EXPECT_EQ(static_cast<int>(seen[i]) - 10, (static_cast<int>(seen[0]) - 10 + static_cast<int>(i)) % 20);
    }
  }
  EXPECT_EQ(starts.size(), 5u);
}

TEST(ImageData, ResumesBitForBit) {
  const test::TemporaryFolder folder;
  write_pictures(folder, 12);
  const auto layer = image_layer(folder, 5, "shuffle: true rand_skip: 4", "mirror: true crop_size: 1");
  auto whole = test::open_stream(layer, options());
  whole->start();
  take_many(*whole, 3);
  const Cursor cursor = whole->cursor();
  auto resumed = test::open_stream(layer, options());
  resumed->seek(cursor);
  resumed->start();
  EXPECT_EQ(take_many(*resumed, 4), take_many(*whole, 4));
}

// Snapshots keep the content to notice changes.
TEST(ImageData, TheContentChangesWithEachPathAndLabel) {
  const test::TemporaryFolder folder;
  write_pictures(folder, 4);
  const auto content = [&](const std::string& list, const std::string& fields = "") {
    write(folder / "list.txt", list);
    return test::open_stream(image_layer(folder, 2, fields), options())->cursor().content;
  };
  const std::string before = content("0.pgm 1\n1.pgm 2\n2.pgm 3\n3.pgm 4\n");
  // (printf '0.pgm\0001\0001.pgm\0002\0002.pgm\0003\0003.pgm\0004\000') | sha256sum
  EXPECT_EQ(before, "4 records from \"0.pgm\" to \"3.pgm\", digest of paths and labels b287438c35492bf8");
  EXPECT_EQ(content("0.pgm 1\n\n1.pgm 2\n2.pgm +3\n3.pgm 4"), before);
  std::set<std::string> contents = {before};
  contents.insert(content("0.pgm 1\n2.pgm 2\n1.pgm 3\n3.pgm 4\n"));
  contents.insert(content("0.pgm 1\n1.pgm 2\n2.pgm 2\n3.pgm 4\n"));
  contents.insert(content("0.pgm 1\n1.pgm 2\n2.pgm 3\n3.pgm 5\n"));
  contents.insert(content("0.pgm 1\n1.pgm 2\n2.pgm 3.5\n3.pgm 4\n", "label_kind: VALUES"));
  contents.insert(content("0.pgm 1.pgm\n1.pgm 2.pgm\n2.pgm 3.pgm\n3.pgm 1.pgm\n", "label_kind: MASK"));
  contents.insert(content("0.pgm 1.pgm\n1.pgm 0.pgm\n2.pgm 3.pgm\n3.pgm 1.pgm\n", "label_kind: MASK"));
  EXPECT_EQ(contents.size(), 7u);
}

TEST(ImageData, BadPicturesAreNamedOrLeftOut) {
  const test::TemporaryFolder folder;
  write_pictures(folder, 4);
  write(folder / "1.pgm", "P5 2 2 255\nx");
  std::filesystem::remove(folder / "2.pgm");
  auto strict = test::open_stream(image_layer(folder, 2), options());
  strict->start();
  expect_contains(error_text([&] { strict->next(); }),
                  {"list.txt:2 (1.pgm)", "ends too early", "image_data_param { skip_bad_records: true }"});
  std::vector<std::string> lines;
  StreamOptions logged = options();
  logged.log = [&](const std::string& line) { lines.push_back(line); };
  auto lenient = test::open_stream(image_layer(folder, 4, "skip_bad_records: true"), logged);
  lenient->start();
  EXPECT_EQ(labels(*lenient, 1), (std::vector<float>{10, 13, 13, 13}));
  EXPECT_EQ(lenient->skipped_records(), 3);  // row 1 skips two, row 2 one
  ASSERT_FALSE(lines.empty());
  expect_contains(lines[0], {"1.pgm"});
}

}  // namespace
}  // namespace trainer
