// Parses protobuf's text format without stopping at the first error.
//
// Accepts exactly what google::protobuf::TextFormat accepts, and records the position of every field. After an error
// the parser continues at the next field, so that one run reports all errors.
#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "config/diagnostics.h"
#include "config/positions.h"

namespace trainer {

// Parses `text` into `message`, which must be empty. `file` names the text in messages. Returns false if there were
// errors; the message then has everything that could be parsed.
bool parse_prototxt(const std::string& text, const std::string& file, google::protobuf::Message* message,
                    Positions* positions, Diagnostics* diagnostics);

// Parses one value, for --set: the text that would follow "field:", or the braces of a message field. A repeated field
// accepts a [list] or one more element. `where` is the position of the assignment for messages.
bool parse_field_value(const std::string& text, const SourcePosition& where, google::protobuf::Message* message,
                       const google::protobuf::FieldDescriptor* field, Diagnostics* diagnostics);

// Reads a whole file. If it is missing, a folder, or not text, reports the resolved path, the files that are there
// instead and the remedy, and returns false. `named_at` is the position that names the file.
bool read_text_file(const std::string& path, const SourcePosition& named_at, std::string* text,
                    Diagnostics* diagnostics);

}  // namespace trainer
