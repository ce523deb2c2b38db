// ImageData with a folder of classes: labels, order, skipped files, class names, the split for validation, mistakes.
#include "data/feeds/image_folder.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "data/small_data.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

using test::error_text;
using test::expect_contains;
using test::options;
using test::take_many;

void write(const std::string& path, const std::string& bytes) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

// A grey image of 1x1 pixel.
std::string gray_file(int value) { return "P5\n1 1\n255\n" + std::string(1, static_cast<char>(value)); }

void write_images(const test::TemporaryFolder& folder, const std::string& name, int count, int first_value = 0) {
  for (int i = 0; i < count; ++i)
    write(folder / "photos/" + name + "/" + std::to_string(i) + ".pgm", gray_file(first_value + i));
}

caffe::LayerParameter folder_layer(const test::TemporaryFolder& folder, int batch, const std::string& fields = "") {
  return test::layer_of("name: 'data' type: 'ImageData' top: 'data' top: 'label' image_data_param { source: '" +
                        folder / "photos" + "' is_color: false batch_size: " + std::to_string(batch) + " " + fields +
                        " }");
}

std::vector<std::string> paths(const ImageList& list) {
  std::vector<std::string> all;
  for (uint64_t i = 0; i < list.size(); ++i) all.emplace_back(list.path(i));
  return all;
}

std::string reason(const test::TemporaryFolder& folder, const ImageFolderOptions& options = {}) {
  return error_text([&] { read_image_folder(folder / "photos", options, {}); });
}

TEST(ImageFolder, WarnsOfAFolderThatIsProbablyNotThatOfTheClasses) {
  const auto warnings = [](const std::vector<std::string>& classes) {
    const test::TemporaryFolder folder;
    for (const std::string& name : classes) write_images(folder, name, 1);
    std::string text;
    test::open_stream(folder_layer(folder, 1), options(), &text);
    return text;
  };
  expect_contains(warnings({"train", "test"}), {"named test and train", "photos/test"});
  expect_contains(warnings({"cat"}), {"images of one class, cat"});
  EXPECT_EQ(warnings({"cat", "train"}), "");
}

TEST(ImageFolder, LabelsClassesInTheBytewiseOrderOfTheirNames) {
  const test::TemporaryFolder folder;
  write_images(folder, "cat", 2, 10);
  write_images(folder, "Dog", 1, 20);
  write_images(folder, "\xC3\xA4hre", 1, 30);
  auto stream = test::open_stream(folder_layer(folder, 4), options());
  EXPECT_EQ(stream->class_names(), (std::vector<std::string>{"Dog", "cat", "\xC3\xA4hre"}));
  stream->start();
  const test::Batch batch = take_many(*stream, 1)[0];
  EXPECT_EQ(batch.tops[0], (std::vector<float>{20, 10, 11, 30}));
  EXPECT_EQ(batch.tops[1], (std::vector<float>{0, 1, 1, 2}));
}

TEST(ImageFolder, ReadsFoldersBelowAClassAndSkipsOtherFiles) {
  const test::TemporaryFolder folder;
  write(folder / "photos/a/x/2.JPG", "");
  write(folder / "photos/a/1.png", "");
  write(folder / "photos/a/y.tar/10.bmp", "");
  write(folder / "photos/b/1.Jpeg", "");
  for (const char* name : {"a/notes.txt", "a/png", "a/.1.png", "b/.git/1.png", ".DS_Store", "README", "stray.png"})
    write(folder / "photos/" + name, "");
  std::string line;
  const ImageList list = read_image_folder(folder / "photos", {}, [&](const std::string& text) { line = text; });
  EXPECT_EQ(paths(list), (std::vector<std::string>{"a/1.png", "a/x/2.JPG", "a/y.tar/10.bmp", "b/1.Jpeg"}));
  EXPECT_EQ(list.file(0), folder / "photos/a/1.png");
  EXPECT_EQ(list.describe(0), list.file(0));
  EXPECT_EQ(line, folder /
                      "photos: 2 classes, 4 images; other files, skipped: 7, with the image stray.png, which is in "
                      "no folder of a class");
  write(folder / "photos/cat.png", "");
  read_image_folder(folder / "photos", {}, [&](const std::string& text) { line = text; });
  expect_contains(line, {"skipped: 8, with the image cat.png, which"});
}

TEST(ImageFolder, AFileOfNamesGivesTheOrder) {
  const test::TemporaryFolder folder;
  write_images(folder, "cat", 1, 10);
  write_images(folder, "snow leopard", 1, 20);
  write(folder / "labels.txt", "snow leopard\r\ncat\n\n");
  auto stream = test::open_stream(folder_layer(folder, 2, "labels: '" + folder / "labels.txt" + "'"), options());
  EXPECT_EQ(stream->class_names(), (std::vector<std::string>{"snow leopard", "cat"}));
  stream->start();
  EXPECT_EQ(take_many(*stream, 1)[0].tops[0], (std::vector<float>{20, 10}));
}

