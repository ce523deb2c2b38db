// Files that hold one BlobProto: mean images, infogain matrices.
#pragma once

#include <string>

#include "formats/blob_proto.h"

namespace trainer {

// `what` is the role of the file for messages: "mean file". Throws a data_error with file name and byte offset.
WeightBlob read_blob_file(const std::string& path, const char* what);

}  // namespace trainer
