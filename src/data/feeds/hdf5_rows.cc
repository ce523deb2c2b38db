// Checks the files, loads groups and reads ahead.
#include "data/feeds/hdf5_rows.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <system_error>

#include "base/error.h"
#include "base/text.h"
#include "formats/weights.h"

namespace trainer {

namespace {

constexpr size_t kMostOpenFiles = 64;
constexpr int64_t kLargestRow = int64_t{4} << 30;
constexpr int64_t kLargestTotal = int64_t{16} << 40;

int64_t product(const Shape& shape) {
  int64_t count = 1;
  for (int64_t extent : shape.dims()) {
    if (__builtin_mul_overflow(count, extent, &count)) return std::numeric_limits<int64_t>::max();
  }
  return count;
}

}  // namespace

std::vector<std::string> read_hdf5_list(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    throw data_error("there is no file {}: it should name the HDF5 files, one per line. `trainer convert` writes both",
                     std::filesystem::absolute(path, error).string());
  }
  if (Hdf5File::has_signature(path)) return {path};
  std::ifstream in(path);
  skip_byte_order_mark(in);
  std::vector<std::string> files;
  std::string name;
  while (in >> name) files.push_back(name);
  if (!in.eof() || (files.empty() && !std::filesystem::is_regular_file(path, error))) {
    throw data_error("{} cannot be read", path);
  }
  if (files.empty()) throw data_error("{} is empty: it should name the HDF5 files, one per line", path);
  return files;
}

namespace {

// Of a file that `trainer convert` made.
std::vector<std::string> class_names_of(const Hdf5File& file) {
  if (!file.has_dataset(kClassNames)) return {};
  const Hdf5DatasetInfo info = file.dataset(kClassNames);
  if (info.kind != Hdf5Kind::kString || info.shape.count() != 1) return {};
  return split(file.read_string(kClassNames), '\n');
}

}  // namespace

Hdf5Rows::Hdf5Rows(const std::string& list_file, std::vector<std::string> datasets, bool shuffle, uint64_t key,
                   const Hdf5Memory& memory)
    : Hdf5Rows(read_hdf5_list(list_file), list_file, std::move(datasets), shuffle, key, memory) {}

Hdf5Rows::Hdf5Rows(const std::vector<std::string>& files, const std::string& source, std::vector<std::string> datasets,
                   bool shuffle, uint64_t key, const Hdf5Memory& memory)
    : names_(std::move(datasets)) {
  for (const std::string& path : files) {
    File file;
    file.path = path;
    check_file(file);
    files_.push_back(std::move(file));
  }

  int64_t row_bytes = 0, total_rows = 0;
  for (const Shape& shape : row_shapes_) {
    const int64_t count = product(shape);
    if (count <= 0) throw data_error("the datasets listed in {} have rows without values", source);
    if (count > kLargestRow / 4 || (row_bytes += count * 4) > kLargestRow) {
      throw data_error("a row of the datasets listed in {} takes more than {}", source, format_bytes(kLargestRow));
    }
  }
  for (const File& file : files_) {
    if (file.rows > kLargestTotal / row_bytes || (total_rows += file.rows) > kLargestTotal / row_bytes) {
      throw data_error("the files listed in {} declare more than {}", source, format_bytes(kLargestTotal));
    }
  }
  if (total_rows == 0) throw data_error("the files listed in {} have no rows", source);

  const bool whole = shuffle && total_rows * row_bytes <= memory.whole_bytes;
  const int64_t block_rows =
      std::clamp<int64_t>(memory.block_bytes / row_bytes, 1, std::numeric_limits<uint32_t>::max() / 2);
  const int64_t group_rows = whole ? total_rows : std::max(block_rows, memory.group_bytes / row_bytes);
  std::vector<Block> blocks;
  for (size_t f = 0; f < files_.size(); ++f) {
    for (int64_t row = 0; row < files_[f].rows; row += block_rows) {
      const int64_t count = std::min(block_rows, files_[f].rows - row);
      blocks.push_back({static_cast<uint32_t>(f), static_cast<uint32_t>(count), row});
    }
  }
  order_.emplace(std::move(blocks), static_cast<uint64_t>(group_rows), shuffle, key);
  group_memory_ = (order_->one_group() ? total_rows : 2 * (shuffle ? group_rows : block_rows)) * row_bytes;
  current_.values.resize(names_.size());
  coming_.values.resize(names_.size());
}

