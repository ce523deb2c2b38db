// ImageData with a cache, and with JPEG files that are decoded in part or reduced.
#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <thread>

#include "data/feeds/blob_cache.h"
#include "data/feeds/image_files.h"
#include "data/jpeg_file.h"
#include "data/small_data.h"
#include "formats/temp_folder.h"

namespace trainer {
namespace {

using test::error_text;
using test::options;
using test::take_many;

TEST(BlobCache, KeepsTheFirstBytesOfEachBlob) {
  const TempFolder folder;
  BlobCache memory(3, int64_t{1} << 20), file(3, folder / "", false), large(3, folder / "", true);
  for (BlobCache* cache : {&memory, &file, &large}) {
    EXPECT_EQ(cache->find(1).data(), nullptr);
    cache->keep(1, "head ", "tail");
    cache->keep(1, "other", "");
    cache->keep(2, "", "");
    EXPECT_EQ(cache->find(1), "head tail");
    EXPECT_EQ(cache->find(2), "");
    EXPECT_NE(cache->find(2).data(), nullptr);
    EXPECT_EQ(cache->find(0).data(), nullptr);
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder / ""));
}

TEST(BlobCache, KeepsNoMoreThanItsLimit) {
  BlobCache cache(10, 200);
  for (uint64_t i = 0; i < 10; ++i) cache.keep(i, "", std::string(48, 'x'));  // 64 bytes with the size
  EXPECT_NE(cache.find(2).data(), nullptr);
  EXPECT_EQ(cache.find(3).data(), nullptr);
}

TEST(BlobCache, BlobsMayBeLargerThanASegment) {
  BlobCache cache(2, int64_t{1} << 30);
  const std::string large(size_t{65} << 20, 'x');
  cache.keep(0, "a", large);
  cache.keep(1, "b", "");
  EXPECT_EQ(cache.find(0).size(), large.size() + 1);
  EXPECT_EQ(cache.find(1), "b");
}

TEST(BlobCache, ThreadsShareIt) {
  const TempFolder folder;
  BlobCache cache(2000, folder / "", true);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (uint64_t i = 0; i < 2000; ++i) cache.keep(i, std::to_string(i), std::string(i, 'x'));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (uint64_t i = 0; i < 2000; ++i) EXPECT_EQ(cache.find(i), std::to_string(i) + std::string(i, 'x'));
}

TEST(BlobCache, AFullDiskEndsTheKeeping) {
  const TempFolder folder;
  BlobCache cache(2, folder / "", false);
  cache.keep(0, "", "small");
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{1000, before.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  cache.keep(1, "", std::string(5000, 'x'));
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(cache.find(0), "small");
  EXPECT_EQ(cache.find(1).data(), nullptr);
}

TEST(BlobCache, AFolderThatDoesNotExistIsNamed) {
  test::expect_contains(error_text([] { BlobCache(1, "/nowhere", false); }),
                        {"/nowhere cannot hold the cache", "TMPDIR"});
}

// A smooth picture, so that decoders of any kind agree on it.
std::string jpeg_file(int height, int width, int phase = 0) {
  std::vector<uint8_t> pixels;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c)
        pixels.push_back(static_cast<uint8_t>(128 + 60 * std::sin(y * 0.011 + c + phase) + 60 * std::cos(x * 0.017)));
    }
  }
  return test::jpeg_file(pixels, height, width, {TJPF_BGR, TJSAMP_420, 97, 0});
}

class CachedImages : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string list, masks;
    for (int i = 0; i < kImages; ++i) {
      const std::string name = std::to_string(i) + ".jpg";
      folder_.write(name, jpeg_file(40 + i, 50 + i, i));
      list += name + " " + std::to_string(i) + "\n";
    }
    folder_.write("list", list);
  }

  caffe::LayerParameter layer(const std::string& fields, const std::string& transform) const {
    return test::layer_of("name: 'data' type: 'ImageData' top: 'data' top: 'label' image_data_param { source: '" +
                          (folder_ / "list") + "' root_folder: '" + (folder_ / "") + "' batch_size: 4 shuffle: true " +
                          fields + " } transform_param { " + transform + " }");
  }
  std::vector<test::Batch> batches(const std::string& fields, const std::string& transform, int workers = 1) const {
    auto stream = test::open_stream(layer(fields, transform), options(caffe::TRAIN, workers));
    stream->start();
    return take_many(*stream, 2 * kImages / 4 + 2);
  }

  static constexpr int kImages = 6;
  TempFolder folder_;
};

