// Python's pickle format, as far as files of torch.save with tensors need it: numbers, texts, lists, tuples,
// dictionaries, and the few functions that rebuild tensors, which are recognized by name. Nothing is executed; any
// other opcode or global is refused by its name.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/element_type.h"

namespace trainer {

// A value; which members are set depends on the kind.
struct PickleValue {
  enum class Kind { kNone, kNumber, kText, kSequence, kDict, kGlobal, kStorage, kTensor, kOther };
  Kind kind = Kind::kNone;
  int64_t number = 0;                     // kNumber: whole
  std::string text;                       // kText; kGlobal: "module name"; kStorage: its key
  std::vector<const PickleValue*> items;  // kSequence: of a list or tuple
  std::vector<std::pair<const PickleValue*, const PickleValue*>> members;  // kDict
  // kStorage
  ElementType type = ElementType::kF32;
  int64_t count = 0;  // of its elements
  // kStorage: of the view in another storage; kTensor: in its storage
  int64_t offset = 0;
  // kTensor
  const PickleValue* storage = nullptr;
  std::vector<int64_t> shape, strides;  // in elements
};

// The values of one pickle. They refer to each other, possibly in cycles.
class Pickle {
 public:
  // Reads one pickle at the start of `bytes`. Errors are data_error that begin with `subject`; `begin` is the position
  // of the bytes in the file, for messages.
  Pickle(const std::string& subject, std::string_view bytes, int64_t begin);

  const PickleValue& result() const { return *result_; }
  // All of them, with those that only calls used.
  const std::deque<PickleValue>& values() const { return values_; }
  // The number of bytes that the pickle takes.
  int64_t size() const { return size_; }

 private:
  friend class Unpickler;
  std::deque<PickleValue> values_;
  const PickleValue* result_ = nullptr;
  int64_t size_ = 0;
};

// Whether the text at this position can be a pickle of protocol 2 to 5.
bool begins_pickle(std::string_view bytes);

}  // namespace trainer