void Hdf5Rows::check_file(File& file) {
  const Hdf5File opened = Hdf5File::open(file.path);
  if (files_.empty()) class_names_ = class_names_of(opened);
  for (size_t i = 0; i < names_.size(); ++i) {
    if (!opened.has_dataset(names_[i])) {
      const std::vector<std::string> there = opened.children("");
      if (std::find(there.begin(), there.end(), names_[i]) != there.end())
        throw data_error("'{}' of {} is a group of datasets: each top is the name of a dataset at the top of the file",
                         names_[i], file.path);
      std::string list;
      for (const std::string& name : there) list += (list.empty() ? "" : ", ") + printable(name);
      throw data_error("{} has no dataset '{}' (each top is the name of a dataset): it has {}{}", file.path, names_[i],
                       list.empty() ? "none" : list, suggest(names_[i], there, "; did you mean '{}'?"));
    }
    const Hdf5DatasetInfo info = opened.dataset(names_[i]);
    opened.check_stored(names_[i]);
    if (!info.is_number()) {
      throw data_error("dataset '{}' of {} holds {} values: only float and integer values are supported", names_[i],
                       file.path, name_of(info.kind));
    }
    if (info.shape.rank() < 1) {
      throw data_error("dataset '{}' of {} is a single value: its first axis should count the rows", names_[i],
                       file.path);
    }
    if (i == 0) file.rows = info.shape[0];
    if (info.shape[0] != file.rows) {
      throw data_error("datasets '{}' and '{}' of {} have {} and {} rows: the numbers must be equal", names_[0],
                       names_[i], file.path, file.rows, info.shape[0]);
    }
    const Shape row(std::vector<int64_t>(info.shape.dims().begin() + 1, info.shape.dims().end()));
    if (i == row_shapes_.size()) row_shapes_.push_back(row);
    if (row != row_shapes_[i]) {
      throw data_error("rows of dataset '{}' are {} in {} but {} in {}: all files must agree", names_[i], row.text(),
                       file.path, row_shapes_[i].text(), files_.front().path);
    }
  }
}

std::string Hdf5Rows::content() const {
  const auto name = [](const File& file) { return printable(std::filesystem::path(file.path).filename().string()); };
  return fmt::format("{} rows of {} files from \"{}\" to \"{}\"", format_count(static_cast<int64_t>(rows())),
                     files_.size(), name(files_.front()), name(files_.back()));
}

std::vector<std::string> Hdf5Rows::files() const {
  std::vector<std::string> paths;
  for (const File& file : files_) paths.push_back(file.path);
  return paths;
}

int64_t Hdf5Rows::memory_bytes() const { return group_memory_; }

const Hdf5File& Hdf5Rows::opened(size_t index) {
  File& file = files_[index];
  if (!file.open) {
    if (open_files_ == kMostOpenFiles) {
      for (File& other : files_) other.open.reset();
      open_files_ = 0;
    }
    file.open.emplace(Hdf5File::open(file.path));
    ++open_files_;
  }
  return *file.open;
}

void Hdf5Rows::set(LoadedGroup& loaded, uint64_t epoch, uint64_t position) {
  const bool same_blocks = order_->one_group() && loaded.group.rows > 0;
  order_->find(epoch, position, loaded.group);
  if (same_blocks) return;
  loaded.loaded_blocks = 0;
  loaded.loaded_rows = 0;
  for (size_t i = 0; i < names_.size(); ++i) {
    loaded.values[i].resize(static_cast<size_t>(loaded.group.rows) * static_cast<size_t>(row_shapes_[i].count()));
  }
}

void Hdf5Rows::load_block(LoadedGroup& loaded) {
  const Block& block = order_->blocks()[loaded.group.blocks[loaded.loaded_blocks]];
  const Hdf5File& file = opened(block.file);
  for (size_t i = 0; i < names_.size(); ++i) {
    float* out = loaded.values[i].data() + loaded.loaded_rows * static_cast<uint64_t>(row_shapes_[i].count());
    file.read_rows(names_[i], block.first_row, block.first_row + block.rows, out);
  }
  ++loaded.loaded_blocks;
  loaded.loaded_rows += block.rows;
}

// Loads the same share of the next group in which a row is wanted as was used of the current one, so that no row waits
// for a whole group.
void Hdf5Rows::load_ahead(uint64_t offset, uint64_t stride) {
  if (order_->one_group()) return;
  const Group& group = current_.group;
  const uint64_t used = offset % order_->rows() - group.first + 1;
  const uint64_t next = offset + ((group.rows - used) / stride + 1) * stride;
  const uint64_t next_epoch = next / order_->rows(), next_position = next % order_->rows();
  if (!coming_.group.holds(next_epoch, next_position)) set(coming_, next_epoch, next_position);
  while (coming_.loaded_blocks < coming_.group.blocks.size() &&
         coming_.loaded_blocks * group.rows < coming_.group.blocks.size() * used) {
    load_block(coming_);
  }
}

void Hdf5Rows::fetch(uint64_t offset, uint64_t stride) {
  const uint64_t epoch = offset / order_->rows(), position = offset % order_->rows();
  if (!current_.group.holds(epoch, position)) {
    if (coming_.group.holds(epoch, position)) {
      std::swap(current_, coming_);
      coming_.group.rows = 0;
    } else {
      set(current_, epoch, position);
    }
  }
  while (current_.loaded_blocks < current_.group.blocks.size()) load_block(current_);
  stored_row_ = current_.group.stored_row(position);
  load_ahead(offset, stride);
}

const float* Hdf5Rows::row(size_t dataset) const {
  return current_.values[dataset].data() + stored_row_ * static_cast<uint64_t>(row_shapes_[dataset].count());
}

std::string Hdf5Rows::describe() const {
  uint64_t before = 0;
  for (uint32_t index : current_.group.blocks) {
    const Block& block = order_->blocks()[index];
    if (stored_row_ < before + block.rows) {
      return fmt::format("row {} of {}", static_cast<uint64_t>(block.first_row) + stored_row_ - before,
                         files_[block.file].path);
    }
    before += block.rows;
  }
  return "a row";
}

}  // namespace trainer
