// The schema's descriptors with comments, embedded at build time. proto/embed_schema.cmake writes the definition.
#pragma once

#include <string_view>

namespace trainer {

// A serialized google.protobuf.FileDescriptorSet with one file, trainer.proto.
std::string_view schema_descriptors();

}  // namespace trainer
