// Reads files that hold one BlobProto.
#include "formats/blob_file.h"

#include "base/error.h"
#include "formats/input_file.h"
#include "formats/wire_reader.h"

namespace trainer {

WeightBlob read_blob_file(const std::string& path, const char* what) {
  const InputFile file(path, what);
  if (file.size() == 0 || file.looks_like_text()) {
    throw data_error("{} is {}: not a {} (a binary BlobProto)", path, file.size() == 0 ? "empty" : "text", what);
  }
  WireReader reader(file.descriptor(), file.size());
  try {
    return read_blob_proto(reader);
  } catch (const WireError& error) {
    throw data_error("{} is not a readable {}: {} at byte {}; the file is {} bytes long", path, what, error.what(),
                     error.offset(), file.size());
  }
}

}  // namespace trainer
