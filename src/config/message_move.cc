// Moves one field at a time by reflection. Sub-messages change owner and are not copied.
#include "config/message_move.h"

#include <cstdint>
#include <limits>
#include <vector>

#include "base/error.h"

namespace trainer {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

bool is_int32_kind(const FieldDescriptor* field) {
  return field->cpp_type() == FieldDescriptor::CPPTYPE_INT32 || field->cpp_type() == FieldDescriptor::CPPTYPE_UINT32;
}

bool same_kind(const FieldDescriptor* a, const FieldDescriptor* b) {
  if (a->cpp_type() != b->cpp_type()) return is_int32_kind(a) && is_int32_kind(b);
  return a->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || a->message_type() == b->message_type();
}

// Reads element `index`, or the singular value if index is -1, and writes it. Each getter and setter of reflection has
// these two forms.
template <typename Get, typename GetRepeated, typename Set, typename Add>
void transfer(const Message& from, const FieldDescriptor* from_field, int index, Message* to,
              const FieldDescriptor* to_field, Get get, GetRepeated get_repeated, Set set, Add add) {
  const Reflection* source = from.GetReflection();
  const Reflection* target = to->GetReflection();
  const auto value = index < 0 ? (source->*get)(from, from_field) : (source->*get_repeated)(from, from_field, index);
  if (to_field->is_repeated()) {
    (target->*add)(to, to_field, value);
  } else {
    (target->*set)(to, to_field, value);
  }
}

bool transfer_integer(const Message& from, const FieldDescriptor* from_field, int index, Message* to,
                      const FieldDescriptor* to_field) {
  const Reflection* source = from.GetReflection();
  const Reflection* target = to->GetReflection();
  int64_t value = 0;
  if (from_field->cpp_type() == FieldDescriptor::CPPTYPE_INT32) {
    value = index < 0 ? source->GetInt32(from, from_field) : source->GetRepeatedInt32(from, from_field, index);
  } else {
    value = index < 0 ? source->GetUInt32(from, from_field) : source->GetRepeatedUInt32(from, from_field, index);
  }
  if (to_field->cpp_type() == FieldDescriptor::CPPTYPE_INT32) {
    if (value > std::numeric_limits<int32_t>::max()) return false;
    const int32_t narrow = static_cast<int32_t>(value);
    to_field->is_repeated() ? target->AddInt32(to, to_field, narrow) : target->SetInt32(to, to_field, narrow);
  } else {
    if (value < 0) return false;
    const uint32_t narrow = static_cast<uint32_t>(value);
    to_field->is_repeated() ? target->AddUInt32(to, to_field, narrow) : target->SetUInt32(to, to_field, narrow);
  }
  return true;
}

bool transfer_scalar(const Message& from, const FieldDescriptor* from_field, int index, Message* to,
                     const FieldDescriptor* to_field) {
  using R = Reflection;
  switch (from_field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_UINT32: return transfer_integer(from, from_field, index, to, to_field);
    case FieldDescriptor::CPPTYPE_INT64:
      transfer(from, from_field, index, to, to_field, &R::GetInt64, &R::GetRepeatedInt64, &R::SetInt64, &R::AddInt64);
      return true;
    case FieldDescriptor::CPPTYPE_UINT64:
      transfer(from, from_field, index, to, to_field, &R::GetUInt64, &R::GetRepeatedUInt64, &R::SetUInt64,
               &R::AddUInt64);
      return true;
    case FieldDescriptor::CPPTYPE_FLOAT:
      transfer(from, from_field, index, to, to_field, &R::GetFloat, &R::GetRepeatedFloat, &R::SetFloat, &R::AddFloat);
      return true;
    case FieldDescriptor::CPPTYPE_DOUBLE:
      transfer(from, from_field, index, to, to_field, &R::GetDouble, &R::GetRepeatedDouble, &R::SetDouble,
               &R::AddDouble);
      return true;
    case FieldDescriptor::CPPTYPE_BOOL:
      transfer(from, from_field, index, to, to_field, &R::GetBool, &R::GetRepeatedBool, &R::SetBool, &R::AddBool);
      return true;
    case FieldDescriptor::CPPTYPE_STRING:
      transfer(from, from_field, index, to, to_field, &R::GetString, &R::GetRepeatedString, &R::SetString,
               &R::AddString);
      return true;
    case FieldDescriptor::CPPTYPE_ENUM:
      transfer(from, from_field, index, to, to_field, &R::GetEnumValue, &R::GetRepeatedEnumValue, &R::SetEnumValue,
               &R::AddEnumValue);
      return true;
    case FieldDescriptor::CPPTYPE_MESSAGE: break;
  }
  TRAINER_ASSERT(false);
  return false;
}

void move_repeated_messages(Message* from, const FieldDescriptor* from_field, Message* to,
                            const FieldDescriptor* to_field) {
  const Reflection* source = from->GetReflection();
  std::vector<Message*> elements(static_cast<size_t>(source->FieldSize(*from, from_field)));
  for (size_t i = elements.size(); i > 0; --i) elements[i - 1] = source->UnsafeArenaReleaseLast(from, from_field);
  for (Message* element : elements) {
    to->GetReflection()->UnsafeArenaAddAllocatedMessage(to, to_field, element);
  }
}

}  // namespace

