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
  std::string name;         // for messages: "TRAIN", or its path
  std::string root_folder;  // before each path of a list; "" for none
  SourcePosition position;  // of its name in a net
  std::string subject;      // the layer that reads it; "" for none
  std::shared_ptr<BatchFeed> feed;
  std::set<size_t> ranged_tops;  // whose labels a layer of the net takes as classes
  DataScan scan;

  // The name of a class: "3 (fox)", or its number.
  std::string class_name(int64_t label) const;
};

struct Findings {
  Diagnostics problems;
  std::vector<std::string> notes;  // worth a look, but no problem
};

// Of each set, and of the duplicates in and across them.
Findings find_problems(const std::vector<ScannedSet>& sets, const std::vector<DuplicateGroup>& duplicates);

// The labels of a set that are classes, by the number of the class; nullptr if it has none. Of masks, the numbers count
// pixels.
const std::map<int64_t, uint64_t>* class_counts(const ScannedSet& set);

}  // namespace trainer
