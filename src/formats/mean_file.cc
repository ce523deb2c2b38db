// Reads and writes mean images.
#include "formats/mean_file.h"

#include "base/error.h"
#include "base/text.h"
#include "formats/atomic_file.h"
#include "formats/blob_file.h"
#include "formats/wire_writer.h"

namespace trainer {
namespace {

constexpr uint32_t kNum = 1, kChannels = 2, kHeight = 3, kWidth = 4, kData = 5;

}  // namespace

MeanImage read_mean_file(const std::string& path) {
  WeightBlob blob = read_blob_file(path, "mean file");
  const int rank = blob.shape.rank();
  if (rank != 3 && !(rank == 4 && blob.shape[0] == 1)) {
    throw data_error("{} is not a mean file: its shape is {}; one image (1,C,H,W) is needed", path, blob.shape.text());
  }
  const int first = rank - 3;
  return {Shape({blob.shape[first], blob.shape[first + 1], blob.shape[first + 2]}), std::move(blob.data)};
}

void write_mean_file(const std::string& path, const MeanImage& mean) {
  TRAINER_ASSERT(mean.shape.rank() == 3 && mean.shape.count() == static_cast<int64_t>(mean.data.size()));
  std::string head;
  append_varint_field(head, kNum, 1);
  append_varint_field(head, kChannels, static_cast<uint64_t>(mean.shape[0]));
  append_varint_field(head, kHeight, static_cast<uint64_t>(mean.shape[1]));
  append_varint_field(head, kWidth, static_cast<uint64_t>(mean.shape[2]));
  const int64_t bytes = mean.shape.count() * 4;
  append_length_prefix(head, kData, bytes);
  AtomicFile file(path, static_cast<int64_t>(head.size()) + bytes, Existing::kKept);
  file.write(head.data(), head.size());
  file.write(mean.data.data(), static_cast<size_t>(bytes));
  file.commit();
}

}  // namespace trainer
