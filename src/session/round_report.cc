// The numbers of a report one after the other, each list and text after its length.
#include "session/round_report.h"

#include <cstring>

#include "base/error.h"

namespace trainer {
namespace {

using Values = std::vector<std::vector<float>>;

class Writer {
 public:
  template <typename T>
  void put(const T& number) {
    append(&number, sizeof number);
  }
  void put(const std::string& text) {
    put(text.size());
    append(text.data(), text.size());
  }
  void put(const Values& lists) {
    put(lists.size());
    for (const std::vector<float>& values : lists) {
      put(values.size());
      append(values.data(), values.size() * sizeof(float));
    }
  }
  std::string bytes() && { return std::move(bytes_); }

 private:
  void append(const void* data, size_t size) { bytes_.append(static_cast<const char*>(data), size); }

  std::string bytes_;
};

class Reader {
 public:
  explicit Reader(const std::string& bytes) : bytes_(bytes) {}

  template <typename T>
  void take(T* number) {
    read(number, sizeof *number);
  }
  void take(std::string* text) {
    text->resize(count(1));
    read(text->data(), text->size());
  }
  void take(Values* lists) {
    lists->resize(count(sizeof(size_t)));
    for (std::vector<float>& values : *lists) {
      values.resize(count(sizeof(float)));
      read(values.data(), values.size() * sizeof(float));
    }
  }
  // A number of elements that take at least `size` bytes each.
  size_t count(size_t size) {
    size_t count = 0;
    take(&count);
    TRAINER_ASSERT(count <= (bytes_.size() - at_) / size);
    return count;
  }
  bool at_end() const { return at_ == bytes_.size(); }

 private:
  void read(void* out, size_t size) {
    TRAINER_ASSERT(size <= bytes_.size() - at_);
    if (size > 0) std::memcpy(out, bytes_.data() + at_, size);
    at_ += size;
  }

  const std::string& bytes_;
  size_t at_ = 0;
};

}  // namespace

std::string to_bytes(const RoundReport& report) {
  Writer writer;
  writer.put(report.test);
  writer.put(report.error);
  writer.put(report.stop);
  writer.put(report.seconds);
  writer.put(report.passes.size());
  for (const PassValues& pass : report.passes) {
    for (const Values* lists : {&pass.outputs, &pass.measured, &pass.counted}) writer.put(*lists);
    writer.put(pass.loss);
    writer.put(pass.items);
  }
  return std::move(writer).bytes();
}

RoundReport round_report_of(const std::string& bytes) {
  Reader reader(bytes);
  RoundReport report;
  reader.take(&report.test);
  reader.take(&report.error);
  reader.take(&report.stop);
  reader.take(&report.seconds);
  report.passes.resize(reader.count(1));
  for (PassValues& pass : report.passes) {
    for (Values* lists : {&pass.outputs, &pass.measured, &pass.counted}) reader.take(lists);
    reader.take(&pass.loss);
    reader.take(&pass.items);
  }
  TRAINER_ASSERT(reader.at_end());
  return report;
}

}  // namespace trainer
