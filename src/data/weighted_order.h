// The order of an epoch that reads records by weight: of N records, record i floor or ceil of N w[i] / sum w times.
//
// Systematic resampling: the expected numbers follow each other on a line, and each point of a grid of distance 1 with
// a random offset selects the record that it meets. The records are in random order within their class and the classes
// in their order, so that the number of records of each class is also exact to 1.
#pragma once

#include <cstdint>
#include <vector>

namespace trainer {

struct RecordWeights {
  std::vector<double> weights;    // of each record, 0 or more and not all 0
  std::vector<uint32_t> classes;  // of each record; empty: one class
};

class WeightedOrder {
 public:
  WeightedOrder(const RecordWeights& records, uint64_t key);

  // As many records as there are, in random order: a pure function of the key and the epoch.
  void draw(uint64_t epoch, std::vector<uint32_t>& drawn);
  int64_t memory_bytes() const;

 private:
  uint64_t key_;
  std::vector<uint64_t> expected_;    // number of reads of each record, in units of 2^-32; the sum is exact
  std::vector<uint32_t> by_class_;    // the records with a weight
  std::vector<uint32_t> class_ends_;  // in by_class_
  std::vector<uint32_t> order_;       // scratch memory
};

}  // namespace trainer
