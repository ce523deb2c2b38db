// Versions of blobs by name.
#include "lowering/blob_table.h"

#include <fmt/format.h>

#include <algorithm>

namespace trainer {

std::string split_layer_name(const std::string& blob, const std::string& layer, int top) {
  return fmt::format("{}_{}_{}_split", blob, layer, top);
}

std::string split_top_name(const std::string& blob, const std::string& layer, int top, int copy) {
  return fmt::format("{}_{}", split_layer_name(blob, layer, top), copy);
}

BlobVersion* BlobTable::find(const std::string& name) {
  const auto found = latest_.find(name);
  return found == latest_.end() ? nullptr : &versions_[found->second];
}

BlobVersion& BlobTable::add(const std::string& name, int layer, int top, Value value, bool weighted) {
  latest_[name] = versions_.size();
  return versions_.emplace_back(BlobVersion{name, layer, top, value, 0, weighted});
}

std::vector<std::string> BlobTable::names() const {
  std::vector<std::string> names;
  for (const BlobVersion& version : versions_) {
    const bool made = version.layer >= 0;  // else the blob is missing
    if (made && std::find(names.begin(), names.end(), version.name) == names.end()) names.push_back(version.name);
  }
  return names;
}

}  // namespace trainer
