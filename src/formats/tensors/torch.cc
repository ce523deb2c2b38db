// Files of torch.save, in both containers.
//
// Since version 1.6 a zip archive: PREFIX/data.pkl is the pickle of the object, PREFIX/data/KEY the bytes of a storage.
// Before, five pickles (a magic number, the version, properties of the machine, the object, the keys of the storages),
// followed by the number of elements and the bytes of each storage.
#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "formats/mapped_file.h"
#include "formats/tensors/pickle.h"
#include "formats/tensors/readers.h"

namespace trainer {
namespace {

using Kind = PickleValue::Kind;

constexpr int64_t kLargestPickle = 64 << 20;
constexpr int kDeepestDict = 32;
// Nested dictionaries that share parts have few bytes and many names.
constexpr int64_t kMostNames = 1'000'000;
constexpr size_t kMostNameBytes = 64 << 20;
// A tensor may repeat the elements of its storage up to this size.
constexpr int64_t kMostRepeated = 1 << 20;

constexpr std::string_view kPickleName = "data.pkl";
// The pickle of 0x1950a86a20f9469cfc6c.
constexpr std::string_view kMagic("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);

// The bytes of a storage.
struct StorageBytes {
  std::function<std::unique_ptr<ByteStream>()> open;
  int64_t size = 0;
};
using FindStorage = std::function<StorageBytes(const PickleValue& storage)>;

// Makes a list of the tensors in nested dictionaries: "state_dict.conv1.weight".
class TensorList {
 public:
  TensorList(const std::string& path, bool swapped, FindStorage find)
      : path_(path), swapped_(swapped), find_(std::move(find)) {}

  void add(const std::string& name, const PickleValue& value, int depth = 0) {
    name_bytes_ += name.size();
    if (++names_ > kMostNames || name_bytes_ > kMostNameBytes)
      throw data_error("{}: its nested dictionaries have more than {} names, or names of more than {}", path_,
                       kMostNames, format_bytes(kMostNameBytes));
    if (value.kind == Kind::kTensor) {
      tensors_.push_back(tensor_of(name, value));
      check_tensor_count(path_, tensors_.size());
      return;
    }
    if (value.kind != Kind::kDict) return;
    if (depth == kDeepestDict)
      throw data_error("{}: dictionaries are nested too deeply at \"{}\"", path_, printable(name.substr(0, 200)));
    for (const auto& [key, member] : value.members) {
      if (key->kind != Kind::kText && key->kind != Kind::kNumber) continue;
      const std::string part = key->kind == Kind::kText ? key->text : std::to_string(key->number);
      add(name.empty() ? part : name + "." + part, *member, depth + 1);
    }
  }

  std::vector<StoredTensor> take() { return std::move(tensors_); }

 private:
  StoredTensor tensor_of(const std::string& name, const PickleValue& value) const {
    const std::string subject = subject_of(path_, name);
    const PickleValue& storage = *value.storage;
    StoredTensor tensor;
    tensor.name = name;
    tensor.type = storage.type;
    tensor.shape = checked_shape(subject, value.shape);
    const StridedView view{storage.type, swapped_, tensor.shape, value.strides};
    if (view.strides.size() != value.shape.size() || value.offset < 0 ||
        std::any_of(view.strides.begin(), view.strides.end(), [](int64_t stride) { return stride < 0; }))
      throw data_error("{} has impossible strides or an impossible position in its storage", subject);
    const StorageBytes bytes = find_(storage);
    const int64_t stored = bytes.size / size_of(storage.type), span = span_of(view);
    if (storage.offset > stored || value.offset > stored - storage.offset ||
        span > stored - storage.offset - value.offset)
      throw data_error(
          "{} ({}) needs {} elements from number {} of its storage, which has {}. Copy or download it again", subject,
          tensor.shape.text(), span, value.offset, stored);
    if (tensor.shape.count() > std::max(stored, kMostRepeated))
      throw data_error("{} ({}) repeats the {} elements of its storage. Save tensor.contiguous()", subject,
                       tensor.shape.text(), stored);
    const int64_t begin = (storage.offset + value.offset) * size_of(storage.type);
    tensor.read = [view, open = bytes.open, begin](float* out) {
      const std::unique_ptr<ByteStream> stream = open();
      stream->skip(begin);
      read_view(view, *stream, out);
    };
    return tensor;
  }

  const std::string& path_;
  const bool swapped_;
  const FindStorage find_;
  std::vector<StoredTensor> tensors_;
  int64_t names_ = 0;
  size_t name_bytes_ = 0;
};

const ZipMember* pickle_member(const ZipFile& zip) {
  for (const ZipMember& member : zip.members()) {
    if (member.name == kPickleName || member.name.ends_with("/" + std::string(kPickleName))) return &member;
  }
  return nullptr;
}

std::string content_of(const ZipFile& zip, const ZipMember& member) {
  if (member.size > kLargestPickle)
    throw data_error("{}: the member \"{}\" of the zip archive has {}, more than any list of tensors", zip.path(),
                     printable(member.name), format_bytes(member.size));
  std::string content(static_cast<size_t>(member.size), '\0');
  zip.open(member)->read(content.data(), member.size);
  return content;
}

// Whether the numbers have their most significant byte first.
bool is_big_endian(const ZipFile& zip, const std::string& prefix) {
  const ZipMember* order = zip.find(prefix + "byteorder");
  return order != nullptr && content_of(zip, *order) == "big";
}

// The bytes of a file, which may be larger than the memory.
class MappedBytes {
 public:
  explicit MappedBytes(const InputFile& file)
      : map_(MappedFile::map(file.descriptor(), static_cast<uint64_t>(file.size()))) {
    if (map_ == nullptr) throw data_error("cannot map {}", file.path());
  }
  std::string_view from(int64_t begin) const {
    return std::string_view(map_->bytes(), map_->size()).substr(static_cast<size_t>(begin));
  }
  bool failed() const { return map_->failed(); }

 private:
  std::unique_ptr<MappedFile> map_;
};

bool says_big_endian(const PickleValue& machine) {
  for (const auto& [key, value] : machine.members) {
    if (key->text == "little_endian") return value->kind == Kind::kNumber && value->number == 0;
  }
  return false;
}

}  // namespace

bool is_torch_archive(const ZipFile& zip) { return pickle_member(zip) != nullptr; }

std::vector<StoredTensor> open_torch_archive(const std::shared_ptr<const ZipFile>& zip) {
  const ZipMember& member = *pickle_member(*zip);
  const std::string prefix = member.name.substr(0, member.name.size() - kPickleName.size());
  const std::string content = content_of(*zip, member);
  const Pickle pickle(fmt::format("{}: {}", zip->path(), printable(member.name)), content, 0);
  TensorList list(zip->path(), is_big_endian(*zip, prefix), [&](const PickleValue& storage) {
    const ZipMember* bytes = zip->find(prefix + "data/" + storage.text);
    if (bytes == nullptr)
      throw data_error("{}: the storage \"{}\" is missing from the zip archive", zip->path(), printable(storage.text));
    return StorageBytes{[zip, bytes] { return zip->open(*bytes); }, bytes->size};
  });
  list.add("", pickle.result());
  return list.take();
}

bool is_torch_legacy(const InputFile& file) {
  char head[kMagic.size()];
  if (file.size() <= static_cast<int64_t>(kMagic.size())) return false;
  file.read(0, head, static_cast<int64_t>(kMagic.size()));
  const std::string_view begin(head, kMagic.size());
  if (begin != kMagic && begins_pickle(begin))
    throw data_error(
        "{} is a pickle, but not one of torch.save. Save the tensors in Python with torch.save(model.state_dict(), "
        "FILE)",
        file.path());
  return begin == kMagic;
}

std::vector<StoredTensor> open_torch_legacy(const SharedFile& file) {
  const std::string& path = file->path();
  const MappedBytes bytes(*file);
  auto at = static_cast<int64_t>(kMagic.size());
  const auto next = [&] {
    Pickle pickle(path, bytes.from(at), at);
    at += pickle.size();
    return pickle;
  };
  next();  // the version
  const Pickle machine = next(), object = next(), keys = next();

  std::map<std::string, const PickleValue*> types;
  for (const PickleValue& value : object.values()) {
    if (value.kind == Kind::kStorage) types[value.text] = &value;
  }
  std::map<std::string, StorageBytes> storages;
  for (const PickleValue* key : keys.result().items) {
    const auto storage = types.find(key->text);
    if (storage == types.end())
      throw data_error("{}: the type of the storage \"{}\" is unknown", path, printable(key->text));
    int64_t count = 0;
    file->read(at, &count, sizeof(count));
    at += static_cast<int64_t>(sizeof(count));
    const int64_t element = size_of(storage->second->type);
    if (count != storage->second->count || count > (file->size() - at) / element)
      throw data_error(
          "{}: the storage \"{}\" has {} elements from byte {}, but the file is {} bytes long. Copy or "
          "download it again",
          path, printable(key->text), count, at, file->size());
    const int64_t begin = at;
    storages[key->text] = {[file, begin] { return std::make_unique<FileStream>(*file, begin); }, count * element};
    at += count * element;
  }
  TensorList list(path, says_big_endian(machine.result()), [&](const PickleValue& storage) {
    const auto found = storages.find(storage.text);
    if (found == storages.end())
      throw data_error("{}: the storage \"{}\" is missing from the file", path, printable(storage.text));
    return found->second;
  });
  list.add("", object.result());
  if (bytes.failed()) throw data_error("{} became shorter, or could not be read, while it was used", path);
  return list.take();
}

}  // namespace trainer
