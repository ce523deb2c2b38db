// Finds records of equal content, and pictures that look alike, in and across data sets.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/validate/record_signature.h"

namespace trainer {

struct RecordPlace {
  size_t set = 0;
  uint64_t record = 0;

  bool operator==(const RecordPlace& other) const { return set == other.set && record == other.record; }
  bool operator<(const RecordPlace& other) const { return set != other.set ? set < other.set : record < other.record; }
};

struct RecordPair {
  RecordPlace first, second;
  bool operator<(const RecordPair& other) const {
    return first == other.first ? second < other.second : first < other.first;
  }
};

// Duplicates of two data sets, first_set <= second_set; equal numbers: within one.
struct DuplicateGroup {
  size_t first_set = 0, second_set = 0;
  bool exact = false;             // equal content; else near-duplicates, as near() finds them, of different content
  uint64_t records = 0;           // of the second set that repeat one of the first set (within one set: an earlier one)
  uint64_t relabelled = 0;        // those of them with another class; of exact ones
  std::vector<RecordPair> pairs;  // the first few by record
};

// Takes the signatures of each set. Sorted by the numbers of the sets, exact ones first.
std::vector<DuplicateGroup> find_duplicates(const std::vector<std::span<const RecordSignature>>& sets);

}  // namespace trainer
