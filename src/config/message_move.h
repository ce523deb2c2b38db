// Moving values from one message to another, with word of each move, so that a table of source positions can
// follow.
#pragma once

#include <google/protobuf/message.h>

#include <functional>

namespace trainer {

// Where a value stands: element `index` of a repeated field, or a singular field (index -1). With a null
// field, the message as a whole.
struct ValuePlace {
  const google::protobuf::Message* message = nullptr;
  const google::protobuf::FieldDescriptor* field = nullptr;
  int index = -1;
};

// Called after a value that stood at `from` has come to stand at `to`. A message that was `from` is empty by
// then and may be gone when the operation that moved it returns; sub-messages that move keep their address.
using MoveObserver = std::function<void(const ValuePlace& from, const ValuePlace& to)>;

// Moves the value or values of a field to a field of another message: a singular one replaces a singular one,
// everything else is appended. Types must be equal, but an enum goes into another enum of the same numbers,
// and a 32-bit integer into one of the other sign: false, and nothing moved, where the number does not fit.
// Both messages must live in the same arena, or both in none. An unset field moves nothing.
bool move_field(google::protobuf::Message* from, const google::protobuf::FieldDescriptor* from_field,
                google::protobuf::Message* to, const google::protobuf::FieldDescriptor* to_field,
                const MoveObserver& moved);

// Copies one value that is not a message, element `index` of a repeated field or, with -1, a singular field,
// and tells of it as of a move. Conversions and result as in move_field.
bool copy_value(const google::protobuf::Message& from, const google::protobuf::FieldDescriptor* from_field, int index,
                google::protobuf::Message* to, const google::protobuf::FieldDescriptor* to_field,
                const MoveObserver& moved);

// Moves every set field of `from` for which `to` has a field of the same name and kind; the rest stays in
// `from`.
void move_equal_fields(google::protobuf::Message* from, google::protobuf::Message* to, const MoveObserver& moved);

}  // namespace trainer
