// The steps of transform_param's augment: pixels, draws, order, and a registered step for each field of the schema.
#include "data/pictures/steps/step.h"
#include "data/small_data.h"
#include "formats/hdf5_file.h"
#include "formats/mean_file.h"

namespace trainer {
namespace {

using test::data_layer;
using test::options;
using test::take_many;

constexpr const char* kFlip = "augment { vertical_flip { probability: 1 } } ";

// One channel, 3 high and 2 wide:
//   1 2
//   3 4
//   5 6
std::string small_picture() {
  caffe::Datum datum;
  datum.set_channels(1);
  datum.set_height(3);
  datum.set_width(2);
  datum.set_data("\1\2\3\4\5\6");
  return datum.SerializeAsString();
}

class Augment : public testing::Test {
 protected:
  void SetUp() override { test::write_lmdb(folder_ / "db", {{"a", small_picture()}}); }
  std::vector<float> item(const std::string& transform, caffe::Phase phase = caffe::TRAIN,
                          MemoryFormat order = MemoryFormat::kRowMajor) {
    auto stream = test::open_stream(data_layer(folder_ / "db", 1, "", transform), options(phase));
    stream->set_orders({order});
    stream->start();
    return take_many(*stream, 1)[0].tops[0];
  }
  test::TemporaryFolder folder_;
};

TEST_F(Augment, VerticalFlipTurnsRowsAround) {
  EXPECT_EQ(item(kFlip), (std::vector<float>{5, 6, 3, 4, 1, 2}));
  EXPECT_EQ(item(kFlip, caffe::TRAIN, MemoryFormat::kChannelsLast), (std::vector<float>{5, 6, 3, 4, 1, 2}));
  EXPECT_EQ(item(std::string(kFlip) + kFlip), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(item("augment { vertical_flip { probability: 0 } }"), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(item(kFlip, caffe::TEST), (std::vector<float>{1, 2, 3, 4, 5, 6}));
}

// The mean image and scale apply to the flipped picture.
TEST_F(Augment, ActsBeforeMeanAndScale) {
  MeanImage mean;
  mean.shape = Shape{1, 3, 2};
  mean.data = {1, 1, 2, 2, 0, 1};
  write_mean_file(folder_ / "mean.binaryproto", mean);
  const std::string mean_file = "mean_file: '" + folder_ / "mean.binaryproto" + "' scale: 2 ";
  EXPECT_EQ(item(kFlip + mean_file), (std::vector<float>{8, 10, 2, 4, 2, 2}));
  EXPECT_EQ(item(kFlip + std::string("mean_value: 1 scale: 0.5")), (std::vector<float>{2, 2.5f, 1, 1.5f, 0, 0.5f}));
}

// Flips half of the pictures, other ones in each epoch; crop_size then crops the result of the step.
TEST_F(Augment, DrawsAnewForEachPicture) {
  test::Records records;
  for (int i = 0; i < 100; ++i) records.emplace_back(test::key(i), small_picture());
  test::write_lmdb(folder_ / "hundred", records);
  const auto flips = [&](int workers) {
    auto stream = test::open_stream(data_layer(folder_ / "hundred", 100, "", "augment { vertical_flip { } }"),
                                    options(caffe::TRAIN, workers));
    stream->start();
    std::vector<std::vector<bool>> epochs;
    for (const test::Batch& batch : take_many(*stream, 2)) {
      epochs.emplace_back();
      for (size_t n = 0; n < 100; ++n) epochs.back().push_back(batch.tops[0][n * 6] == 5);
    }
    return epochs;
  };
  const std::vector<std::vector<bool>> one = flips(1);
  const auto flipped = std::count(one[0].begin(), one[0].end(), true);
  EXPECT_GT(flipped, 30);
  EXPECT_LT(flipped, 70);
  EXPECT_NE(one[0], one[1]);
  EXPECT_EQ(flips(3), one);
}

TEST_F(Augment, LeavesTheDrawsOfCropAndMirrorAlone) {
  test::write_lmdb(folder_ / "large", test::raw_records(20, 3, 9, 8));
  const auto batches = [&](const std::string& augment) {
    auto stream =
        test::open_stream(data_layer(folder_ / "large", 20, "", augment + "crop_size: 4 mirror: true"), options());
    stream->start();
    return take_many(*stream, 3);
  };
  const std::vector<test::Batch> plain = batches("");
  EXPECT_TRUE(batches("augment { vertical_flip { probability: 0 } } ") == plain);
  EXPECT_TRUE(batches(std::string(kFlip) + kFlip) == plain);
  EXPECT_FALSE(batches(kFlip) == plain);
}

TEST_F(Augment, ActsOnMemoryData) {
  Hdf5File file = Hdf5File::create(folder_ / "x.h5");
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  file.write_floats("data", Shape{1, 1, 3, 2}, values.data());
  file.write_floats("label", Shape{1}, values.data());
  file.close();
  auto stream = test::open_stream(
      test::layer_of("name: 'data' type: 'MemoryData' top: 'data' top: 'label' memory_data_param { source: '" +
                     folder_ / "x.h5" + "' batch_size: 1 channels: 1 height: 3 width: 2 } transform_param { " + kFlip +
                     "}"),
      options());
  stream->start();
  EXPECT_EQ(take_many(*stream, 1)[0].tops[0], (std::vector<float>{5, 6, 3, 4, 1, 2}));
}

TEST(AugmentSteps, AreRegisteredForEachOfTheSchema) {
  const google::protobuf::Descriptor* schema = caffe::AugmentStep::descriptor();
  ASSERT_EQ(schema->field_count(), static_cast<int>(step_names().size()));
  for (int i = 0; i < schema->field_count(); ++i) {
    caffe::AugmentStep step;
    step.GetReflection()->MutableMessage(&step, schema->field(i));
    EXPECT_EQ(find_step_type(step)->field, schema->field(i)->name());
  }
  EXPECT_EQ(find_step_type(caffe::AugmentStep()), nullptr);
}

}  // namespace
}  // namespace trainer
