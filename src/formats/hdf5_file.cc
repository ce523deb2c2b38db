// Opens, lists and reads an HDF5 file.
#include "formats/hdf5_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "formats/atomic_file.h"
#include "formats/hdf5_library.h"
#include "formats/hdf5_write_driver.h"
#include "formats/input_file.h"

namespace trainer {
namespace {

Hdf5Handle access_properties() {
  const hid_t id = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_fclose_degree(id, H5F_CLOSE_STRONG);
#if H5_VERSION_GE(1, 10, 7)
  // Locks fail on many network file systems. Readers need none, and each writer writes its own file.
  H5Pset_file_locking(id, false, true);
#endif
  return Hdf5Handle(id, H5Pclose);
}

// Opens a group or dataset, or returns a negative id. Checks every part of the path, because the library can only test
// the last part for existence.
hid_t open_object(hid_t file, const std::string& name) {
  std::string prefix;
  for (const std::string& part : split(name, '/')) {
    if (part.empty()) continue;
    prefix += "/" + part;
    if (H5Lexists(file, prefix.c_str(), H5P_DEFAULT) <= 0) return -1;
  }
  return H5Oopen(file, prefix.empty() ? "/" : prefix.c_str(), H5P_DEFAULT);
}

bool is_type(hid_t file, const std::string& name, H5I_type_t type) {
  if (file < 0) return false;
  const Hdf5Handle object(open_object(file, name), H5Oclose);
  return object >= 0 && H5Iget_type(object) == type;
}

Hdf5Handle open_dataset(const std::string& path, hid_t file, const std::string& name) {
  if (!is_type(file, name, H5I_DATASET)) throw data_error("{} has no dataset \"{}\"", path, name);
  const hid_t id = H5Dopen2(file, name.c_str(), H5P_DEFAULT);
  if (id < 0) throw data_error("{}: cannot open dataset \"{}\": {}", path, name, hdf5_reason());
  return Hdf5Handle(id, H5Dclose);
}

Hdf5DatasetInfo describe(const std::string& path, hid_t dataset, const std::string& name) {
  const Hdf5Handle space(H5Dget_space(dataset), H5Sclose);
  const Hdf5Handle type(H5Dget_type(dataset), H5Tclose);
  const int rank = space < 0 ? -1 : H5Sget_simple_extent_ndims(space);
  std::vector<hsize_t> dims(static_cast<size_t>(std::max(rank, 0)));
  if (rank < 0 || type < 0 || (rank > 0 && H5Sget_simple_extent_dims(space, dims.data(), nullptr) < 0)) {
    throw data_error("{}: cannot describe dataset \"{}\": {}", path, name, hdf5_reason());
  }
  Hdf5DatasetInfo info;
  switch (H5Tget_class(type)) {
    case H5T_FLOAT: info.kind = Hdf5Kind::kFloat; break;
    case H5T_INTEGER: info.kind = Hdf5Kind::kInteger; break;
    case H5T_STRING: info.kind = Hdf5Kind::kString; break;
    default: info.kind = Hdf5Kind::kOther;
  }
  info.element_bytes = static_cast<int64_t>(H5Tget_size(type));
  if (H5Sget_simple_extent_type(space) == H5S_NULL) dims.assign(1, 0);
  int64_t count = 1;
  std::vector<int64_t> extents;
  for (hsize_t dim : dims) {
    extents.push_back(static_cast<int64_t>(dim));
    // 2^58 values of up to 32 bytes still fit in 63 bits.
    if (dim > (hsize_t{1} << 58) || __builtin_mul_overflow(count, extents.back(), &count) ||
        count > (int64_t{1} << 58)) {
      throw data_error("{}: dataset \"{}\" has an impossible size; the file is damaged", path, name);
    }
  }
  info.shape = Shape(std::move(extents));
  return info;
}

// Memory is only allocated for a dataset if its stored bytes can hold all values, even compressed.
void check_plausible(const std::string& path, hid_t dataset, const std::string& name, const Hdf5DatasetInfo& info) {
  const auto stored = static_cast<int64_t>(H5Dget_storage_size(dataset));
  constexpr int64_t kSmall = int64_t{1} << 24;
  constexpr int64_t kBestCompression = 1100;
  const int64_t count = info.shape.count();
  if (count > kSmall && count / kBestCompression > stored) {
    throw data_error("{}: dataset \"{}\" ({}) claims {} values but stores only {}; the file is damaged", path, name,
                     info.shape.text(), format_count(count), format_bytes(stored));
  }
}

template <typename T>
std::vector<T> read_whole(const std::string& path, hid_t file, const std::string& name, hid_t type,
                          const char* expected, bool integer_only) {
  const Hdf5Call call;
  const Hdf5Handle dataset = open_dataset(path, file, name);
  const Hdf5DatasetInfo info = describe(path, dataset, name);
  if (!info.is_number() || (integer_only && info.kind != Hdf5Kind::kInteger)) {
    throw data_error("{}: dataset \"{}\" holds {} values; {} values are needed", path, name, name_of(info.kind),
                     expected);
  }
  check_plausible(path, dataset, name, info);
  std::vector<T> values(static_cast<size_t>(info.shape.count()));
  if (!values.empty() && H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0) {
    throw data_error("{}: cannot read dataset \"{}\": {}", path, name, hdf5_reason());
  }
  return values;
}

bool comes_before(const std::string& a, const std::string& b) {
  const auto is_number = [](const std::string& text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  };
  const bool a_number = is_number(a), b_number = is_number(b);
  if (a_number != b_number) return a_number;
  if (a_number && a.size() != b.size()) return a.size() < b.size();
  return a < b;
}

}  // namespace

const char* name_of(Hdf5Kind kind) {
  switch (kind) {
    case Hdf5Kind::kFloat: return "float";
    case Hdf5Kind::kInteger: return "integer";
    case Hdf5Kind::kString: return "string";
    case Hdf5Kind::kOther: return "other";
  }
  return "?";
}

bool Hdf5File::has_signature(const std::string& path) {
  constexpr char kSignature[] = "\x89HDF\r\n\x1a\n";
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return false;
  std::ifstream in(path, std::ios::binary);
  // The signature may follow a user block of 512 bytes or a power of two times that.
  for (int64_t offset = 0; in; offset = offset == 0 ? 512 : offset * 2) {
    char found[8] = {};
    if (in.seekg(offset) && in.read(found, sizeof found) && std::memcmp(found, kSignature, sizeof found) == 0) {
      return true;
    }
  }
  return false;
}

Hdf5File Hdf5File::open(const std::string& path) {
  const Hdf5Call call;
  std::error_code problem;
  const auto status = std::filesystem::status(path, problem);
  if (!std::filesystem::exists(status)) {
    throw data_error("cannot read HDF5 file {}: {}", path, problem ? problem.message() : "No such file or directory");
  }
  if (!std::filesystem::is_regular_file(status)) {
    throw data_error("cannot read HDF5 file {}: it is {}", path,
                     std::filesystem::is_directory(status) ? "a folder" : "not a regular file");
  }
  const Hdf5Handle access = access_properties();
  const hid_t id = H5Fopen(path.c_str(), H5F_ACC_RDONLY, access);
  if (id < 0) {
    const std::string reason = hdf5_reason();
    const InputFile readable(path, "HDF5 file");  // throws where the file cannot be opened
    if (!has_signature(path)) throw data_error("{} is not an HDF5 file", path);
    throw data_error("cannot read HDF5 file {}: {}", path, reason);
  }
  return Hdf5File(path, id, nullptr);
}

Hdf5File Hdf5File::create(const std::string& path, const std::string& shown) {
  const Hdf5Call call;
  const Hdf5Handle access = access_properties();
  auto fault = std::make_unique<Hdf5WriteFault>();
  set_write_driver(access, fault.get());
  const hid_t id = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access);
  const std::string& name = shown.empty() ? path : shown;
  if (id < 0) {
    const std::string reason = hdf5_reason();
    check_writable_prefix(name);
    throw data_error("cannot create HDF5 file {}: {}", name, reason);
  }
  return Hdf5File(name, id, std::move(fault));
}

