// Parsing protobuf's text format without stopping at the first mistake.
//
// Accepts exactly what google::protobuf::TextFormat accepts, and remembers where every field stands. A
// mistake is reported with its place and the parser goes on at the next field, so that one run shows them
// all.
#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "config/diagnostics.h"
#include "config/positions.h"

namespace trainer {

// Parses `text` into `message`, which must be empty. `file` names the text in messages. False where there
// were errors; the message then holds what could be read.
bool parse_prototxt(const std::string& text, const std::string& file, google::protobuf::Message* message,
                    Positions* positions, Diagnostics* diagnostics);

// Parses one value as it would stand behind "field:" (or the braces of a message field), for --set. A
// repeated field takes a [list] or one more element. `where` is the place of the assignment in messages.
bool parse_field_value(const std::string& text, const SourcePosition& where, google::protobuf::Message* message,
                       const google::protobuf::FieldDescriptor* field, Diagnostics* diagnostics);

// Reads a file whole. Where it is missing, a folder, or not text, says so with the path as resolved, what is
// there instead and the remedy, and returns false. `named_at` is the place that names the file.
bool read_text_file(const std::string& path, const SourcePosition& named_at, std::string* text,
                    Diagnostics* diagnostics);

}  // namespace trainer
