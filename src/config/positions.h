// The position of each message and field of a parsed text.
#pragma once

#include <google/protobuf/message.h>

#include <map>
#include <set>
#include <string>
#include <tuple>

#include "config/diagnostics.h"
#include "config/message_move.h"

namespace trainer {

// Keyed by address: messages must stay at their address between parsing and lookup (reordering the elements of a
// repeated message field is allowed; protobuf moves pointers).
class Positions {
 public:
  // Sets the position of a value. field null: the message as a whole. index -1: a singular field.
  void set(const google::protobuf::Message& message, const google::protobuf::FieldDescriptor* field, int index,
           const SourcePosition& position);

  // The best known position of a field, given by a path of names ("convolution_param.stride"): the element, otherwise
  // the first element of the field, otherwise the message that holds it, otherwise only the file.
  SourcePosition of(const google::protobuf::Message& message, const std::string& path = "", int index = -1) const;

  // Moves the position of a value with the value.
  void move(const ValuePlace& from, const ValuePlace& to);

  // Marks a message whose text has an error: a field that seems absent may be there.
  void set_faulty(const google::protobuf::Message& message) { faulty_.insert(&message); }
  bool faulty(const google::protobuf::Message& message) const { return faulty_.count(&message) > 0; }

  // The result of of() if nothing else is known.
  void set_default(const SourcePosition& position) { default_ = position; }

 private:
  using Key = std::tuple<const google::protobuf::Message*, int, int>;  // message, field number or 0, index
  static Key key_of(const ValuePlace& place);

  std::map<Key, SourcePosition> table_;
  std::set<const google::protobuf::Message*> faulty_;
  SourcePosition default_;
};

}  // namespace trainer
