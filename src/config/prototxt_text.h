// A message as prototxt.
#pragma once

#include <google/protobuf/message.h>

#include <string>

namespace trainer {

// Parses back to the same message: numbers are the shortest that round to the same value. Unknown fields of
// binary messages are left out.
std::string prototxt_text(const google::protobuf::Message& message);

}  // namespace trainer
