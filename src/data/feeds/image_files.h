// The image files of a list, decoded, with a cache on request.
#pragma once

#include <memory>

#include "data/feeds/blob_cache.h"
#include "data/feeds/image_list.h"
#include "data/feeds/picture_feed.h"
#include "data/pictures/image_file_reader.h"

namespace trainer {

// What a cache keeps of each image, and of its mask.
struct ImageCache {
  bool decoded = false;  // otherwise files as they are
  BlobCache blobs;       // entry i: image i; entry i + number of images: its mask
};

// The cache that the layer asks for; nullptr for cache: NONE. Logs what it will keep; warns if it will not keep all.
std::shared_ptr<ImageCache> open_image_cache(SourceContext& context, const ImageList& list,
                                             const ImageReading& reading);

class ImageFileDecoder : public RecordDecoder {
 public:
  // `cache` may be nullptr.
  ImageFileDecoder(std::shared_ptr<const ImageList> list, const ImageReading& reading,
                   std::shared_ptr<ImageCache> cache)
      : list_(std::move(list)), cache_(std::move(cache)), reader_(reading) {}

  ItemShape shape(const Record& record) override;
  PixelView decode(const Record& record, PartChoice& choice, float* label) override;
  PixelView decode_stored(const Record& record, float* label) override;
  ItemShape resized(const ItemShape& stored) const override { return reader_.resized(stored); }
  std::string_view image_file() const override { return bytes_; }
  PixelView mask(const Record& record) override;

 private:
  void write_label(const Record& record, float* label) const;
  // The file of an entry of the cache.
  std::string_view file(uint64_t entry, const std::string& path);

  std::shared_ptr<const ImageList> list_;
  std::shared_ptr<ImageCache> cache_;
  ImageFileReader reader_;
  std::string bytes_, mask_bytes_;
  bool reader_has_image_ = false;  // it decoded the last image, which the cache did not hold
};

}  // namespace trainer
