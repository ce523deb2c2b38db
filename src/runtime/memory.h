// Device memory: named states, which persist, and one arena for the values of a pass.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/device.h"

namespace trainer {

// A block of device memory, released with its owner.
class DeviceBlock {
 public:
  DeviceBlock(Device& device, int64_t bytes) : device_(device), bytes_(bytes), data_(device.allocate(bytes)) {}
  ~DeviceBlock() { device_.release(data_, bytes_); }
  DeviceBlock(const DeviceBlock&) = delete;
  DeviceBlock& operator=(const DeviceBlock&) = delete;
  void* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

 private:
  Device& device_;
  int64_t bytes_;
  void* data_;
};

// The memory for the values of all programs, which run one at a time. It grows to the largest program; its generation
// then changes and programs bind their kernels again.
class Arena {
 public:
  explicit Arena(Device& device) : device_(device) {}
  void require(int64_t bytes);
  char* base() const { return block_ ? static_cast<char*>(block_->data()) : nullptr; }
  int64_t bytes() const { return block_ ? block_->bytes() : 0; }
  int generation() const { return generation_; }

 private:
  Device& device_;
  std::unique_ptr<DeviceBlock> block_;
  int generation_ = 0;
};

// Named float states, row-major, initially zero. A group is contiguous and can be read as one flat state, so that a
// solver updates all parameters with one map. Members start at multiples of kAlignment elements; the padding stays
// zero.
class StateStore {
 public:
  static constexpr int64_t kAlignment = 16;

  explicit StateStore(Device& device) : device_(device) {}

  void add(const std::string& name, const Shape& shape);
  // Adds the members and, under the name of the group, their flat union. Returns the offsets of the members in
  // elements.
  std::vector<int64_t> add_group(const std::string& group, const std::vector<StateInfo>& members);
  // Gives elements of a state, from `begin` on, a name of their own, unless it is known. names() leaves it out.
  void add_part(const std::string& name, const std::string& state, int64_t begin, int64_t count);
  bool contains(const std::string& name) const { return entries_.count(name) > 0; }
  const Shape& shape(const std::string& name) const { return find(name).shape; }
  void* data(const std::string& name) const { return find(name).data; }
  std::vector<float> read(const std::string& name) const;
  void write(const std::string& name, const float* values);
  std::vector<std::string> names() const;
  int64_t bytes() const { return bytes_; }

 private:
  struct Entry {
    Shape shape;
    void* data = nullptr;
    bool part = false;
  };
  const Entry& find(const std::string& name) const;

  Device& device_;
  std::map<std::string, Entry> entries_;
  std::vector<std::unique_ptr<DeviceBlock>> blocks_;
  int64_t bytes_ = 0;
};

}  // namespace trainer
