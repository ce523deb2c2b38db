// Published weights: files on the web that --weights takes by name. Manifests (proto/hub.proto) list them.
#pragma once

#include <hub.pb.h>

#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostics.h"

namespace trainer {

// The manifest of the program: src/hub/manifest.prototxt, embedded when the program is built.
std::string_view own_manifest();

// Parses a manifest and checks its entries. `file` names it in messages.
hub::Manifest parse_manifest(const std::string& text, const std::string& file, Diagnostics* diagnostics);

// The entries of the files that TRAINER_WEIGHTS lists, separated by ":", then those of the program; of entries with one
// name the first. Throws with all problems of the files.
std::vector<hub::Weights> published_weights();

// Whether the text can be the name of an entry.
bool is_published_name(std::string_view text);

// Whether the entry has all digits of the checksum.
bool has_whole_checksum(const hub::Weights& weights);

}  // namespace trainer
