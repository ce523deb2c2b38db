// Reads CIFAR-10's binary files: records of a label and 3x32x32 pixels.
#include <filesystem>

#include "base/error.h"
#include "base/text.h"
#include "data/convert/convert.h"
#include "data/records/record_writer.h"
#include "formats/datum.h"
#include "formats/input_file.h"

namespace trainer {

namespace {

constexpr int kChannels = 3, kSide = 32, kClasses = 10;
constexpr int64_t kRecordBytes = 1 + kChannels * kSide * kSide;

// Appends the records of the file, numbered from `first`. Returns their number.
int64_t add_file(const std::string& path, int64_t first, RecordWriter& writer, const ConvertProgress& progress) {
  const InputFile file(path, "CIFAR-10 file");
  if (file.size() == 0 || file.size() % kRecordBytes != 0) {
    throw data_error("{} is {} bytes long: a CIFAR-10 file (binary version) has {} bytes for each image", path,
                     format_count(file.size()), kRecordBytes);
  }
  const int64_t count = file.size() / kRecordBytes;
  std::string record(static_cast<size_t>(kRecordBytes), '\0');
  for (int64_t i = 0; i < count; ++i) {
    file.read(i * kRecordBytes, record.data(), kRecordBytes);
    const int label = static_cast<unsigned char>(record[0]);
    if (label >= kClasses) throw data_error("{}: image {} has the class {}, not 0 to 9", path, i, label);
    writer.put(fmt::format("{:05d}", first + i),
               serialize_datum(kChannels, kSide, kSide, std::string_view(record).substr(1), label));
    if (progress) progress(first + i + 1, 0);
  }
  return count;
}

}  // namespace

std::pair<int64_t, int64_t> convert_cifar(const CifarToDatabases& request, const ConvertProgress& progress) {
  constexpr int kTrainFiles = 5;
  const std::filesystem::path from(request.source), to(request.target);
  const auto train = make_record_writer(request.backend, (to / ("cifar10_train_" + request.backend)).string());
  const auto test = make_record_writer(request.backend, (to / ("cifar10_test_" + request.backend)).string());
  int64_t trained = 0;
  for (int i = 1; i <= kTrainFiles; ++i) {
    trained += add_file((from / fmt::format("data_batch_{}.bin", i)).string(), trained, *train, progress);
  }
  const int64_t tested = add_file((from / "test_batch.bin").string(), 0, *test, progress);
  train->finish();
  test->finish();
  return {trained, tested};
}

}  // namespace trainer