TEST_F(CachedImages, GiveTheSameBatches) {
  const std::vector<test::Batch> cropped = batches("", "crop_size: 20 mirror: true");
  const std::vector<test::Batch> augmented = batches("", test::kEveryStep);
  const std::vector<test::Batch> resized = batches("new_height: 24 new_width: 25", "mirror: true");
  for (const std::string cache : {"cache: MEMORY", "cache: DISK"}) {
    for (const int workers : {1, 3}) {
      SCOPED_TRACE(cache);
      EXPECT_EQ(batches(cache, "crop_size: 20 mirror: true", workers), cropped);
      EXPECT_EQ(batches(cache, test::kEveryStep, workers), augmented);
      EXPECT_EQ(batches(cache + " new_height: 24 new_width: 25", "mirror: true", workers), resized);
    }
  }
}

TEST_F(CachedImages, AreReadOnce) {
  for (const std::string cache : {"cache: MEMORY", "cache: DISK"}) {
    SetUp();
    const std::vector<test::Batch> expected = batches("", "crop_size: 20");
    auto stream = test::open_stream(layer(cache, "crop_size: 20"), options());
    stream->start();
    std::vector<test::Batch> taken = take_many(*stream, 2);  // 8 of 6 images
    for (int i = 0; i < kImages; ++i) std::filesystem::remove(folder_ / (std::to_string(i) + ".jpg"));
    const std::vector<test::Batch> rest = take_many(*stream, 3);
    taken.insert(taken.end(), rest.begin(), rest.end());
    EXPECT_EQ(taken, expected);
  }
}

class AnyPart : public PartChoice {
 public:
  PicturePart choose(const ItemShape& picture) override { return PicturePart(Rectangle{0, 0, 8, 8}); }
};

TEST_F(CachedImages, AreKeptAsFilesWhereDecodedOnesDoNotFit) {
  const auto list = std::make_shared<const ImageList>(read_image_list(folder_ / "list", folder_ / ""));
  const std::shared_ptr<ImageCache> cache(new ImageCache{false, {2 * list->size(), int64_t{1} << 20}});
  ImageFileDecoder decoder(list, {}, cache);
  AnyPart part;
  Record record;
  record.index = 2;
  float label = 0;
  const std::vector<uint8_t> before(decoder.decode(record, part, &label).bytes,
                                    decoder.decode(record, part, &label).bytes + 24);
  EXPECT_EQ(label, 2);
  EXPECT_EQ(cache->blobs.find(2), jpeg_file(42, 52, 2));
  std::filesystem::remove(folder_ / "2.jpg");
  const PixelView after = decoder.decode(record, part, &label);
  EXPECT_EQ(std::vector<uint8_t>(after.bytes, after.bytes + 24), before);
}

double difference(const std::vector<test::Batch>& a, const std::vector<test::Batch>& b) {
  double most = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t v = 0; v < a[i].tops[0].size(); ++v)
      most = std::max(most, std::fabs(static_cast<double>(a[i].tops[0][v] - b[i].tops[0][v])));
  }
  return most;
}

TEST_F(CachedImages, OfJpegAreReducedInDecodingUnlessExact) {
  for (int i = 0; i < kImages; ++i) folder_.write(std::to_string(i) + ".jpg", jpeg_file(900, 1200 + i, i));
  for (const std::string step : {"random_resized_crop { size: 32 }", "resize { size: 40 }",
                                 "resize { short_side: 30 "
                                 "} } augment { center_crop { size: 30 }"}) {
    SCOPED_TRACE(step);
    const std::vector<test::Batch> fast = batches("", "augment { " + step + " }");
    const std::vector<test::Batch> exact = batches("exact_decode: true", "augment { " + step + " }");
    EXPECT_LE(difference(fast, exact), 3);
    EXPECT_GT(difference(fast, exact), 0);
  }
}

}  // namespace
}  // namespace trainer
