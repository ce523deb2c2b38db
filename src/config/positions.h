// Where each message and field of a parsed text stands.
#pragma once

#include <google/protobuf/message.h>

#include <map>
#include <set>
#include <string>
#include <tuple>

#include "config/diagnostics.h"
#include "config/message_move.h"

namespace trainer {

// Keyed by address: messages must stay where they are in memory between parsing and asking (reordering the
// elements of a repeated message field is fine; protobuf moves pointers).
class Positions {
 public:
  // The place of a value. field null: the message as a whole. index -1: a singular field.
  void set(const google::protobuf::Message& message, const google::protobuf::FieldDescriptor* field, int index,
           const SourcePosition& position);

  // The place of a field, given by a path of names ("convolution_param.stride"), as exactly as it is known:
  // the element, else the field's first element, else the message that holds it, else nothing but the file.
  SourcePosition of(const google::protobuf::Message& message, const std::string& path = "", int index = -1) const;

  // A value that stood at `from` has come to stand at `to`.
  void move(const ValuePlace& from, const ValuePlace& to);

  // A message whose text holds a mistake: what it lacks may be there.
  void set_faulty(const google::protobuf::Message& message) { faulty_.insert(&message); }
  bool faulty(const google::protobuf::Message& message) const { return faulty_.count(&message) > 0; }

  // What of() says where nothing is known.
  void set_default(const SourcePosition& position) { default_ = position; }

 private:
  using Key = std::tuple<const google::protobuf::Message*, int, int>;  // message, field number or 0, index
  static Key key_of(const ValuePlace& place);

  std::map<Key, SourcePosition> table_;
  std::set<const google::protobuf::Message*> faulty_;
  SourcePosition default_;
};

}  // namespace trainer