Hdf5File Hdf5File::reopen(const std::string& path, const std::string& shown) {
  const Hdf5Call call;
  const Hdf5Handle access = access_properties();
  auto fault = std::make_unique<Hdf5WriteFault>();
  set_write_driver(access, fault.get());
  const hid_t id = H5Fopen(path.c_str(), H5F_ACC_RDWR, access);
  if (id < 0) throw data_error("cannot write more to HDF5 file {}: {}", path, hdf5_reason());
  return Hdf5File(shown.empty() ? path : shown, id, std::move(fault));
}

Hdf5File::Hdf5File(std::string path, int64_t id, std::unique_ptr<Hdf5WriteFault> fault)
    : path_(std::move(path)), id_(id), fault_(std::move(fault)) {}

Hdf5File::Hdf5File(Hdf5File&& other) noexcept
    : path_(std::move(other.path_)), id_(std::exchange(other.id_, -1)), fault_(std::move(other.fault_)) {}

Hdf5File& Hdf5File::operator=(Hdf5File&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(id_, other.id_);
  std::swap(fault_, other.fault_);
  return *this;
}

Hdf5File::~Hdf5File() {
  if (id_ < 0) return;
  const Hdf5Call call;
  H5Fclose(id_);
}

void Hdf5File::check_fault() const {
  if (fault_ == nullptr || fault_->error == 0) return;
  const int error = fault_->error;
  std::error_code unknown;
  const auto space = std::filesystem::space(std::filesystem::absolute(path_, unknown).parent_path(), unknown);
  throw data_error("cannot write {}: {}{}", path_, std::strerror(error),
                   error == ENOSPC && !unknown
                       ? fmt::format(" ({} free)", format_bytes(static_cast<int64_t>(space.available)))
                       : "");
}