bool move_field(Message* from, const FieldDescriptor* from_field, Message* to, const FieldDescriptor* to_field,
                const MoveObserver& moved) {
  TRAINER_ASSERT(same_kind(from_field, to_field));
  TRAINER_ASSERT(to_field->is_repeated() || !from_field->is_repeated());
  TRAINER_ASSERT(from->GetArena() == to->GetArena());
  const Reflection* source = from->GetReflection();
  const Reflection* target = to->GetReflection();
  const int first = to_field->is_repeated() ? target->FieldSize(*to, to_field) : -1;
  const bool is_message = from_field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
  int count = 0;
  if (from_field->is_repeated()) {
    count = source->FieldSize(*from, from_field);
    if (is_message) {
      move_repeated_messages(from, from_field, to, to_field);
    } else {
      for (int i = 0; i < count; ++i) {
        if (!transfer_scalar(*from, from_field, i, to, to_field)) {
          while (target->FieldSize(*to, to_field) > first) target->RemoveLast(to, to_field);
          return false;
        }
      }
    }
  } else if (source->HasField(*from, from_field)) {
    count = 1;
    if (is_message) {
      Message* value = source->UnsafeArenaReleaseMessage(from, from_field);
      if (to_field->is_repeated()) {
        target->UnsafeArenaAddAllocatedMessage(to, to_field, value);
      } else {
        target->UnsafeArenaSetAllocatedMessage(to, value, to_field);
      }
    } else if (!transfer_scalar(*from, from_field, -1, to, to_field)) {
      return false;
    }
  }
  if (!is_message) source->ClearField(from, from_field);
  for (int i = 0; moved && i < count; ++i) {
    moved({from, from_field, from_field->is_repeated() ? i : -1},
          {to, to_field, to_field->is_repeated() ? first + i : -1});
  }
  return true;
}

bool copy_value(const Message& from, const FieldDescriptor* from_field, int index, Message* to,
                const FieldDescriptor* to_field, const MoveObserver& moved) {
  TRAINER_ASSERT(same_kind(from_field, to_field));
  if (!transfer_scalar(from, from_field, index, to, to_field)) return false;
  const int place = to_field->is_repeated() ? to->GetReflection()->FieldSize(*to, to_field) - 1 : -1;
  if (moved) moved({&from, from_field, index}, {to, to_field, place});
  return true;
}

void move_equal_fields(Message* from, Message* to, const MoveObserver& moved) {
  std::vector<const FieldDescriptor*> fields;
  from->GetReflection()->ListFields(*from, &fields);
  for (const FieldDescriptor* field : fields) {
    const FieldDescriptor* twin = to->GetDescriptor()->FindFieldByName(field->name());
    if (twin == nullptr || twin->is_repeated() != field->is_repeated()) continue;
    if (twin->cpp_type() != field->cpp_type() || !same_kind(field, twin)) continue;
    move_field(from, field, to, twin, moved);
  }
}

}  // namespace trainer
