// What a check keeps of each record to find duplicates.
#pragma once

#include <cstdint>

#include "data/validate/perceptual_hash.h"

namespace trainer {

struct RecordSignature {
  static constexpr int32_t kNoLabel = INT32_MIN;

  uint64_t content = 0;
  Appearance appearance;
  bool usable = false;  // the record could be read
  bool has_appearance = false;
  int32_t label = kNoLabel;  // its class
};

}  // namespace trainer
