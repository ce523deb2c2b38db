// The blobs of a net by name during lowering. A name can have several versions: an in-place top adds one.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ops/graph.h"

namespace trainer {

// The blob that one top of one layer makes.
struct BlobVersion {
  std::string name;
  int layer = -1, top = -1;
  Value value;            // empty if a mistake keeps it unknown
  int readers = 0;        // bottoms so far
  bool weighted = false;  // an explicit loss_weight other than 0

  // Caffe gives each of several readers a copy of its own; an explicit loss weight counts as a reader.
  int uses() const { return readers + (weighted ? 1 : 0); }
  bool is_split() const { return uses() > 1; }
};

// The names of the Split layer that Caffe inserts after a blob, and of its tops.
std::string split_layer_name(const std::string& blob, const std::string& layer, int top);
std::string split_top_name(const std::string& blob, const std::string& layer, int top, int copy);

class BlobTable {
 public:
  // The latest version, or nullptr.
  BlobVersion* find(const std::string& name);
  // Adds a version, the latest one of that name.
  BlobVersion& add(const std::string& name, int layer, int top, Value value, bool weighted);
  // The names of all blobs, in the order of their first versions.
  std::vector<std::string> names() const;
  const std::vector<BlobVersion>& versions() const { return versions_; }

 private:
  std::vector<BlobVersion> versions_;
  std::map<std::string, size_t> latest_;
};

}  // namespace trainer
