// A zip archive: its members, stored or deflated, ZIP64 included. Encrypted and divided archives are refused.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "formats/byte_stream.h"
#include "formats/input_file.h"

namespace trainer {

struct ZipMember {
  std::string name;
  int64_t header = 0;  // offset of its local header
  int64_t packed = 0;  // bytes in the archive
  int64_t size = 0;    // bytes of the content
  uint32_t crc32 = 0;
  bool deflated = false;
};

class ZipFile {
 public:
  static bool has_signature(const InputFile& file);
  // Reads the directory of the archive.
  explicit ZipFile(std::shared_ptr<const InputFile> file);

  const std::string& path() const { return file_->path(); }
  // In the order of the directory.
  const std::vector<ZipMember>& members() const { return members_; }
  // Null if there is no such member.
  const ZipMember* find(const std::string& name) const;
  // The content of a member, from its first byte. The archive must outlive the stream.
  std::unique_ptr<ByteStream> open(const ZipMember& member) const;

 private:
  void read_directory(int64_t begin, int64_t bytes, uint64_t count);

  std::shared_ptr<const InputFile> file_;
  std::vector<ZipMember> members_;
  std::map<std::string, size_t> index_;
};

}  // namespace trainer