bool Hdf5File::has_group(const std::string& name) const {
  const Hdf5Call call;
  return is_type(id_, name, H5I_GROUP);
}

bool Hdf5File::has_dataset(const std::string& name) const {
  const Hdf5Call call;
  return is_type(id_, name, H5I_DATASET);
}

bool Hdf5File::has_mark(const std::string& name) const {
  const Hdf5Call call;
  return H5Aexists(id_, name.c_str()) > 0;
}

std::vector<std::string> Hdf5File::children(const std::string& group) const {
  const Hdf5Call call;
  if (!is_type(id_, group, H5I_GROUP)) throw data_error("{} has no group \"{}\"", path_, group);
  const Hdf5Handle id(open_object(id_, group), H5Oclose);
  H5G_info_t info{};
  if (H5Gget_info(id, &info) < 0) {
    throw data_error("{}: cannot list group \"{}\": {}", path_, group, hdf5_reason());
  }
  std::vector<std::string> names;
  for (hsize_t i = 0; i < info.nlinks; ++i) {
    const ssize_t length = H5Lget_name_by_idx(id, ".", H5_INDEX_NAME, H5_ITER_INC, i, nullptr, 0, H5P_DEFAULT);
    std::string name(static_cast<size_t>(std::max<ssize_t>(length, 0)) + 1, '\0');
    if (length < 0 ||
        H5Lget_name_by_idx(id, ".", H5_INDEX_NAME, H5_ITER_INC, i, name.data(), name.size(), H5P_DEFAULT) < 0) {
      throw data_error("{}: cannot list group \"{}\": {}", path_, group, hdf5_reason());
    }
    name.pop_back();
    names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end(), comes_before);
  return names;
}

Hdf5DatasetInfo Hdf5File::dataset(const std::string& name) const {
  const Hdf5Call call;
  const Hdf5Handle dataset = open_dataset(path_, id_, name);
  return describe(path_, dataset, name);
}

std::vector<float> Hdf5File::read_floats(const std::string& name) const {
  return read_whole<float>(path_, id_, name, H5T_NATIVE_FLOAT, "float or integer", false);
}

std::vector<int32_t> Hdf5File::read_ints(const std::string& name) const {
  return read_whole<int32_t>(path_, id_, name, H5T_NATIVE_INT32, "integer", true);
}

std::vector<uint8_t> Hdf5File::read_bytes(const std::string& name) const {
  return read_whole<uint8_t>(path_, id_, name, H5T_NATIVE_UINT8, "integer", true);
}

void Hdf5File::check_stored(const std::string& name) const {
  const Hdf5Call call;
  const Hdf5Handle dataset = open_dataset(path_, id_, name);
  const Hdf5DatasetInfo info = describe(path_, dataset, name);
  check_plausible(path_, dataset, name, info);
  const Hdf5Handle creation(H5Dget_create_plist(dataset), H5Pclose);
  if (H5Pget_layout(creation) != H5D_CHUNKED) return;
  std::vector<hsize_t> chunk(static_cast<size_t>(info.shape.rank()));
  hsize_t stored = 0, needed = 1;
  const Hdf5Handle all(H5Dget_space(dataset), H5Sclose);
  if (H5Pget_chunk(creation, info.shape.rank(), chunk.data()) < 0 || H5Dget_num_chunks(dataset, all, &stored) < 0)
    return;
  for (size_t i = 0; i < chunk.size(); ++i)
    needed *= (static_cast<hsize_t>(info.shape.dims()[i]) + chunk[i] - 1) / chunk[i];
  if (stored == 0 || stored >= needed) return;
  throw data_error(
      "{}: dataset \"{}\" ({}) is incomplete: of its {} chunks it stores only {}. Missing values would read as zeros; "
      "write them, or shrink the dataset to the rows that were written",
      path_, name, info.shape.text(), needed, stored);
}

