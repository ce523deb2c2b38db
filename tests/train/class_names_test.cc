// The names of classes go from the data into weights, snapshots and the run folder.
#include <filesystem>

#include "captured_log.h"
#include "session/class_names.h"
#include "train/train_net.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

void write_classes(const TempFolder& folder, const std::string& photos, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    fs::create_directories(folder / photos + "/" + name);
    for (int i = 0; i < 3; ++i)
      folder.write(photos + "/" + name + "/" + std::to_string(i) + ".pgm",
                   "P5\n1 1\n255\n" + std::string(1, static_cast<char>(40 * i)));
  }
}

std::string net(const std::string& source, const std::string& fields = "", int outputs = 2,
                const std::string& last = "score") {
  return R"(
layer { name: "data" type: "ImageData" top: "data" top: "label" transform_param { scale: 0.01 }
  image_data_param { source: ")" +
         source + R"(" is_color: false batch_size: 4 )" + fields + R"( } }
layer { name: ")" +
         last + R"(" type: "InnerProduct" bottom: "data" top: "score"
  inner_product_param { num_output: )" +
         std::to_string(outputs) + R"( weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }
)";
}

// Trains `name`.prototxt from `snapshot` with the run folder `name`_run.
void train(const TempFolder& folder, const std::string& name, const std::string& text, const std::string& snapshot) {
  const std::string path = folder.write(name + ".prototxt", text);
  const std::string solver =
      folder.write(name + "_solver.prototxt", "net: \"" + path + "\" snapshot_prefix: \"" + (folder / name) +
                                                  "\" random_seed: 3 base_lr: 0.05 lr_policy: \"fixed\" max_iter: 14");
  Diagnostics diagnostics;
  TrainingFiles files = configure_training(solver, {}, &diagnostics);
  diagnostics.throw_if_errors();
  TrainingOptions options;
  options.devices = {test_device()};
  options.snapshot = snapshot;
  options.run_folder = folder / name + "_run";
  Training training(std::move(files), options);
  RunReport report;
  training.run(report);
}

TEST(ClassNames, GoFromTheFolderIntoTheWeights) {
  const TempFolder folder;
  write_classes(folder, "photos", {"dog", "cat"});
  EXPECT_EQ(train_net(folder, "a", net(folder / "photos")).notes.class_names, (ClassNames{"cat", "dog"}));
}

TEST(ClassNames, ResumingKeepsThemAndTheRunFolderHasThem) {
  const TempFolder folder;
  write_classes(folder, "photos", {"cat", "dog"});
  train_net(folder, "a", net(folder / "photos"));
  folder.write("list.txt", "photos/cat/0.pgm 0\nphotos/dog/0.pgm 1\n");
  train(folder, "b", net(folder / "list.txt", "root_folder: '" + (folder / "") + "'"),
        folder / "a_iter_12.solverstate");
  EXPECT_EQ(read_weights(folder / "b_iter_14.caffemodel").notes.class_names, (ClassNames{"cat", "dog"}));
  EXPECT_EQ(read_all(folder / "b_run/labels.txt"), "cat\ndog\n");
}

TEST(ClassNames, ResumingWithOthersWarnsOfTheFirstDifference) {
  const TempFolder folder;
  write_classes(folder, "photos", {"cat", "dog"});
  train_net(folder, "a", net(folder / "photos"));
  std::filesystem::rename(folder / "photos/dog", folder / "photos/eel");
  const CapturedLog log;
  train(folder, "b", net(folder / "photos"), folder / "a_iter_12.solverstate");
  EXPECT_TRUE(contains(log.warnings(),
                       "class 1 is \"dog\" in " + (folder / "a_iter_12.caffemodel") + ", but \"eel\" in the data"));
}

TEST(ClassNames, FineTuningTakesThoseOfTheData) {
  const TempFolder folder;
  write_classes(folder, "photos", {"cat", "dog"});
  write_classes(folder, "birds", {"crow", "duck"});
  folder.write("list.txt", "photos/cat/0.pgm 0\nphotos/dog/0.pgm 1\n");
  train_net(folder, "a", net(folder / "photos"));
  const std::vector<std::string> weights = {folder / "a_iter_12.caffemodel"};
  EXPECT_EQ(train_net(folder, "b", net(folder / "birds"), weights).notes.class_names, (ClassNames{"crow", "duck"}));
  const std::string list = "root_folder: '" + (folder / "") + "'";
  EXPECT_EQ(train_net(folder, "c", net(folder / "list.txt", list), weights).notes.class_names,
            (ClassNames{"cat", "dog"}));
}

TEST(ClassNames, TextOfTheNetNamesThoseOfAList) {
  const TempFolder folder;
  write_classes(folder, "photos", {"cat", "dog"});
  folder.write("list.txt", "photos/cat/0.pgm 0\nphotos/dog/0.pgm 1\n");
  const std::string list = net(folder / "list.txt", "root_folder: '" + (folder / "") + "'");
  EXPECT_EQ(train_net(folder, "a", list).notes.class_names, ClassNames());
  EXPECT_EQ(train_net(folder, "b", "class_names: 'tabby' class_names: 'poodle'" + list).notes.class_names,
            (ClassNames{"tabby", "poodle"}));
}

TEST(ClassNames, ATestOfOtherClassesIsAnError) {
  const TempFolder folder;
  write_classes(folder, "photos", {"cat", "dog"});
  write_classes(folder, "test", {"cat", "fox"});
  const std::string text = R"(layer { name: "data" type: "ImageData" top: "data" top: "label" include { phase: TEST }
  image_data_param { source: ")" +
                           (folder / "test") + R"(" is_color: false batch_size: 4 } })" +
                           net(folder / "photos", "} include { phase: TRAIN");
  const std::string message = data_error_of([&] { train_net(folder, "a", text, {}, "test_iter: 1 test_interval: 5"); });
  EXPECT_TRUE(contains(message, "class 1 is \"dog\" in the data of the training, but \"fox\" in the data of the test"));
}

TEST(ClassNames, DifferencesAreNamed) {
  EXPECT_EQ(class_difference({"a", "b"}, "A", {"a", "b"}, "B"), "");
  EXPECT_EQ(class_difference({}, "A", {"a"}, "B"), "");
  EXPECT_EQ(class_difference({"a", "b"}, "A", {"a"}, "B"), "A has 2 classes, but B has 1");
  EXPECT_EQ(class_difference({"a", "b\n"}, "A", {"a", "c"}, "B"), "class 1 is \"b\\x0a\" in A, but \"c\" in B");
}

}  // namespace
}  // namespace trainer
