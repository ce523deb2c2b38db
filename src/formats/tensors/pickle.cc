// Reads pickles of tensors.
#include "formats/tensors/pickle.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <unordered_map>

#include "base/error.h"
#include "base/text.h"
#include "tensor/shape.h"

namespace trainer {
namespace {

using Kind = PickleValue::Kind;

constexpr size_t kMostValues = 1'000'000;
constexpr size_t kLongestName = 1000;
constexpr int kHighestProtocol = 5;

enum Opcode : uint8_t {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kNone = 'N',
  kBinPersistentId = 'Q',
  kReduce = 'R',
  kBinString = 'T',
  kShortBinString = 'U',
  kBinUnicode = 'X',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kAppends = 'e',
  kBinFloat = 'G',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kSetItems = 'u',
  kEmptyDict = '}',
  kEmptyList = ']',
  kEmptyTuple = ')',
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kProtocol = 0x80,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kLong4 = 0x8b,
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kBinBytes8 = 0x8e,
  kEmptySet = 0x8f,
  kAddItems = 0x90,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
};

// The names of the other opcodes, for messages.
const std::map<uint8_t, const char*> kRefusedOpcodes{{'1', "POP_MARK"},
                                                     {'2', "DUP"},
                                                     {'F', "FLOAT"},
                                                     {'I', "INT"},
                                                     {'L', "LONG"},
                                                     {'P', "PERSID"},
                                                     {'S', "STRING"},
                                                     {'V', "UNICODE"},
                                                     {'d', "DICT"},
                                                     {'g', "GET"},
                                                     {'i', "INST"},
                                                     {'l', "LIST"},
                                                     {'o', "OBJ"},
                                                     {'p', "PUT"},
                                                     {0x81, "NEWOBJ"},
                                                     {0x82, "EXT1"},
                                                     {0x83, "EXT2"},
                                                     {0x84, "EXT4"},
                                                     {0x91, "FROZENSET"},
                                                     {0x92, "NEWOBJ_EX"},
                                                     {0x96, "BYTEARRAY8"},
                                                     {0x97, "NEXT_BUFFER"},
                                                     {0x98, "READONLY_BUFFER"}};

const std::map<std::string, ElementType> kStorages{
    {"torch DoubleStorage", ElementType::kF64}, {"torch FloatStorage", ElementType::kF32},
    {"torch HalfStorage", ElementType::kF16},   {"torch BFloat16Storage", ElementType::kBF16},
    {"torch LongStorage", ElementType::kI64},   {"torch IntStorage", ElementType::kI32},
    {"torch ShortStorage", ElementType::kI16},  {"torch CharStorage", ElementType::kI8},
    {"torch ByteStorage", ElementType::kU8},    {"torch BoolStorage", ElementType::kBool}};

constexpr const char* kOrderedDict = "collections OrderedDict";
constexpr const char* kRebuildTensor = "torch._utils _rebuild_tensor";
constexpr const char* kRebuildTensor2 = "torch._utils _rebuild_tensor_v2";
constexpr const char* kRebuildParameter = "torch._utils _rebuild_parameter";

bool is_known_global(const std::string& name) {
  return name == kOrderedDict || name == kRebuildTensor || name == kRebuildTensor2 || name == kRebuildParameter ||
         kStorages.count(name) > 0;
}

}  // namespace

class Unpickler {
 public:
  Unpickler(const std::string& subject, std::string_view bytes, int64_t begin, Pickle* pickle)
      : subject_(subject), bytes_(bytes), begin_(begin), pickle_(*pickle) {}

  void run() {
    while (true) {
      opcode_at_ = at_;
      const auto opcode = number<uint8_t>();
      if (opcode == kStop) break;
      if (stack_.size() > kMostValues) fail(fmt::format("more than {} open values", kMostValues));
      step(opcode);
    }
    pickle_.result_ = pop();
    pickle_.size_ = static_cast<int64_t>(at_);
  }

 private:
  [[noreturn]] void fail(const std::string& reason) const {
    throw data_error("{}: {} at byte {}", subject_, reason, begin_ + static_cast<int64_t>(opcode_at_));
  }

  // A string of `count` bytes.
  std::string_view take(uint64_t count) {
    if (count > bytes_.size() - at_) fail("the pickle ends too early, in what begins");
    const std::string_view out = bytes_.substr(at_, static_cast<size_t>(count));
    at_ += static_cast<size_t>(count);
    return out;
  }
  template <typename T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }
  std::string_view line() {
    const size_t length = bytes_.substr(at_, kLongestName).find('\n');
    if (length == bytes_.npos) fail("the pickle has a name without an end, which begins");
    const std::string_view out = take(length);
    ++at_;
    return out;
  }

  PickleValue* make(Kind kind) {
    if (pickle_.values_.size() == kMostValues) fail(fmt::format("more than {} values", kMostValues));
    PickleValue* value = &pickle_.values_.emplace_back();
    value->kind = kind;
    return value;
  }
  PickleValue* push(Kind kind) {
    stack_.push_back(make(kind));
    return stack_.back();
  }
  void push_number(int64_t value) { push(Kind::kNumber)->number = value; }
  void push_text(std::string_view text) { push(Kind::kText)->text = text; }

