// Converts IDX pictures and labels to a database.
#include "base/error.h"
#include "base/text.h"
#include "data/convert/convert.h"
#include "data/records/record_writer.h"
#include "formats/datum.h"
#include "formats/idx.h"

namespace trainer {

int64_t convert_idx(const IdxToDatabase& request, const ConvertProgress& progress) {
  // Comes first, so that an existing target is reported before large files are read.
  const auto writer = make_record_writer(request.backend, request.target);
  const IdxArray images = read_idx(request.images);
  const IdxArray labels = read_idx(request.labels);
  const int rank = images.shape.rank();
  if (rank != 3 && rank != 4) {
    throw data_error(
        "{} holds an array of {}: images are N,height,width or N,channels,height,width. Are images "
        "and labels swapped?",
        request.images, images.shape.text());
  }
  if (labels.shape.rank() != 1) {
    throw data_error("{} holds an array of {}: labels have one axis", request.labels, labels.shape.text());
  }
  const int64_t count = images.shape[0];
  if (labels.shape[0] != count) {
    throw data_error("{} has {} images but {} has {} labels", request.images, format_count(count), request.labels,
                     format_count(labels.shape[0]));
  }
  const int64_t picture = images.shape.count(1);
  if (count == 0 || picture == 0) throw data_error("{} has no images", request.images);
  const std::string problem =
      check_shape(Shape(std::vector<int64_t>(images.shape.dims().begin() + 1, images.shape.dims().end())));
  if (!problem.empty())
    throw data_error("{}: an image is too large for a blob: {}. Cut them into smaller ones", request.images, problem);
  const auto channels = static_cast<int32_t>(rank == 4 ? images.shape[1] : 1);
  const auto height = static_cast<int32_t>(images.shape[rank - 2]);
  const auto width = static_cast<int32_t>(images.shape[rank - 1]);
  const std::string_view pixels(reinterpret_cast<const char*>(images.bytes.data()), images.bytes.size());
  for (int64_t i = 0; i < count; ++i) {
    writer->put(fmt::format("{:08d}", i),
                serialize_datum(channels, height, width,
                                pixels.substr(static_cast<size_t>(i * picture), static_cast<size_t>(picture)),
                                labels.bytes[static_cast<size_t>(i)]));
    if (progress) progress(i + 1, count);
  }
  writer->finish();
  return count;
}

}  // namespace trainer
