// Files that hold one BlobProto: mean images, infogain matrices.
#pragma once

#include <string>

#include "formats/blob_proto.h"

namespace trainer {

// `what` the file should be, for messages: "mean file". Throws a data_error that names the file and the byte.
WeightBlob read_blob_file(const std::string& path, const char* what);

}  // namespace trainer
