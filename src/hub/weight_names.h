// Weights by name: from a value of --weights, or of the field weights of a solver, to the content of a file.
//
// A value that is the path of a file means this file. Otherwise it may be the name of published weights, whose file is
// in the cache: $TRAINER_CACHE/weights, $XDG_CACHE_HOME/trainer/weights or ~/.cache/trainer/weights.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "formats/weights.h"
#include "hub/fetch.h"
#include "hub/manifest.h"

namespace trainer {

// The published weights that a value names; nothing if it is the path of a file, or if no manifest has the name.
std::optional<hub::Weights> find_published(const std::string& value);

// The names of published weights of this net or model: "resnet50" has resnet50.IMAGENET1K_V1 and others.
std::vector<std::string> published_names_of(const std::string& net);

// Throws a data_error, with similar names, if the value is neither a file that can be opened nor a name.
void require_weights(const std::string& value);

// Throws a config_error if the environment names no folder for a cache.
std::string cached_path(const hub::Weights& weights);
bool is_cached(const hub::Weights& weights);

// The sentence that says that published weights which the value names are not in the cache; "" otherwise.
std::string missing_weights(const std::string& value);

// Downloads published weights that the value names, unless they are in the cache.
void fetch_named(const std::string& value, const FetchOptions& options = {});

// Reads the file that a value means. A file that differs from the manifest of its snapshot, or whose checksum differs
// from that of its name, is a data_error.
WeightFile read_weights_of(const std::string& value);

}  // namespace trainer
