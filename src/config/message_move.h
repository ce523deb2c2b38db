// Moves values from one message to another and reports each move, so that a table of source positions can follow.
#pragma once

#include <google/protobuf/message.h>

#include <functional>

namespace trainer {

// The location of a value: element `index` of a repeated field, or a singular field (index -1). With a null field, the
// message as a whole.
struct ValuePlace {
  const google::protobuf::Message* message = nullptr;
  const google::protobuf::FieldDescriptor* field = nullptr;
  int index = -1;
};

// Called after a value has moved from `from` to `to`. If `from` is a message, it is already empty, and it may be
// deleted when the operation returns. Sub-messages keep their address when they move.
using MoveObserver = std::function<void(const ValuePlace& from, const ValuePlace& to)>;

// Moves the value or values of a field to a field of another message: a singular value replaces a singular value, other
// values are appended. The types must be equal, except that an enum may move to another enum with the same numbers and
// a 32-bit integer to one of the other signedness. If the number does not fit, returns false and moves nothing. Both
// messages must be in the same arena, or both in none. An unset field moves nothing.
bool move_field(google::protobuf::Message* from, const google::protobuf::FieldDescriptor* from_field,
                google::protobuf::Message* to, const google::protobuf::FieldDescriptor* to_field,
                const MoveObserver& moved);

// Copies one value that is not a message, element `index` of a repeated field or, with -1, a singular field, and
// reports it like a move. Conversions and result as in move_field.
bool copy_value(const google::protobuf::Message& from, const google::protobuf::FieldDescriptor* from_field, int index,
                google::protobuf::Message* to, const google::protobuf::FieldDescriptor* to_field,
                const MoveObserver& moved);

// Moves every set field of `from` for which `to` has a field of the same name and kind; other fields stay in `from`.
void move_equal_fields(google::protobuf::Message* from, google::protobuf::Message* to, const MoveObserver& moved);

}  // namespace trainer
