// The schema's descriptors with its comments, embedded when the program is built. proto/embed_schema.cmake
// writes the definition.
#pragma once

#include <string_view>

namespace trainer {

// A serialised google.protobuf.FileDescriptorSet with one file, trainer.proto.
std::string_view schema_descriptors();

}  // namespace trainer