  // A null pointer on the stack is a mark.
  PickleValue* pop() {
    PickleValue* value = top();
    stack_.pop_back();
    return value;
  }
  PickleValue* top() const {
    if (stack_.empty() || stack_.back() == nullptr) fail("a value is missing");
    return stack_.back();
  }
  std::vector<PickleValue*> pop_to_mark() {
    const auto mark = std::find(stack_.rbegin(), stack_.rend(), nullptr);
    if (mark == stack_.rend()) fail("a mark is missing");
    std::vector<PickleValue*> values(mark.base(), stack_.end());
    stack_.erase(mark.base() - 1, stack_.end());
    return values;
  }

  void push_tuple(const std::vector<PickleValue*>& items) {
    push(Kind::kSequence)->items.assign(items.begin(), items.end());
  }
  void push_tuple(size_t count) {
    std::vector<PickleValue*> items(count);
    for (size_t i = count; i-- > 0;) items[i] = pop();
    push_tuple(items);
  }

  PickleValue* top_of(Kind kind, const char* what) const {
    if (top()->kind != kind) fail(fmt::format("{} is missing", what));
    return top();
  }
  void append(const std::vector<PickleValue*>& items) {
    PickleValue* list = top_of(Kind::kSequence, "a list");
    list->items.insert(list->items.end(), items.begin(), items.end());
  }
  void set_items(const std::vector<PickleValue*>& items) {
    PickleValue* dict = top_of(Kind::kDict, "a dictionary");
    if (items.size() % 2 != 0) fail("a key without a value");
    for (size_t i = 0; i < items.size(); i += 2) dict->members.emplace_back(items[i], items[i + 1]);
  }

