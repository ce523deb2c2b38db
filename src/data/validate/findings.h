// The problems that the scans of data sets show.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "config/diagnostics.h"
#include "data/validate/duplicates.h"
#include "data/validate/scan.h"

namespace trainer {

// A data set after its scan.
struct ScannedSet {
  std::string name;                 // for messages: "TRAIN", or its path
  std::string source;               // its path
  std::vector<std::string> splits;  // the nets that read it: "TRAIN", "TEST"; none for a path
  std::string root_folder;          // before each path of a list; "" for none
  SourcePosition position;          // of its name in a net
  std::string subject;              // the layer that reads it; "" for none
  std::shared_ptr<BatchFeed> feed;
  std::set<size_t> ranged_tops;  // whose labels a layer of the net takes as classes
  DataScan scan;
};

struct Findings {
  Diagnostics problems;
  std::vector<std::string> notes;  // worth a look, but no problem
};

// Of each set, and of the duplicates in and across them.
Findings find_problems(const std::vector<ScannedSet>& sets, const std::vector<DuplicateGroup>& duplicates);

// A class with its records in each set; sets without classes have 0.
struct ClassRow {
  int64_t label = 0;  // in the first set that has it
  std::string name;   // "" if it is unknown
  std::vector<uint64_t> counts;
};
// Of all sets, by label. Classes of the same name are one class, whatever their labels.
std::vector<ClassRow> class_rows(const std::vector<ScannedSet>& sets);

// The labels of a set that are classes, by the number of the class; nullptr if it has none. Of masks, the numbers count
// pixels.
const std::map<int64_t, uint64_t>* class_counts(const ScannedSet& set);

}  // namespace trainer
