// The result of trainer validate, and its two forms: a text and a JSON document.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "data/validate/findings.h"

namespace trainer {

// A file that is not a data set.
struct CheckedFile {
  std::string path, content;
};

struct MemoryNeed {
  std::string device, purpose;  // "CPU", "the training"
  int64_t activations = 0, states = 0, batches = 0;
};

struct Validation {
  std::vector<CheckedFile> files;
  std::vector<ScannedSet> sets;
  std::vector<DuplicateGroup> duplicates;
  std::vector<MemoryNeed> memory;
  Findings findings;
};

// 0 without errors. Otherwise that of the errors; of several: 2, then 3, then 5.
int exit_code(const Diagnostics& problems);

// Tables, the problems and a last line with their numbers.
std::string validation_text(const Validation& validation);
// The document that docs/data.md describes.
std::string validation_json(const Validation& validation);

}  // namespace trainer
