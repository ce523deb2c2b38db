// The table of image formats, and the registry of their decoders.
#include "data/pictures/formats/image_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>

#include "base/error.h"
#include "base/text.h"

namespace trainer {

namespace {

using Make = std::unique_ptr<FormatDecoder> (*)();

std::map<std::string_view, Make>& registry() {
  static std::map<std::string_view, Make> decoders;
  return decoders;
}

bool is_jpeg(std::string_view file) { return file.starts_with("\xFF\xD8"); }
bool is_png(std::string_view file) { return file.starts_with("\x89PNG\r\n\x1a\n"); }
bool is_pnm(std::string_view file) { return file.size() > 2 && file[0] == 'P' && file[1] >= '1' && file[1] <= '6'; }
bool is_bmp(std::string_view file) { return file.starts_with("BM"); }
bool is_webp(std::string_view file) {
  return file.starts_with("RIFF") && file.size() >= 12 && file.substr(8, 4) == "WEBP";
}
bool is_gif(std::string_view file) { return file.starts_with("GIF8"); }

bool is_tiff(std::string_view file) {
  const std::string_view start = file.substr(0, 4);
  return start == std::string_view("II*\0", 4) || start == std::string_view("MM\0*", 4) ||
         start == std::string_view("II+\0", 4) || start == std::string_view("MM\0+", 4);  // "+" is BigTIFF
}

const std::vector<ImageFormat>& formats() {
  static const std::vector<ImageFormat> table = {
      {"JPEG", is_jpeg, {"jpg", "jpeg", "jpe"}},  {"PNG", is_png, {"png"}},
      {"PNM", is_pnm, {"ppm", "pgm", "pnm"}},     {"BMP", is_bmp, {"bmp"}},
      {"WebP", is_webp, {"webp"}, "libwebp-dev"}, {"TIFF", is_tiff, {"tif", "tiff"}, "libtiff-dev"},
      {"GIF", is_gif, {"gif"}, "libgif-dev"},
  };
  return table;
}

}  // namespace

bool is_image_name(std::string_view name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return false;
  const std::string extension = lower(name.substr(dot + 1));
  return std::any_of(formats().begin(), formats().end(), [&](const ImageFormat& format) {
    return std::find(format.extensions.begin(), format.extensions.end(), extension) != format.extensions.end();
  });
}

DecoderRegistration::DecoderRegistration(const char* format, Make make) { registry()[format] = make; }

const ImageFormat& format_of(std::string_view file) {
  std::vector<std::string> names;
  for (const ImageFormat& format : formats()) {
    if (format.matches(file)) return format;
    names.emplace_back(format.name);
  }
  throw data_error("the image {}: {} are supported", file.empty() ? "is empty" : "has an unknown format",
                   fmt::join(names, ", "));
}

std::unique_ptr<FormatDecoder> make_decoder(const ImageFormat& format) {
  const auto found = registry().find(format.name);
  if (found != registry().end()) return found->second();
  TRAINER_ASSERT(format.package != nullptr);
  throw data_error(
      "the image is a {0} file, but this trainer was built without {0}: install {1} and build again, or convert the "
      "image to PNG",
      format.name, format.package);
}

void check_picture_size(const char* format, const ItemShape& shape) {
  if (shape.height < 1 || shape.width < 1) {
    throw data_error("a damaged {} file: its extents are {}x{}", format, shape.height, shape.width);
  }
  // In floating point, because the sides may be up to 2^31.
  const auto channels = static_cast<double>(shape.channels), height = static_cast<double>(shape.height);
  if (channels * height * static_cast<double>(shape.width) > static_cast<double>(kLargestPicture)) {
    throw data_error("a {} file of {} values: more than {} count as damage", format, shape.text(),
                     format_bytes(kLargestPicture));
  }
}

}  // namespace trainer
