// Weight files: hand-written byte strings (Python's struct.pack) and round trips.
#include "formats/weights.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "formats/hdf5_file.h"
#include "sparse_dataset.h"
#include "temp_folder.h"
#include "trainer.pb.h"

namespace trainer {
namespace {

// Net "tiny": layer "ip" with a 2x3 blob, a group and other unknown fields, field 7 once as a number, a legacy 1x1x1x2
// blob with unpacked values; layer "d", whose doubles take precedence over its floats, with gradients.
const char* const kTiny =
    "0a0474696e79a206630a026970120c496e6e657250726f6475637438033a202a180000803f0000004000004040000080400000a0"
    "400000c0"
    "403a040a020203c30c0805cb0c4a0378797acc0cc40cb109000000000000f03f3a1208011001180120022d000000bf2d0000803e"
    "9d060000"
    "803fa206350a01641204426961733a264210000000000000f83f00000000000004402a040000104132080000e040000000413a02"
    "08021a02"
    "6970";

// A V1 layer (type 4, 2x1x1x1) and a V0 layer nested in one.
const char* const kOld =
    "0a036f6c6412281204646174611a04636f6e762204636f6e762804321208021001180120012a08000040400000804012250a230a"
    "02666312"
    "0c696e6e657270726f6475637492030e08011001180120012a0400000041";

// Blobs of raw values: float16 (including a denormal and infinity), double, float, and float16 with gradients.
const char* const kRaw =
    "0a0468616c66a206630a026970120c496e6e657250726f647563743a165002620c003c00b8ff7b01005535007c3a040a0202033a1150006208"
    "000000000000f83f3a030a01013a115001620800004040000080403a030a01023a1150025802620200406a0200803a030a0101";

std::shared_ptr<const caffe::PictureInput> gray_pictures() {
  auto input = std::make_shared<caffe::PictureInput>();
  input->set_is_color(false);
  input->set_new_height(28);
  input->set_new_width(28);
  input->mutable_transform_param()->add_mean_value(33);
  return input;
}

std::string read_error(const TempFolder& folder, const std::string& bytes) {
  const std::string path = folder.write("bad.caffemodel", bytes);
  return data_error_of([&] { read_weights(path); });
}

TEST(Weights, ReadsTheBinaryFormAndSkipsUnknownFields) {
  const TempFolder folder;
  const WeightFile file = read_weights(folder.write("a.caffemodel", from_hex(kTiny)));
  EXPECT_EQ(file.net_name, "tiny");
  EXPECT_FALSE(file.omits_shared);
  ASSERT_EQ(file.layers.size(), 2u);
  const WeightLayer& ip = file.layers[0];
  EXPECT_EQ(ip.name, "ip");
  EXPECT_EQ(ip.type, "InnerProduct");
  ASSERT_EQ(ip.blobs.size(), 2u);
  EXPECT_EQ(ip.blobs[0].shape, Shape({2, 3}));
  EXPECT_FALSE(ip.blobs[0].legacy_shape);
  EXPECT_EQ(ip.blobs[0].data, (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(ip.blobs[1].shape, Shape({1, 1, 1, 2}));
  EXPECT_TRUE(ip.blobs[1].legacy_shape);
  EXPECT_EQ(ip.blobs[1].data, (std::vector<float>{-0.5f, 0.25f}));
  const WeightLayer& d = file.layers[1];
  EXPECT_EQ(d.name, "d");
  ASSERT_EQ(d.blobs.size(), 1u);
  EXPECT_EQ(d.blobs[0].shape, Shape({2}));
  EXPECT_EQ(d.blobs[0].data, (std::vector<float>{1.5f, 2.5f}));
  EXPECT_EQ(d.blobs[0].diff, (std::vector<float>{7, 8}));
}

TEST(Weights, ReadsTheOldGenerations) {
  const TempFolder folder;
  const WeightFile file = read_weights(folder.write("a.caffemodel", from_hex(kOld)));
  ASSERT_EQ(file.layers.size(), 2u);
  EXPECT_EQ(file.layers[0].name, "conv");
  EXPECT_EQ(file.layers[0].type, "Convolution");
  EXPECT_EQ(file.layers[0].blobs.at(0).data, (std::vector<float>{3, 4}));
  EXPECT_EQ(file.layers[1].name, "fc");
  EXPECT_EQ(file.layers[1].type, "innerproduct");
  EXPECT_EQ(file.layers[1].blobs.at(0).data, (std::vector<float>{8}));
}

TEST(Weights, ReadsRawValues) {
  const TempFolder folder;
  const WeightFile file = read_weights(folder.write("a.caffemodel", from_hex(kRaw)));
  ASSERT_EQ(file.layers.size(), 1u);
  const std::vector<WeightBlob>& blobs = file.layers[0].blobs;
  ASSERT_EQ(blobs.size(), 4u);
  EXPECT_EQ(blobs[0].shape, Shape({2, 3}));
  EXPECT_EQ(blobs[0].data, (std::vector<float>{1, -0.5f, 65504, 0x1p-24f, 0.333251953125f, INFINITY}));
  EXPECT_EQ(blobs[1].data, (std::vector<float>{1.5f}));
  EXPECT_EQ(blobs[2].data, (std::vector<float>{3, 4}));
  EXPECT_EQ(blobs[3].data, (std::vector<float>{2}));
  ASSERT_EQ(blobs[3].diff, (std::vector<float>{0}));
  EXPECT_TRUE(std::signbit(blobs[3].diff[0]));
}

TEST(Weights, NamesTheDefect) {
  const TempFolder folder;
  EXPECT_TRUE(contains(read_error(folder, from_hex("a206120a01783a0d50036204000000003a030a0101")),
                       "its raw values have type 3; supported are 0 (double), 1 (float) and 2 (float16)"));
  EXPECT_TRUE(contains(read_error(folder, from_hex("a206110a01783a0c500262030000003a030a0101")),
                       "3 bytes of raw values of 2 bytes each"));
  EXPECT_TRUE(contains(read_error(folder, from_hex("a206190a01783a142a0c0000803f00000040000040403a040a020202")),
                       "layer \"x\" (number 1 in the file), blob 0: its shape (2,2) does not fit its 3 values"));
  // Extents whose product overflows, and negative extents with the right product.
  EXPECT_TRUE(contains(read_error(folder, from_hex("a206290a01783a242a0c0000803f00000040000040403a140a12808080808080"
                                                   "808040808080808080808040")),
                       "does not fit its 3 values"));
  EXPECT_TRUE(contains(read_error(folder, from_hex("a2062b0a01783a262a0c0000803f00000040000040403a160a14fdffffffffff"
                                                   "ffffff01ffffffffffffffffff01")),
                       "does not fit its 3 values"));
  const std::string cut = read_error(folder, from_hex(kTiny).substr(0, 50));
  EXPECT_TRUE(contains(cut, "the file is 50 bytes long and ends inside layer \"ip\""));
  EXPECT_TRUE(contains(cut, "should reach byte 108"));
  EXPECT_TRUE(contains(read_error(folder, ""), "is empty"));
  EXPECT_TRUE(contains(read_error(folder, "name: \"LeNet\"\nlayer { }\n"), "is text"));
  EXPECT_TRUE(contains(read_error(folder, from_hex("0807120161")), "looks like a solver state"));
  EXPECT_TRUE(contains(data_error_of([&] { read_weights(folder / "none"); }), "No such file"));
  EXPECT_TRUE(contains(data_error_of([&] { read_weights(folder.path()); }), "it is a folder"));
}

TEST(Weights, DamageGivesAnErrorOrOtherValues) {
  const TempFolder folder;
  int refused = 0;
  for (const char* text : {kTiny, kOld}) {
    const std::string good = from_hex(text);
    const auto attempt = [&](const std::string& bytes) {
      const std::string path = folder.write("fuzz", bytes);
      try {
        read_weights(path);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ExitCode::kData);
        ++refused;
      }
    };
    for (size_t i = 0; i < good.size(); ++i) {
      attempt(good.substr(0, i));
      for (int flip : {0x01, 0x04, 0x80}) {
        std::string bad = good;
        bad[i] = static_cast<char>(bad[i] ^ flip);
        attempt(bad);
      }
    }
  }
  EXPECT_GT(refused, 300);
}

TEST(Weights, WritesTheBytesOfTheBinaryForm) {
  const TempFolder folder;
  caffe::LayerParameter param;
  param.set_name("c");
  param.set_type("Bias");
  const std::vector<float> values = {1, 2};
  const std::vector<WeightLayerRef> layers = {{"c", &param, {{Shape({2}), values.data()}}}};
  const std::string expected = from_hex("0a016ea2061a0a01631204426961733a0f2a080000803f000000403a030a0102");
  EXPECT_EQ(binary_weights_size("n", {}, layers), static_cast<int64_t>(expected.size()));
  write_whole(write_weights, folder / "a.caffemodel", "n", {}, layers);
  EXPECT_EQ(read_all(folder / "a.caffemodel"), expected);
  EXPECT_EQ(folder.file_count(), 1u);
}

TEST(Weights, ProtobufReadsTheWrittenFile) {
  const TempFolder folder;
  caffe::LayerParameter param;
  param.set_name("conv");
  param.set_type("Convolution");
  param.mutable_convolution_param()->set_num_output(3);
  // Blobs inside the message are not the net's blobs and must not be written.
  param.add_blobs()->add_data(99);
  std::vector<float> values(100'000), diff(values.size());
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i), diff[i] = -values[i];
  const float scalar = 4;
  write_whole(write_weights, folder / "a", "net", {{"cat", "dog"}, gray_pictures()},
              {{"conv", &param, {{Shape({10, 10'000}), values.data(), diff.data()}, {Shape(), &scalar}}},
               {"empty", nullptr, {{Shape({0, 3}), nullptr}}}});
  caffe::NetParameter net;
  ASSERT_TRUE(net.ParseFromString(read_all(folder / "a")));
  ASSERT_EQ(net.layer_size(), 2);
  EXPECT_EQ(net.layer(0).convolution_param().num_output(), 3u);
  ASSERT_EQ(net.layer(0).blobs_size(), 2);
  EXPECT_EQ(net.layer(0).blobs(0).shape().dim(1), 10'000);
  EXPECT_TRUE(std::equal(values.begin(), values.end(), net.layer(0).blobs(0).data().begin()));
  EXPECT_TRUE(std::equal(diff.begin(), diff.end(), net.layer(0).blobs(0).diff().begin()));
  EXPECT_TRUE(net.layer(0).blobs(1).has_shape());
  EXPECT_EQ(net.layer(0).blobs(1).shape().dim_size(), 0);
  EXPECT_EQ(net.layer(1).name(), "empty");
  ASSERT_EQ(net.class_names_size(), 2);
  EXPECT_EQ(net.class_names(1), "dog");
  EXPECT_EQ(net.picture_input().transform_param().mean_value(0), 33.0f);

  const WeightFile back = read_weights(folder / "a");
  EXPECT_EQ(back.notes.class_names, (std::vector<std::string>{"cat", "dog"}));
  ASSERT_NE(back.notes.picture_input, nullptr);
  EXPECT_EQ(back.notes.picture_input->new_width(), 28u);
  EXPECT_EQ(back.layers[0].blobs[0].data, values);
  EXPECT_EQ(back.layers[0].blobs[0].diff, diff);
  EXPECT_EQ(back.layers[0].blobs[1].shape, Shape());
  EXPECT_EQ(back.layers[1].blobs[0].shape, Shape({0, 3}));
}

TEST(Weights, SuggestsHdf5IfTooLargeForTheBinaryForm) {
  // The data is never read: the size alone is an error.
  const float value = 0;
  const std::vector<WeightLayerRef> layers = {{"big", nullptr, {{Shape({1 << 20, 512}), &value}}}};
  const int64_t size = binary_weights_size("n", {}, layers);
  EXPECT_GT(size, kLargestBinaryMessage);
  const TempFolder folder;
  const std::string message = data_error_of([&] { write_whole(write_weights, folder / "a", "n", {}, layers); });
  EXPECT_TRUE(contains(message, "snapshot_format: HDF5"));
  EXPECT_EQ(folder.file_count(), 0u);
  EXPECT_NO_THROW(check_binary_size(kLargestBinaryMessage, "x"));
}

// An unknown field of 2.2 GB, stored as a hole in the file, followed by a layer.
TEST(Weights, ReadsBeyondTwoGigabytes) {
  const TempFolder folder;
  constexpr int64_t kHole = 2'200'000'000;
  const std::string head = from_hex("0a016e7a80ac859908"),
                    layer = from_hex("a206180a01783a132a0c0000803f00000040000040403a030a0103");
  const std::string path = folder.write("large.caffemodel", head);
  {
    std::ofstream file(path, std::ios::binary | std::ios::in | std::ios::ate);
    file.seekp(static_cast<std::streamoff>(head.size()) + kHole);
    file << layer;
  }
  const WeightFile file = read_weights(path);
  ASSERT_EQ(file.layers.size(), 1u);
  EXPECT_EQ(file.layers[0].name, "x");
  EXPECT_EQ(file.layers[0].blobs.at(0).data, (std::vector<float>{1, 2, 3}));
}

// 2^31 values, stored as a hole in the file.
TEST(Weights, RefusesMoreValuesThanABlobHas) {
  const TempFolder folder;
  const std::string head = from_hex("a2068f808080200a01783a86808080202a8080808020");
  const std::string path = folder.write("large.caffemodel", head);
  std::filesystem::resize_file(path, head.size() + (uintmax_t{1} << 33));
  EXPECT_TRUE(
      contains(data_error_of([&] { read_weights(path); }),
               "layer \"x\" (number 1 in the file), blob 0: more than 2147483647 values, which no blob can have"));

  const std::string hdf5 = folder / "large.caffemodel.h5";
  write_whole(write_weights_hdf5, hdf5, {}, {{"x", nullptr, {}}});
  add_sparse_dataset(hdf5, "data/x/0", {65536, 32768});
  EXPECT_TRUE(contains(data_error_of([&] { read_weights(hdf5); }),
                       "dataset \"data/x/0\" (65536,32768) is not a blob: it has more than 2147483647 values"));
}

TEST(Weights, Hdf5KeepsNamesSharingAndGradients) {
  const TempFolder folder;
  const std::string path = folder / "a.caffemodel.h5";
  const std::vector<float> a = {1, 2, 3, 4, 5, 6}, b = {7}, diff = {6, 5, 4, 3, 2, 1};
  write_whole(write_weights_hdf5, path, {{"cat", "snow leopard"}, gray_pictures()},
              {{"inception/3x3", nullptr, {{Shape({2, 3}), a.data(), diff.data()}}},
               {"inception", nullptr, {{Shape({1}), b.data()}}},
               {"tied", nullptr, {{Shape({2, 3}), a.data(), nullptr, true}, {Shape({1}), b.data()}}},
               {"relu/x", nullptr, {}}});
  const WeightFile file = read_weights(path);
  EXPECT_EQ(file.notes.class_names, (std::vector<std::string>{"cat", "snow leopard"}));
  ASSERT_NE(file.notes.picture_input, nullptr);
  EXPECT_FALSE(file.notes.picture_input->is_color());
  EXPECT_TRUE(file.omits_shared);
  const auto layer = [&](const std::string& name) -> const WeightLayer& {
    const auto found = std::find_if(file.layers.begin(), file.layers.end(),
                                    [&](const WeightLayer& each) { return each.name == name; });
    EXPECT_NE(found, file.layers.end()) << name;
    return *found;
  };
  ASSERT_EQ(file.layers.size(), 4u);
  EXPECT_EQ(layer("inception/3x3").blobs.at(0).data, a);
  EXPECT_EQ(layer("inception/3x3").blobs.at(0).shape, Shape({2, 3}));
  EXPECT_EQ(layer("inception/3x3").blobs.at(0).diff, diff);
  EXPECT_EQ(layer("inception").blobs.at(0).data, b);
  EXPECT_FALSE(layer("tied").blobs.at(0).present);
  EXPECT_EQ(layer("tied").blobs.at(1).data, b);
  EXPECT_TRUE(layer("relu/x").blobs.empty());
  const Hdf5File raw = Hdf5File::open(path);
  EXPECT_EQ(raw.children(""), (std::vector<std::string>{"class_names", "data", "diff", "picture_input"}));
  EXPECT_FALSE(raw.has_dataset("data/tied/0"));
  const float value = 0;
  const BlobRef blob{Shape({1}), &value};
  // Two layers with the same name; a layer at the path of another layer's blob, and a layer below that path.
  for (const std::vector<WeightLayerRef>& layers :
       std::vector<std::vector<WeightLayerRef>>{{{"a", nullptr, {blob}}, {"a", nullptr, {blob}}},
                                                {{"a", nullptr, {blob}}, {"a/0", nullptr, {}}},
                                                {{"a/0/b", nullptr, {blob}}, {"a", nullptr, {blob}}}}) {
    EXPECT_TRUE(
        contains(data_error_of([&] { write_whole(write_weights_hdf5, folder / "b.h5", {}, layers); }), "BINARYPROTO"));
  }
  EXPECT_NO_THROW(check_hdf5_names("x", {{"a", 1}, {"a/1", 1}, {"a/1/2", 0}, {"relu", 0}, {"relu", 0}}));
  for (const char* name : {"", ".", "a//b", "/a", "a/", "a/./b"}) {
    EXPECT_TRUE(contains(data_error_of([&] {
                           write_whole(write_weights_hdf5, folder / "b.h5", {}, {{name, nullptr, {}}});
                         }),
                         "BINARYPROTO"));
  }
  EXPECT_EQ(folder.file_count(), 1u);
}

}  // namespace
}  // namespace trainer
