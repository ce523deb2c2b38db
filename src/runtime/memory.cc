// Allocates arenas and states.
#include "runtime/memory.h"

#include <algorithm>

#include "base/align.h"
#include "base/error.h"

namespace trainer {

void Arena::require(int64_t bytes) {
  if (bytes <= this->bytes()) return;
  block_.reset();
  ++generation_;  // the old addresses are invalid even if the allocation fails
  block_ = std::make_unique<DeviceBlock>(device_, bytes);
}

const StateStore::Entry& StateStore::find(const std::string& name) const {
  const auto found = entries_.find(name);
  TRAINER_ASSERT(found != entries_.end());
  return found->second;
}

void StateStore::add(const std::string& name, const Shape& shape) {
  TRAINER_ASSERT(!contains(name));
  const int64_t bytes = std::max<int64_t>(shape.count(), 1) * size_of(DType::kF32);
  blocks_.push_back(std::make_unique<DeviceBlock>(device_, bytes));
  bytes_ += bytes;
  entries_[name] = {shape, blocks_.back()->data(), false};
}

std::vector<int64_t> StateStore::add_group(const std::string& group, const std::vector<StateInfo>& members) {
  std::vector<int64_t> offsets;
  int64_t total = 0;
  for (const StateInfo& member : members) {
    offsets.push_back(total);
    total += align_up(member.shape.count(), kAlignment);
  }
  add(group, Shape{std::max<int64_t>(total, 1)});
  float* base = static_cast<float*>(data(group));
  for (size_t i = 0; i < members.size(); ++i) {
    TRAINER_ASSERT(!contains(members[i].name));
    entries_[members[i].name] = {members[i].shape, base + offsets[i], false};
  }
  return offsets;
}

void StateStore::add_part(const std::string& name, const std::string& state, int64_t begin, int64_t count) {
  const Entry& whole = find(state);
  TRAINER_ASSERT(begin >= 0 && begin + count <= whole.shape.count());
  entries_.emplace(name, Entry{Shape{count}, static_cast<float*>(whole.data) + begin, true});
}

std::vector<float> StateStore::read(const std::string& name) const {
  const Entry& entry = find(name);
  std::vector<float> values(static_cast<size_t>(entry.shape.count()));
  device_.copy_to_host(values.data(), entry.data, entry.shape.count() * size_of(DType::kF32));
  return values;
}

void StateStore::write(const std::string& name, const float* values) {
  const Entry& entry = find(name);
  device_.copy_from_host(entry.data, values, entry.shape.count() * size_of(DType::kF32));
}

std::vector<std::string> StateStore::names() const {
  std::vector<std::string> out;
  for (const auto& [name, entry] : entries_) {
    if (!entry.part) out.push_back(name);
  }
  return out;
}

}  // namespace trainer
