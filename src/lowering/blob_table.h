// The blobs of a net by name while it is assembled. A name may have several versions: an in-place top begins
// a new one.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ops/graph.h"

namespace trainer {

// What one top of one layer made.
struct BlobVersion {
  std::string name;
  int layer = -1, top = -1;
  Value value;            // empty where a mistake keeps it unknown
  int readers = 0;        // bottoms so far
  bool weighted = false;  // an explicit loss_weight other than 0
  bool current = true;    // no later version of the name

  // Caffe gives every reader, and an explicit loss weight, a copy of its own where there are several.
  int uses() const { return readers + (weighted ? 1 : 0); }
  bool is_split() const { return uses() > 1; }
};

// Names of the Split layer Caffe inserts behind a blob, and of its tops.
std::string split_layer_name(const std::string& blob, const std::string& layer, int top);
std::string split_top_name(const std::string& blob, const std::string& layer, int top, int copy);

class BlobTable {
 public:
  // The latest version, or nullptr.
  BlobVersion* find(const std::string& name);
  // A new version, which supersedes the old one of that name.
  BlobVersion& add(const std::string& name, int layer, int top, Value value, bool weighted);
  // Current names, in the order they were first made.
  std::vector<std::string> names() const;
  const std::vector<BlobVersion>& versions() const { return versions_; }

 private:
  std::vector<BlobVersion> versions_;
  std::map<std::string, size_t> latest_;
};

}  // namespace trainer
