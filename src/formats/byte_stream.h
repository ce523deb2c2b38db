// Bytes read from front to back, and numbers of them as floats.
#pragma once

#include <cstdint>
#include <memory>

#include "formats/element_type.h"
#include "formats/input_file.h"

namespace trainer {

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // Reads exactly `count` bytes; a data_error if there are fewer.
  virtual void read(void* out, int64_t count) = 0;
  virtual void skip(int64_t count) = 0;
};

// The bytes of a file from an offset.
class FileStream : public ByteStream {
 public:
  FileStream(const InputFile& file, int64_t offset) : file_(file), offset_(offset) {}
  void read(void* out, int64_t count) override {
    file_.read(offset_, out, count);
    offset_ += count;
  }
  void skip(int64_t count) override { offset_ += count; }

 private:
  const InputFile& file_;
  int64_t offset_;
};

// Reads `count` numbers through a buffer.
void read_floats(ByteStream& stream, ElementType type, bool swapped, int64_t count, float* out);

}  // namespace trainer