TEST(ImageFolder, NamesAndFoldersMustBeTheSame) {
  const test::TemporaryFolder folder;
  for (const char* name : {"cat", "dog", "fox"}) write_images(folder, name, 1);
  const auto with = [&](std::vector<std::string> names) { return reason(folder, {std::move(names), "labels.txt"}); };
  expect_contains(with({"cat", "dog"}), {"labels.txt names 2 of the 3 folders", "\"fox\" is missing"});
  expect_contains(with({"cat", "dog", "fox", "wolf"}), {"names the class \"wolf\"", "has no such folder"});
  expect_contains(with({"cat", "dgo", "fox"}), {"\"dgo\"", "did you mean \"dog\"?"});
}

TEST(ImageFolder, MistakesInAFileOfNamesHaveTheirLine) {
  const test::TemporaryFolder folder;
  const auto mistake = [&](const std::string& text) {
    write(folder / "l", text);
    return error_text([&] { read_class_names(folder / "l"); });
  };
  expect_contains(mistake("cat\n\ndog\n"), {"l:2:", "the line is empty", "class 1"});
  expect_contains(mistake("cat\ndog\ncat\n"), {"l:3:", "\"cat\" is in line 1, too"});
  expect_contains(mistake("\n \n"), {"is empty"});
  expect_contains(mistake("cat\ncaf\xE9\n"), {"l:2: the name \"caf\\xe9\" is not UTF-8"});
  expect_contains(mistake(std::string("cat\0", 4)), {"is not a text file"});
  expect_contains(error_text([&] { read_class_names(folder / "none"); }), {"none", "No such file"});
}

// The fractions of `printf cat/2.pgm | sha256sum`: those of cat/2, 3, 5 and dog/7 are below 0.2.
TEST(ImageFolder, SplitsByTheDigestOfThePath) {
  const test::TemporaryFolder folder;
  write_images(folder, "cat", 8);
  write_images(folder, "dog", 8);
  std::string line;
  const LogLine note = [&](const std::string& text) { line = text; };
  const ImageList validation = read_image_folder(folder / "photos", {{}, "", 0.2, true}, note);
  EXPECT_EQ(paths(validation), (std::vector<std::string>{"cat/2.pgm", "cat/3.pgm", "cat/5.pgm", "dog/7.pgm"}));
  EXPECT_EQ(line, folder / "photos: 2 classes, 16 images (12 for training, 4 for validation)");
  const ImageList training = read_image_folder(folder / "photos/", {{}, "", 0.2, false}, note);
  EXPECT_EQ(paths(training),
            (std::vector<std::string>{"cat/0.pgm", "cat/1.pgm", "cat/4.pgm", "cat/6.pgm", "cat/7.pgm", "dog/0.pgm",
                                      "dog/1.pgm", "dog/2.pgm", "dog/3.pgm", "dog/4.pgm", "dog/5.pgm", "dog/6.pgm"}));

  auto test = test::open_stream(folder_layer(folder, 4, "validation_fraction: 0.2"), options(caffe::TEST));
  EXPECT_EQ(test->records_per_epoch(), 4);
  auto train = test::open_stream(folder_layer(folder, 4, "validation_fraction: 0.2"), options(caffe::TRAIN));
  EXPECT_EQ(train->records_per_epoch(), 12);
}

TEST(ImageFolder, ASplitLeavesImagesForBothPhases) {
  const test::TemporaryFolder folder;
  write_images(folder, "cat", 8);
  expect_contains(reason(folder, {{}, "", 0.05, true}), {"0.05", "no image of 8", "validation", "larger"});
  expect_contains(reason(folder, {{}, "", 0.96, true}), {"0.96", "training", "smaller"});
}

TEST(ImageFolder, MistakesNameTheFolder) {
  const test::TemporaryFolder folder;
  fs::create_directory(folder / "photos");
  expect_contains(reason(folder), {"photos has no folders", "FOLDER/cats/1.jpg"});
  write(folder / "photos/1.png", "");
  expect_contains(reason(folder), {"has images, but no folders"});
  write(folder / "photos/cat/notes.txt", "");
  expect_contains(reason(folder), {"the class \"cat\" has no images"});
  write(folder / "photos/cat\n/1.png", "");
  expect_contains(reason(folder), {"\"cat\\x0a\" has control characters"});
  fs::rename(folder / "photos/cat\n", folder / "photos/caf\xE9");
  expect_contains(reason(folder), {"the name of the class \"caf\\xe9\" is not UTF-8: rename the folder"});
}