  void put(uint32_t index) { memo_[index] = top(); }
  void get(uint32_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) fail(fmt::format("a value refers to number {}, which is missing,", index));
    stack_.push_back(found->second);
  }

  // A whole number of `count` bytes, least significant first. Those beyond 64 bits are not a size or position.
  void push_long(uint64_t count) {
    const std::string_view digits = take(count);
    if (digits.size() > 8) {
      push(Kind::kOther);
      return;
    }
    uint64_t value = digits.empty() || static_cast<signed char>(digits.back()) >= 0 ? 0 : UINT64_MAX;
    for (size_t i = digits.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(digits[i]);
    push_number(static_cast<int64_t>(value));
  }

  void push_global(const std::string& module, const std::string& name) {
    const std::string global = module + " " + name;
    if (!is_known_global(global))
      throw data_error(
          "{}: it asks for {}.{} (byte {}), which is not part of a tensor; the file is not executed. Save the tensors "
          "alone, in Python with torch.save(model.state_dict(), FILE)",
          subject_, printable(module), printable(name), begin_ + static_cast<int64_t>(opcode_at_));
    push(Kind::kGlobal)->text = global;
  }

  const PickleValue& argument(const PickleValue& arguments, size_t index, Kind kind) const {
    if (arguments.items.size() <= index || arguments.items[index]->kind != kind)
      fail(fmt::format("argument {} of a call is missing or wrong", index));
    return *arguments.items[index];
  }
  std::vector<int64_t> numbers(const PickleValue& sequence) const {
    std::vector<int64_t> out;
    if (sequence.items.size() > size_t{kMostAxes}) fail(fmt::format("a tensor of {} axes", sequence.items.size()));
    for (const PickleValue* item : sequence.items) {
      if (item->kind != Kind::kNumber) fail("an extent is not a number");
      out.push_back(item->number);
    }
    return out;
  }

  // The calls that are known by name, each with its tuple of arguments.
  void reduce() {
    const PickleValue& arguments = *top_of(Kind::kSequence, "the arguments of a call");
    pop();
    const std::string function = top_of(Kind::kGlobal, "the function of a call")->text;
    pop();
    if (function == kOrderedDict) {
      if (!arguments.items.empty()) fail("a dictionary with arguments");
      push(Kind::kDict);
    } else if (function == kRebuildParameter) {
      argument(arguments, 0, Kind::kTensor);
      stack_.push_back(const_cast<PickleValue*>(arguments.items[0]));
    } else if (function == kRebuildTensor || function == kRebuildTensor2) {
      PickleValue* tensor = make(Kind::kTensor);
      tensor->storage = &argument(arguments, 0, Kind::kStorage);
      tensor->offset = argument(arguments, 1, Kind::kNumber).number;
      tensor->shape = numbers(argument(arguments, 2, Kind::kSequence));
      tensor->strides = numbers(argument(arguments, 3, Kind::kSequence));
      stack_.push_back(tensor);
    } else {
      fail(fmt::format("a call of {}", function));
    }
  }

  // ("storage", TYPE, KEY, DEVICE, COUNT[, None or (KEY, OFFSET, COUNT)]). A view in another storage is of old files.
  void persistent_id() {
    const PickleValue& id = *top_of(Kind::kSequence, "the identifier of a storage");
    pop();
    if (argument(id, 0, Kind::kText).text != "storage")
      throw data_error(
          "{}: it holds a {} (byte {}), not only tensors. Save the tensors alone, in Python with "
          "torch.save(model.state_dict(), FILE)",
          subject_, printable(argument(id, 0, Kind::kText).text.substr(0, 40)),
          begin_ + static_cast<int64_t>(opcode_at_));
    const auto type = kStorages.find(argument(id, 1, Kind::kGlobal).text);
    if (type == kStorages.end()) fail("a storage without a type");
    PickleValue* storage = make(Kind::kStorage);
    storage->type = type->second;
    storage->text = argument(id, 2, Kind::kText).text;
    storage->count = argument(id, 4, Kind::kNumber).number;
    if (id.items.size() > 5 && id.items[5]->kind == Kind::kSequence)
      storage->offset = argument(*id.items[5], 1, Kind::kNumber).number;
    if (storage->count < 0 || storage->offset < 0) fail("a storage with a negative size");
    stack_.push_back(storage);
  }

  // Attributes of a dictionary (torch keeps versions there) and of a tensor have no values.
  void build() {
    pop();
    if (top()->kind != Kind::kDict && top()->kind != Kind::kTensor)
      fail("attributes of what is neither dictionary nor tensor");
  }

  void step(uint8_t opcode) {
    switch (opcode) {
      case kProtocol:
        if (const auto protocol = number<uint8_t>(); protocol > kHighestProtocol)
          fail(fmt::format("pickle protocol {} is unknown,", protocol));
        return;
      case kFrame: take(8); return;
      case kMark: stack_.push_back(nullptr); return;
      case kPop:
        if (stack_.empty()) fail("a value is missing");
        stack_.pop_back();
        return;
      case kNone: push(Kind::kNone); return;
      case kNewTrue: return push_number(1);
      case kNewFalse: return push_number(0);
      case kBinInt: return push_number(number<int32_t>());
      case kBinInt1: return push_number(number<uint8_t>());
      case kBinInt2: return push_number(number<uint16_t>());
      case kLong1: return push_long(number<uint8_t>());
      case kLong4: return push_long(number<uint32_t>());
      case kBinFloat:
        take(8);
        push(Kind::kOther);
        return;
      case kShortBinUnicode:
      case kShortBinString: return push_text(take(number<uint8_t>()));
      case kBinUnicode:
      case kBinString: return push_text(take(number<uint32_t>()));
      case kBinUnicode8: return push_text(take(number<uint64_t>()));
      case kShortBinBytes:
        take(number<uint8_t>());
        push(Kind::kOther);
        return;
      case kBinBytes:
        take(number<uint32_t>());
        push(Kind::kOther);
        return;
      case kBinBytes8:
        take(number<uint64_t>());
        push(Kind::kOther);
        return;
      case kEmptyDict: push(Kind::kDict); return;
      case kEmptyList:
      case kEmptySet:
      case kEmptyTuple: push(Kind::kSequence); return;
      case kTuple: return push_tuple(pop_to_mark());
      case kTuple1: return push_tuple(1);
      case kTuple2: return push_tuple(2);
      case kTuple3: return push_tuple(3);
      case kAppend: {
        PickleValue* item = pop();
        return append({item});
      }
      case kAppends:
      case kAddItems: return append(pop_to_mark());
      case kSetItem: {
        PickleValue* value = pop();
        PickleValue* key = pop();
        return set_items({key, value});
      }
      case kSetItems: return set_items(pop_to_mark());
      case kBinPut: return put(number<uint8_t>());
      case kLongBinPut: return put(number<uint32_t>());
      case kMemoize: return put(static_cast<uint32_t>(memo_.size()));
      case kBinGet: return get(number<uint8_t>());
      case kLongBinGet: return get(number<uint32_t>());
      case kGlobal: {
        const std::string module(line());
        return push_global(module, std::string(line()));
      }
      case kStackGlobal: {
        const std::string name = top_of(Kind::kText, "the name of a global")->text;
        pop();
        const std::string module = top_of(Kind::kText, "the module of a global")->text;
        pop();
        return push_global(module, name);
      }
      case kReduce: return reduce();
      case kBinPersistentId: return persistent_id();
      case kBuild: return build();
    }
    const auto refused = kRefusedOpcodes.find(opcode);
    fail(refused == kRefusedOpcodes.end()
             ? fmt::format("the pickle has the unknown opcode {:#04x}", opcode)
             : fmt::format("the pickle has the opcode {}, which files with tensors alone do not have,",
                           refused->second));
  }

  const std::string& subject_;
  const std::string_view bytes_;
  const int64_t begin_;
  Pickle& pickle_;
  size_t at_ = 0, opcode_at_ = 0;
  std::vector<PickleValue*> stack_;
  std::unordered_map<uint32_t, PickleValue*> memo_;
};

Pickle::Pickle(const std::string& subject, std::string_view bytes, int64_t begin) {
  Unpickler(subject, bytes, begin, this).run();
}

bool begins_pickle(std::string_view bytes) {
  return bytes.size() > 2 && static_cast<uint8_t>(bytes[0]) == kProtocol && bytes[1] >= 2 &&
         bytes[1] <= kHighestProtocol;
}

}  // namespace trainer
