// The numbers of labels that data sources count in their data sets.
#include <fstream>

#include "data/small_data.h"
#include "formats/hdf5_file.h"

namespace trainer {
namespace {

using Counts = std::optional<LabelCounts>;

// 6 records of class 0, 3 of class 2 and one of class 4.
constexpr int kLabels[] = {0, 2, 0, 0, 4, 0, 2, 2, 0, 0};
const LabelCounts kCounts{{0, 6}, {2, 3}, {4, 1}};

class CountedLabels : public testing::Test {
 protected:
  static Counts count(const caffe::LayerParameter& layer, int top = 1) {
    return test::open_stream(layer, test::options())->count_labels(top);
  }
  std::string database(const std::string& name, const test::Records& more = {}) {
    test::Records records;
    for (int i = 0; i < 10; ++i) records.emplace_back(test::key(i), test::raw_datum(i, 1, 1, 1, kLabels[i]));
    records.insert(records.end(), more.begin(), more.end());
    test::write_lmdb(folder_ / name, records);
    return folder_ / name;
  }
  caffe::LayerParameter images(const std::string& fields, const std::string& transform = "") {
    std::ofstream list(folder_ / "list.txt");
    for (int i = 0; i < 10; ++i) {
      std::ofstream(folder_ / (std::to_string(i) + ".pgm")) << "P5 1 1 255\n" << static_cast<char>(i);
      list << folder_ / (std::to_string(i) + ".pgm") << " " << kLabels[i] << "\n";
    }
    list.close();
    return test::layer_of("name: 'data' type: 'ImageData' top: 'data' top: 'label' transform_param { " + transform +
                          " } image_data_param { source: '" + folder_ / "list.txt" +
                          "' batch_size: 3 is_color: false " + fields + " }");
  }

  const test::TemporaryFolder folder_;
};

TEST_F(CountedLabels, OfADatabase) {
  EXPECT_EQ(count(test::data_layer(database("db"), 4)), Counts(kCounts));
  EXPECT_EQ(count(test::data_layer(database("again"), 4), 0), std::nullopt);
  EXPECT_EQ(count(test::data_layer(database("mixed"), 4, "", "mix { mixup: 1 classes: 5 }")), std::nullopt);
}

TEST_F(CountedLabels, AreThoseOfAllRecordsWhateverIsSampled) {
  EXPECT_EQ(count(test::data_layer(database("db"), 4, "shuffle: true sampling { balance_classes: true }")),
            Counts(kCounts));
}

TEST_F(CountedLabels, SkipBadRecordsOnRequest) {
  const std::string source = database("db", {{test::key(10), "no datum"}});
  EXPECT_EQ(count(test::data_layer(source, 4, "skip_bad_records: true")), Counts(kCounts));
  const auto stream = test::open_stream(test::data_layer(source, 4), test::options());
  test::expect_contains(test::error_text([&] { stream->count_labels(1); }, ExitCode::kData),
                        {"layer \"data\" (Data): record 10", "skip_bad_records: true"});
}

TEST_F(CountedLabels, OfImages) {
  EXPECT_EQ(count(images("")), Counts(kCounts));
  EXPECT_EQ(count(images("label_kind: VALUES")), std::nullopt);
  EXPECT_EQ(count(images("", "mix { cutmix: 1 classes: 5 }")), std::nullopt);
}

// Labels of two files, two in a row; 0.5 is not a class.
TEST_F(CountedLabels, OfHdf5Files) {
  const std::vector<float> images(6), labels = {0, 2, 0, 0, 4, 0.5f};
  std::ofstream list(folder_ / "files.txt");
  for (const char* name : {"a.h5", "b.h5"}) {
    Hdf5File file = Hdf5File::create(folder_ / name);
    file.write_floats("data", Shape{3, 2}, images.data());
    file.write_floats("label", Shape{3, 2}, labels.data());
    file.close();
    list << folder_ / name << "\n";
  }
  list.close();
  EXPECT_EQ(count(test::layer_of("name: 'data' type: 'HDF5Data' top: 'data' top: 'label' hdf5_data_param { source: '" +
                                 folder_ / "files.txt" + "' batch_size: 4 shuffle: true }")),
            Counts(LabelCounts{{0, 6}, {2, 2}, {4, 2}}));
}

}  // namespace
}  // namespace trainer
