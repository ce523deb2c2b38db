// Reads and converts images, each thread with its own decoder.
#include "data/convert/converted_images.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/cores.h"
#include "base/error.h"
#include "base/philox.h"
#include "base/text.h"
#include "data/pictures/image_encoder.h"
#include "data/pictures/image_file_reader.h"
#include "data/pictures/resize.h"
#include "data/sampler.h"
#include "formats/datum.h"

namespace trainer {

namespace {

// The text after the last dot; the whole path if it has no dot.
std::string ending_of(const std::string& path) {
  const size_t dot = path.rfind('.');
  return lower(dot == std::string::npos ? path : path.substr(dot + 1));
}

bool fits(const std::string& ending, const std::string& type) {
  return ending == type || (type == "jpg" && ending == "jpeg");
}

std::string planes_of(const PixelView& view) {
  const ItemShape& shape = view.shape;
  std::string planes(static_cast<size_t>(shape.count()), '\0');
  const int64_t pixels = shape.height * shape.width;
  for (int64_t c = 0; c < shape.channels; ++c) {
    for (int64_t i = 0; i < pixels; ++i)
      planes[static_cast<size_t>(c * pixels + i)] = static_cast<char>(view.bytes[i * shape.channels + c]);
  }
  return planes;
}

class ImageConverter {
 public:
  ImageConverter(const ImageList& list, const ImageForm& form)
      : list_(list),
        form_(form),
        reader_({form.gray ? ColorMode::kGray : ColorMode::kColor, form.resize_height, form.resize_width}) {}

  void convert(uint64_t index, ConvertedImage& out) {
    out.index = index;
    out.problem.clear();
    try {
      const std::string path = list_.file(index);
      const PixelView view = reader_.read(path);
      out.shape = view.shape;
      out.bytes = record(view, path, index);
      if (form_.masks) {
        const std::string mask = list_.mask_file(index);
        read_image_file(mask, mask_, "mask");
        out.mask = planes_of(reader_.decode_mask(mask_, mask));
      }
    } catch (const Error& error) {
      if (error.code() != ExitCode::kData) throw;
      out.problem = error.what();
    }
  }

 private:
  std::string record(const PixelView& view, const std::string& path, uint64_t index) {
    if (form_.storage == ImageStorage::kPlanes) return planes_of(view);
    const auto label = static_cast<int32_t>(list_.label(index)[0]);
    if (form_.storage == ImageStorage::kPixelDatum)
      return serialize_datum(static_cast<int32_t>(view.shape.channels), static_cast<int32_t>(view.shape.height),
                             static_cast<int32_t>(view.shape.width), planes_of(view), label);
    const std::string ending = ending_of(path);
    if (stays(ending)) return serialize_encoded_datum(reader_.file(), label);
    const bool exact = form_.storage == ImageStorage::kExactDatum;
    const std::string type = !form_.encode_type.empty() ? lower(form_.encode_type) : exact ? "png" : ending;
    if (!can_encode(type))
      throw config_error("{}: a converted image cannot be written as \"{}\": give --encode_type=jpg or png", path,
                         type);
    return serialize_encoded_datum(encode_image(view, type), label);
  }

  // Whether the file read last is stored as it is.
  bool stays(const std::string& ending) {
    if (form_.resize_height > 0 || (!form_.encode_type.empty() && !fits(ending, lower(form_.encode_type))))
      return false;
    const bool exact = form_.storage == ImageStorage::kExactDatum;
    if (!exact && !form_.gray) return true;
    const int64_t channels = decoder_.shape(reader_.file(), ColorMode::kAsStored).channels;
    if (!exact) return channels == 1;
    return channels == (form_.gray ? 1 : 3) && decoder_.is_upright(reader_.file());
  }

  const ImageList& list_;
  const ImageForm form_;
  ImageFileReader reader_;
  ImageDecoder decoder_;
  std::string mask_;
};

}  // namespace

void check_form(const ImageForm& form) {
  if ((form.resize_height > 0) != (form.resize_width > 0) || form.resize_height < 0 || form.resize_width < 0)
    throw config_error("resize_height {} and resize_width {}: give both above 0, or neither", form.resize_height,
                       form.resize_width);
  if (std::max(form.resize_height, form.resize_width) > kLargestSide)
    throw config_error("images cannot be resized to {}x{}: the maximum is {}", form.resize_height, form.resize_width,
                       kLargestSide);
  if (!form.encode_type.empty() && !can_encode(lower(form.encode_type)))
    throw config_error("encode_type \"{}\" is not supported: use jpg or png", form.encode_type);
}

std::vector<uint32_t> image_order(uint64_t count, bool shuffle) {
  if (count > std::numeric_limits<uint32_t>::max())
    throw data_error("{} images are too many for one data set", format_count(static_cast<int64_t>(count)));
  std::vector<uint32_t> order;
  if (shuffle) {
    draw_permutation(philox_key(0, "", "convert imageset", "shuffle"), 0, static_cast<uint32_t>(count), order);
  } else {
    order.resize(static_cast<size_t>(count));
    std::iota(order.begin(), order.end(), 0u);
  }
  return order;
}

std::unique_ptr<OrderedResults<ConvertedImage>> convert_in_order(const ImageList& list,
                                                                 const std::vector<uint32_t>& order, uint64_t first,
                                                                 const ImageForm& form, int threads) {
  using Images = OrderedResults<ConvertedImage>;
  return std::make_unique<Images>(
      first, order.size(), threads > 0 ? threads : granted_cores().usable, [&list, &order, form] {
        return Images::Maker(
            [&order, converter = std::make_shared<ImageConverter>(list, form)](uint64_t number, ConvertedImage& image) {
              converter->convert(order[static_cast<size_t>(number)], image);
            });
      });
}

}  // namespace trainer