TEST(ImageFolder, FollowsLinksButNotInCircles) {
  const test::TemporaryFolder folder;
  write_images(folder, "cat", 1);
  write(folder / "elsewhere/1.png", "");
  fs::create_directory_symlink(folder / "elsewhere", folder / "photos/cat/link");
  EXPECT_EQ(paths(read_image_folder(folder / "photos", {}, {})),
            (std::vector<std::string>{"cat/0.pgm", "cat/link/1.png"}));
  fs::create_directory_symlink(folder / "photos/cat", folder / "photos/cat/back");
  expect_contains(reason(folder), {"photos/cat/back/ is a link to " + folder / "photos/cat/", "remove the link"});
  fs::remove(folder / "photos/cat/back");
  fs::create_directory_symlink(".", folder / "photos/dog");
  expect_contains(reason(folder), {"photos/dog/ is a link to " + folder / "photos/, in which it is"});
  fs::remove(folder / "photos/dog");
  std::string deep = "photos/cat";
  for (int i = 0; i < 40; ++i) deep += "/deeper";
  write(folder / deep + "/1.png", "");
  EXPECT_EQ(read_image_folder(folder / "photos", {}, {}).size(), 3u);
}

TEST(ImageFolder, AFolderThatCannotBeReadIsNamed) {
  if (geteuid() == 0) GTEST_SKIP() << "the superuser can read all folders";
  const test::TemporaryFolder folder;
  write_images(folder, "cat", 1);
  write_images(folder, "cat/more", 1);
  fs::permissions(folder / "photos/cat/more", fs::perms::none);
  expect_contains(reason(folder), {"photos/cat/more", "cannot be read", "Permission denied"});
  fs::permissions(folder / "photos/cat/more", fs::perms::owner_all);
}

TEST(ImageFolder, FieldsThatDoNotFitTheSourceAreErrors) {
  const test::TemporaryFolder folder;
  write_images(folder, "cat", 1);
  write(folder / "list.txt", "cat/0.pgm 0\ncat/0.pgm 2\n");
  const auto mistake = [&](const std::string& fields, ExitCode code = ExitCode::kConfiguration) {
    return error_text([&] { test::open_stream(folder_layer(folder, 1, fields), options()); }, code);
  };
  const auto mistake_of_list = [&](const std::string& fields, ExitCode code = ExitCode::kConfiguration) {
    caffe::LayerParameter layer = folder_layer(folder, 1, fields);
    layer.mutable_image_data_param()->set_source(folder / "list.txt");
    return error_text([&] { test::open_stream(layer, options()); }, code);
  };
  write(folder / "two.txt", "cat\ndog\n");
  expect_contains(mistake("root_folder: 'x/'"), {"root_folder", "is a folder", "remove root_folder"});
  expect_contains(mistake("label_kind: MASK"), {"is a folder, whose labels are classes", "label_kind: MASK"});
  expect_contains(mistake_of_list("validation_fraction: 0.2"), {"splits a folder", "list.txt is none"});
  expect_contains(mistake("validation_fraction: 1"), {"validation_fraction is 1", "above 0 and below 1"});
  expect_contains(mistake("validation_fraction: 0"), {"validation_fraction is 0"});
  expect_contains(mistake("mask_ignore: 5"), {"mask_ignore without masks"});
  expect_contains(mistake_of_list("label_kind: MASK mask_ignore: 256"), {"mask_ignore is 256", "maximum is 255"});
  expect_contains(mistake_of_list("root_folder: '" + folder / "photos/" + "' labels: '" + folder / "two.txt" + "'",
                                  ExitCode::kData),
                  {"list.txt:2", "its label is 2", "two.txt has 2 names", "0 to 1"});
}

TEST(ImageFolder, ALayerOfFewerLabelsThanClassesIsAnErrorAtTheStart) {
  const test::TemporaryFolder folder;
  for (const char* name : {"cat", "dog", "fox"}) write_images(folder, name, 1);
  auto stream = test::open_stream(folder_layer(folder, 1), options());
  stream->add_label_range(1, {3, {}, "layer \"loss\" (SoftmaxWithLoss)"});
  expect_contains(
      error_text([&] {
        stream->add_label_range(1, {2, {}, "layer \"loss\" (SoftmaxWithLoss)"});
      }),
      {"layer \"data\" (ImageData)", "has 3 classes", "layer \"loss\" (SoftmaxWithLoss)", "0 to 1", "3 outputs"});
}

}  // namespace
}  // namespace trainer
