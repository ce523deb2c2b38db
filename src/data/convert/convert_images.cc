// Converts the image files of a list to a database.
#include <algorithm>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/philox.h"
#include "base/text.h"
#include "data/convert/convert.h"
#include "data/feeds/image_list.h"
#include "data/pictures/image_encoder.h"
#include "data/pictures/image_file_reader.h"
#include "data/pictures/resize.h"
#include "data/records/record_writer.h"
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

std::string raw_datum(const PixelView& view, int32_t label) {
  const ItemShape& shape = view.shape;
  std::string planes(static_cast<size_t>(shape.count()), '\0');
  const int64_t pixels = shape.height * shape.width;
  for (int64_t c = 0; c < shape.channels; ++c) {
    for (int64_t i = 0; i < pixels; ++i)
      planes[static_cast<size_t>(c * pixels + i)] = static_cast<char>(view.bytes[i * shape.channels + c]);
  }
  return serialize_datum(static_cast<int32_t>(shape.channels), static_cast<int32_t>(shape.height),
                         static_cast<int32_t>(shape.width), planes, label);
}

void check_request(const ImagesToDatabase& request) {
  if ((request.resize_height > 0) != (request.resize_width > 0) || request.resize_height < 0 ||
      request.resize_width < 0)
    throw config_error("resize_height {} and resize_width {}: give both above 0, or neither", request.resize_height,
                       request.resize_width);
  if (std::max(request.resize_height, request.resize_width) > kLargestSide)
    throw config_error("images cannot be resized to {}x{}: the maximum is {}", request.resize_height,
                       request.resize_width, kLargestSide);
  if (!request.encode_type.empty() && !can_encode(lower(request.encode_type)))
    throw config_error("encode_type \"{}\" is not supported: use jpg or png", request.encode_type);
}

// The record of one picture. Throws data_error if the picture cannot be read.
class ImageConverter {
 public:
  explicit ImageConverter(const ImagesToDatabase& request)
      : request_(request),
        reader_({request.gray ? ColorMode::kGray : ColorMode::kColor, request.resize_height, request.resize_width}) {}

  std::string record(const std::string& path, int32_t label) {
    const PixelView view = reader_.read(request_.root + path);
    shape_ = view.shape;
    const bool encoded = request_.encoded || !request_.encode_type.empty();
    if (!encoded) return raw_datum(view, label);
    const std::string ending = ending_of(path);
    const std::string type = request_.encode_type.empty() ? ending : lower(request_.encode_type);
    const bool to_gray = request_.gray && decoder_.shape(reader_.file(), ColorMode::kAsStored).channels > 1;
    if (request_.resize_height == 0 && fits(ending, type) && !to_gray)
      return serialize_encoded_datum(reader_.file(), label);
    if (!can_encode(type)) {
      throw config_error("{}{}: a converted image cannot be written as \"{}\": give --encode_type=jpg or png",
                         request_.root, path, type);
    }
    return serialize_encoded_datum(encode_image(view, type), label);
  }
  // The picture that was read last.
  const ItemShape& shape() const { return shape_; }

 private:
  const ImagesToDatabase& request_;
  ImageFileReader reader_;
  ImageDecoder decoder_;
  ItemShape shape_;
};

}  // namespace

ImagesConverted convert_images(const ImagesToDatabase& request, const LogLine& warn, const ConvertProgress& progress) {
  check_request(request);
  // Comes first, so that an existing target is reported before pictures are read.
  const auto writer = make_record_writer(request.backend, request.target);
  const ImageList list = read_image_list(request.list, request.root);
  check_root(list);
  std::vector<uint32_t> order;
  if (list.size() > std::numeric_limits<uint32_t>::max())
    throw data_error("{} has {} images: too many for one database", request.list, list.size());
  if (request.shuffle) {
    draw_permutation(philox_key(0, "", "convert imageset", "shuffle"), 0, static_cast<uint32_t>(list.size()), order);
  } else {
    order.resize(static_cast<size_t>(list.size()));
    std::iota(order.begin(), order.end(), 0u);
  }
  if (progress) progress(0, static_cast<int64_t>(order.size()));
  ImagesConverted result;
  ImageConverter converter(request);
  ItemShape first;
  for (size_t i = 0; i < order.size(); ++i) {
    const std::string path(list.path(order[i]));
    const std::string place = fmt::format("{}:{} ({}{})", request.list, list.line(order[i]), request.root, path);
    std::string record;
    try {
      record = converter.record(path, static_cast<int32_t>(list.label(order[i])[0]));
    } catch (const Error& error) {
      if (error.code() != ExitCode::kData) throw;
      ++result.skipped;
      if (warn) warn(fmt::format("{}: skipped: {}", place, error.what()));
      continue;
    }
    if (result.records == 0) first = converter.shape();
    if (request.check_size && converter.shape() != first) {
      throw data_error("{}: it is {}, but the first image is {}: resize them (--resize_height, --resize_width)", place,
                       converter.shape().text(), first.text());
    }
    writer->put(fmt::format("{:08d}_{}", i, path), record);
    ++result.records;
    if (progress) progress(result.records, static_cast<int64_t>(order.size()));
  }
  if (result.records == 0) {
    throw data_error(
        "none of the {} images of {} could be read: is \"{}\" the folder of their paths, with a / at its "
        "end?",
        format_count(static_cast<int64_t>(list.size())), request.list, request.root);
  }
  writer->finish();
  return result;
}

}  // namespace trainer
