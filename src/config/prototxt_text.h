// Converts a message to prototxt.
#pragma once

#include <google/protobuf/message.h>

#include <string>

namespace trainer {

// The text parses back to the same message: numbers have the fewest digits that round to the same value. Unknown fields
// of binary messages are omitted.
std::string prototxt_text(const google::protobuf::Message& message);

// The same in lines of at most 120 columns: a field that fits is one line, scalars stand side by side.
std::string compact_prototxt(const google::protobuf::Message& message);

}  // namespace trainer
