// Converts the image files of a list to a database, as Caffe does.
#include "base/error.h"
#include "base/text.h"
#include "data/convert/convert.h"
#include "data/convert/converted_images.h"
#include "data/records/record_writer.h"

namespace trainer {

namespace {

ImageForm form_of(const ImagesToDatabase& request) {
  ImageForm form;
  if (request.encoded || !request.encode_type.empty()) form.storage = ImageStorage::kFileDatum;
  form.gray = request.gray;
  form.resize_height = request.resize_height;
  form.resize_width = request.resize_width;
  form.encode_type = request.encode_type;
  check_form(form);
  return form;
}

}  // namespace

ImagesConverted convert_images(const ImagesToDatabase& request, const LogLine& warn, const ConvertProgress& progress) {
  const ImageForm form = form_of(request);
  // Comes first, so that an existing target is reported before pictures are read.
  const auto writer = make_record_writer(request.backend, request.target);
  const ImageList list = read_image_list(request.list, request.root);
  check_root(list);
  const std::vector<uint32_t> order = image_order(list.size(), request.shuffle);
  const auto total = static_cast<int64_t>(order.size());
  if (progress) progress(0, total);
  ImagesConverted result;
  ItemShape first;
  const auto images = convert_in_order(list, order, 0, form, 0);
  for (uint64_t i = 0; const ConvertedImage* image = images->next(); ++i) {
    const std::string path(list.path(image->index));
    const auto place = [&] {
      return fmt::format("{}:{} ({}{})", request.list, list.line(image->index), request.root, path);
    };
    if (!image->problem.empty()) {
      ++result.skipped;
      if (warn) warn(fmt::format("{}: skipped: {}", place(), image->problem));
      continue;
    }
    if (result.records == 0) first = image->shape;
    if (request.check_size && image->shape != first) {
      throw data_error("{}: it is {}, but the first image is {}: resize them (--resize_height, --resize_width)",
                       place(), image->shape.text(), first.text());
    }
    writer->put(fmt::format("{:08d}_{}", i, path), image->bytes);
    ++result.records;
    if (progress) progress(result.records, total);
  }
  if (result.records == 0) {
    throw data_error(
        "none of the {} images of {} could be read: is \"{}\" the folder of their paths, with a / at its "
        "end?",
        format_count(total), request.list, request.root);
  }
  writer->finish();
  return result;
}

}  // namespace trainer
