// Stores the positions of messages and fields of a parsed text.
#include "config/positions.h"

#include "base/text.h"

namespace trainer {

Positions::Key Positions::key_of(const ValuePlace& place) {
  return {place.message, place.field == nullptr ? 0 : place.field->number(), place.field == nullptr ? -1 : place.index};
}

void Positions::set(const google::protobuf::Message& message, const google::protobuf::FieldDescriptor* field, int index,
                    const SourcePosition& position) {
  table_[key_of({&message, field, index})] = position;
}

SourcePosition Positions::of(const google::protobuf::Message& message, const std::string& path, int index) const {
  const google::protobuf::Message* at = &message;
  SourcePosition best = default_;
  auto look = [&](const google::protobuf::Message* m, int number, int i) {
    const auto found = table_.find({m, number, i});
    if (found == table_.end()) return false;
    best = found->second;
    return true;
  };
  look(at, 0, -1);
  if (path.empty()) return best;
  const std::vector<std::string> names = split(path, '.');
  for (size_t i = 0; i < names.size(); ++i) {
    const auto* field = at->GetDescriptor()->FindFieldByName(names[i]);
    if (field == nullptr) break;
    const bool last = i + 1 == names.size();
    if (last) {
      if (!look(at, field->number(), index) && !look(at, field->number(), 0)) look(at, field->number(), -1);
      break;
    }
    const auto* reflection = at->GetReflection();
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) break;
    if (field->is_repeated()) {
      if (reflection->FieldSize(*at, field) == 0) break;
      at = &reflection->GetRepeatedMessage(*at, field, 0);
    } else {
      if (!reflection->HasField(*at, field)) break;
      look(at, field->number(), -1);
      at = &reflection->GetMessage(*at, field);
    }
    look(at, 0, -1);
  }
  return best;
}

void Positions::move(const ValuePlace& from, const ValuePlace& to) {
  if (from.field == nullptr && to.field == nullptr && faulty_.count(from.message) > 0) faulty_.insert(to.message);
  const auto found = table_.find(key_of(from));
  if (found == table_.end()) {
    table_.erase(key_of(to));
  } else {
    const SourcePosition position = found->second;
    table_[key_of(to)] = position;
  }
}

}  // namespace trainer
