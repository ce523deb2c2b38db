// Pictures of different sizes, one per batch, with a label for each pixel.
#include <algorithm>

#include "data/small_data.h"
#include "train/train_net.h"

namespace trainer {
namespace {

constexpr int kLargest = 12, kPictures = 7, kIgnored = 255;

int height_of(int i) { return 6 + (i * 5) % 7; }
int width_of(int i) { return 5 + (i * 3) % 8; }

std::string datum(int channels, int height, int width, const std::string& bytes) {
  caffe::Datum datum;
  datum.set_channels(channels);
  datum.set_height(height);
  datum.set_width(width);
  datum.set_data(bytes);
  return datum.SerializeAsString();
}

// Pictures and masks in their own sizes, or padded to the largest size with zeros and ignored labels.
void write(const TempFolder& folder, const std::string& name, bool padded) {
  test::Records pictures, masks;
  for (int i = 0; i < kPictures; ++i) {
    const int height = padded ? kLargest : height_of(i), width = padded ? kLargest : width_of(i);
    std::string pixels, labels;
    for (int c = 0; c < 3; ++c)
      for (int h = 0; h < height; ++h)
        for (int w = 0; w < width; ++w) {
          const bool inside = h < height_of(i) && w < width_of(i);
          pixels += static_cast<char>(inside ? test::pixel(i, c, h, w) : 0);
          if (c == 0) labels += static_cast<char>(inside ? (h + w + i) % 4 : kIgnored);
        }
    pictures.push_back({test::key(i), datum(3, height, width, pixels)});
    masks.push_back({test::key(i), datum(1, height, width, labels)});
  }
  test::write_lmdb(folder / name + "_pictures", pictures);
  test::write_lmdb(folder / name + "_masks", masks);
}

std::string net(const TempFolder& folder, const std::string& name) {
  const auto source = [&](const std::string& kind, const std::string& top, const std::string& transform) {
    return "layer { name: \"" + kind + "\" type: \"Data\" top: \"" + top + "\" " + transform +
           " data_param { source: \"" + (folder / name) + "_" + kind + "\" backend: LMDB batch_size: 1 } }\n";
  };
  return source("pictures", "data", "transform_param { scale: 0.01 }") + source("masks", "label", "") + R"(
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 8 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "score" type: "Convolution" bottom: "conv" top: "score"
  convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" loss_param { ignore_label: 255 } }
)";
}

TEST(ChangingSizes, ALearnedBlobThatWouldHaveToChangeIsNamed) {
  const TempFolder folder;
  write(folder, "own", false);
  const std::string text = net(folder, "own") + R"(
layer { name: "ip" type: "InnerProduct" bottom: "score" top: "ip" inner_product_param { num_output: 2 } }
layer { name: "sum" type: "Reduction" bottom: "ip" top: "sum" loss_weight: 1 })";
  try {
    train_net(folder, "ip", text);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kData);
    EXPECT_NE(std::string(error.what()).find("layer \"ip\" (InnerProduct): this batch, of (1,3,"), std::string::npos)
        << error.what();
  }
}

TEST(ChangingSizes, TrainAsIfTheyWerePaddedAndThePaddingIgnored) {
  const TempFolder folder;
  write(folder, "own", false);
  write(folder, "padded", true);
  const WeightFile own = train_net(folder, "own", net(folder, "own"));
  const WeightFile padded = train_net(folder, "padded", net(folder, "padded"));
  expect_near_blobs(layer_called(own, "conv"), layer_called(padded, "conv"));
  expect_near_blobs(layer_called(own, "score"), layer_called(padded, "score"));
}

}  // namespace
}  // namespace trainer