void Hdf5File::read_rows(const std::string& name, int64_t begin, int64_t end, float* out) const {
  const Hdf5Call call;
  read_rows(name, begin, end, H5T_NATIVE_FLOAT, out);
}

void Hdf5File::read_rows(const std::string& name, int64_t begin, int64_t end, uint8_t* out) const {
  const Hdf5Call call;
  read_rows(name, begin, end, H5T_NATIVE_UINT8, out);
}

void Hdf5File::read_rows(const std::string& name, int64_t begin, int64_t end, int64_t type, void* out) const {
  const Hdf5Handle dataset = open_dataset(path_, id_, name);
  const Hdf5DatasetInfo info = describe(path_, dataset, name);
  if (!info.is_number()) {
    throw data_error("{}: dataset \"{}\" holds {} values; float or integer values are needed", path_, name,
                     name_of(info.kind));
  }
  if (info.shape.rank() == 0) throw data_error("{}: dataset \"{}\" is a scalar; rows are needed", path_, name);
  if (begin < 0 || end < begin || end > info.shape[0]) {
    throw data_error("{}: dataset \"{}\" has {} rows; rows [{}, {}) were requested", path_, name, info.shape[0], begin,
                     end);
  }
  if (end == begin || info.shape.count(1) == 0) return;
  std::vector<hsize_t> start(static_cast<size_t>(info.shape.rank()), 0), count = extents_of(info.shape);
  start[0] = static_cast<hsize_t>(begin);
  count[0] = static_cast<hsize_t>(end - begin);
  const Hdf5Handle stored(H5Dget_space(dataset), H5Sclose);
  const Hdf5Handle memory(H5Screate_simple(info.shape.rank(), count.data(), nullptr), H5Sclose);
  if (H5Sselect_hyperslab(stored, H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr) < 0 ||
      H5Dread(dataset, type, memory, stored, H5P_DEFAULT, out) < 0) {
    throw data_error("{}: cannot read rows {} to {} of dataset \"{}\": {}", path_, begin, end - 1, name, hdf5_reason());
  }
}

std::string Hdf5File::read_string(const std::string& name) const {
  const Hdf5Call call;
  const Hdf5Handle dataset = open_dataset(path_, id_, name);
  const Hdf5DatasetInfo info = describe(path_, dataset, name);
  if (info.kind != Hdf5Kind::kString || info.shape.count() != 1) {
    throw data_error("{}: dataset \"{}\" is not a single string", path_, name);
  }
  const Hdf5Handle type(H5Dget_type(dataset), H5Tclose);
  const Hdf5Handle memory(H5Tcopy(type), H5Tclose);
  if (H5Tis_variable_str(type) > 0) {
    char* text = nullptr;
    if (H5Dread(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, &text) < 0) {
      throw data_error("{}: cannot read dataset \"{}\": {}", path_, name, hdf5_reason());
    }
    const std::string out = text != nullptr ? text : "";
    H5free_memory(text);
    return out;
  }
  constexpr int64_t kLongestString = 1 << 24;
  if (info.element_bytes > kLongestString) {
    throw data_error("{}: dataset \"{}\" is a string of {}", path_, name, format_bytes(info.element_bytes));
  }
  std::string out(static_cast<size_t>(info.element_bytes), '\0');
  if (H5Dread(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, out.data()) < 0) {
    throw data_error("{}: cannot read dataset \"{}\": {}", path_, name, hdf5_reason());
  }
  out.resize(std::min(out.find('\0'), out.size()));
  return out;
}

void Hdf5File::flush() {
  const Hdf5Call call;
  if (H5Fflush(id_, H5F_SCOPE_GLOBAL) < 0) throw data_error("cannot write {}: {}", path_, hdf5_reason());
  check_fault();
}

void Hdf5File::close() {
  if (id_ < 0) return;
  const Hdf5Call call;
  const hid_t id = std::exchange(id_, -1);
  if (H5Fclose(id) < 0) throw data_error("cannot write {}: {}", path_, hdf5_reason());
  check_fault();
}

}  // namespace trainer
