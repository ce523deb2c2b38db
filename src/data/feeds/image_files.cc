// Reads, decodes and keeps image files.
#include "data/feeds/image_files.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "base/cgroups.h"
#include "base/error.h"
#include "base/text.h"

namespace trainer {

namespace {

using caffe::ImageDataParameter;

// A decoded picture in the cache: its extents, then its pixels.
struct KeptPixels {
  int64_t channels, height, width;
};

void keep_pixels(BlobCache& blobs, uint64_t entry, const PixelView& view) {
  const KeptPixels head{view.shape.channels, view.shape.height, view.shape.width};
  blobs.keep(entry, {reinterpret_cast<const char*>(&head), sizeof head},
             {reinterpret_cast<const char*>(view.bytes), static_cast<size_t>(view.shape.count())});
}

// False if the cache does not hold it.
bool find_pixels(const BlobCache& blobs, uint64_t entry, PixelView& view) {
  const std::string_view kept = blobs.find(entry);
  if (kept.data() == nullptr) return false;
  KeptPixels head;
  std::memcpy(&head, kept.data(), sizeof head);
  view.shape = {head.channels, head.height, head.width};
  view.bytes = reinterpret_cast<const uint8_t*>(kept.data() + sizeof head);
  view.interleaved = true;
  return true;
}

// Bytes of all images and masks.
struct Estimate {
  double files = 0, decoded = 0;
};

// From some evenly spaced images. Those that cannot be read are reported when a batch reads them.
Estimate estimate(const ImageList& list, const ImageReading& reading) {
  constexpr uint64_t kSamples = 64;
  const uint64_t samples = std::min(kSamples, list.size());
  const bool masks = list.label_values() == 0;
  ImageFileReader reader(reading);
  Estimate sum;
  double read = 0;
  for (uint64_t i = 0; i < samples; ++i) {
    const uint64_t image = list.size() * i / samples;
    try {
      const ItemShape shape = reader.shape(list.file(image));
      sum.files += static_cast<double>(reader.file().size());
      sum.decoded += static_cast<double>((shape.channels + (masks ? 1 : 0)) * shape.height * shape.width);
      if (masks) sum.files += static_cast<double>(std::filesystem::file_size(list.mask_file(image)));
      ++read;
    } catch (const std::exception&) {
      continue;
    }
  }
  const double factor = read == 0 ? 0 : static_cast<double>(list.size()) / read;
  return {sum.files * factor, sum.decoded * factor};
}

std::string bytes_text(double bytes) { return format_bytes(static_cast<int64_t>(bytes)); }

// "about 40%"
std::string part_text(double limit, double all) { return fmt::format("about {:.0f}%", 100 * limit / all); }

// Bytes that the caches of this process may use. One thread opens and closes data sets.
int64_t memory_promised = 0;

std::shared_ptr<ImageCache> cache_in_memory(SourceContext& context, const ImageList& list, const Estimate& size) {
  constexpr double kMargin = 1.1;  // the sizes are estimates
  const double limit =
      static_cast<double>(std::max<int64_t>(free_host_memory() - memory_promised, 0)) / 2 / context.options().world;
  const bool decoded = size.decoded * kMargin <= limit;
  const double bytes = (decoded ? size.decoded : size.files) * kMargin;
  const std::string images = format_count(static_cast<int64_t>(list.size()));
  if (decoded) {
    context.note(fmt::format("cache: MEMORY keeps {} decoded images, about {}", images, bytes_text(size.decoded)));
  } else {
    const std::string reason = fmt::format("decoded they take about {}, but half of the free memory is {}",
                                           bytes_text(size.decoded), bytes_text(limit));
    if (bytes <= limit)
      context.note(fmt::format("cache: MEMORY keeps the files of {} images, about {}: {}", images,
                               bytes_text(size.files), reason));
    else
      context.warning("image_data_param.cache",
                      fmt::format("cache: MEMORY keeps the files of {} of the {} images: they take about {}, and {}",
                                  part_text(limit, bytes), images, bytes_text(size.files), reason),
                      "cache: DISK keeps all of them decoded on a disk");
  }
  const auto promised = static_cast<int64_t>(std::min(bytes, limit));
  memory_promised += promised;
  const auto release = [promised](ImageCache* cache) {
    memory_promised -= promised;
    delete cache;
  };
  return {new ImageCache{decoded, {2 * list.size(), promised}}, release};
}

std::shared_ptr<ImageCache> cache_on_disk(SourceContext& context, const ImageList& list, const Estimate& size) {
  const char* temporary = std::getenv("TMPDIR");
  const std::string folder = temporary == nullptr || *temporary == 0 ? "/tmp" : temporary;
  const bool larger_than_memory = size.decoded > static_cast<double>(free_host_memory());
  std::shared_ptr<ImageCache> cache(new ImageCache{true, {2 * list.size(), folder, larger_than_memory}});
  struct statvfs disk {};
  const double left = statvfs(folder.c_str(), &disk) == 0
                          ? static_cast<double>(disk.f_bavail) * static_cast<double>(disk.f_frsize)
                          : size.decoded;
  const std::string images = format_count(static_cast<int64_t>(list.size()));
  if (left < size.decoded)
    context.warning(
        "image_data_param.cache",
        fmt::format("cache: DISK keeps {} of the {} images: they take about {} decoded, and {} has {} left",
                    part_text(left, size.decoded), images, bytes_text(size.decoded), folder, bytes_text(left)),
        "name another folder in the environment variable TMPDIR");
  else
    context.note(
        fmt::format("cache: DISK keeps {} decoded images in {}, about {}", images, folder, bytes_text(size.decoded)));
  return cache;
}

}  // namespace

std::shared_ptr<ImageCache> open_image_cache(SourceContext& context, const ImageList& list,
                                             const ImageReading& reading) {
  const ImageDataParameter& param = context.layer().image_data_param();
  std::shared_ptr<ImageCache> cache;
  const bool inspected = context.options().in_order && !context.options().whole_epochs;  // reads an image once
  if (param.cache() == ImageDataParameter::NONE || inspected) return cache;
  context.attempt("image_data_param.cache", [&] {
    const Estimate size = estimate(list, reading);
    cache = param.cache() == ImageDataParameter::MEMORY ? cache_in_memory(context, list, size)
                                                        : cache_on_disk(context, list, size);
  });
  return cache;
}

std::string_view ImageFileDecoder::file(uint64_t entry, const std::string& path) {
  const bool is_mask = entry >= list_->size(), kept = cache_ != nullptr && !cache_->decoded;
  if (kept) {
    if (const std::string_view bytes = cache_->blobs.find(entry); bytes.data() != nullptr) return bytes;
  }
  std::string& bytes = is_mask ? mask_bytes_ : bytes_;
  read_image_file(path, bytes, is_mask ? "mask" : "image");
  if (kept) cache_->blobs.keep(entry, bytes, {});
  return bytes;
}

ItemShape ImageFileDecoder::shape(const Record& record) {
  PixelView view;
  if (cache_ != nullptr && cache_->decoded && find_pixels(cache_->blobs, record.index, view)) return view.shape;
  return reader_.shape(list_->file(record.index));
}

void ImageFileDecoder::write_label(const Record& record, float* label) const {
  for (const double value : list_->label(record.index)) *label++ = static_cast<float>(value);
}

PixelView ImageFileDecoder::decode_stored(const Record& record, float* label) {
  write_label(record, label);
  reader_has_image_ = true;
  return reader_.decode_stored(file(record.index, list_->file(record.index)));
}

PixelView ImageFileDecoder::decode(const Record& record, PartChoice& choice, float* label) {
  write_label(record, label);
  const bool decoded = cache_ != nullptr && cache_->decoded;
  PixelView view;
  reader_has_image_ = !decoded || !find_pixels(cache_->blobs, record.index, view);
  if (reader_has_image_)
    view = reader_.decode(file(record.index, list_->file(record.index)), decoded ? nullptr : &choice);
  if (decoded) choice.choose(view.shape);
  if (decoded && reader_has_image_) keep_pixels(cache_->blobs, record.index, view);
  return view;
}

PixelView ImageFileDecoder::mask(const Record& record) {
  const bool decoded = cache_ != nullptr && cache_->decoded;
  const uint64_t entry = list_->size() + record.index;
  PixelView view;
  if (decoded && find_pixels(cache_->blobs, entry, view)) return view;
  if (!reader_has_image_) reader_.decode(file(record.index, list_->file(record.index)));
  const std::string path = list_->mask_file(record.index);
  view = reader_.decode_mask(file(entry, path), path);
  if (decoded) keep_pixels(cache_->blobs, entry, view);
  return view;
}

}  // namespace trainer
