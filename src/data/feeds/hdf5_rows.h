// Rows of the datasets of several HDF5 files, in the order of an epoch. Reads runs of rows, never a whole file at once
// (unless all files together fit the shuffle's memory).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/block_order.h"
#include "formats/hdf5_file.h"
#include "tensor/shape.h"

namespace trainer {

struct Hdf5Memory {
  int64_t block_bytes = int64_t{1} << 20;    // one read
  int64_t group_bytes = int64_t{64} << 20;   // rows shuffled with each other; two groups are in memory
  int64_t whole_bytes = int64_t{256} << 20;  // up to this total, everything is in memory and shuffled together
};

// The files that a list names, separated by white space. Throws data_error if it names none.
std::vector<std::string> read_hdf5_list(const std::string& list_file);

// One thread at a time uses it.
class Hdf5Rows {
 public:
  // Opens each listed file. Throws data_error unless each has every dataset, with equal numbers of rows in a file and
  // equal row shapes in all files.
  Hdf5Rows(const std::string& list_file, std::vector<std::string> datasets, bool shuffle, uint64_t key,
           const Hdf5Memory& memory = {});
  // Of `files`; `source` names them in messages.
  Hdf5Rows(const std::vector<std::string>& files, const std::string& source, std::vector<std::string> datasets,
           bool shuffle, uint64_t key, const Hdf5Memory& memory = {});

  uint64_t rows() const { return order_->rows(); }
  const Shape& row_shape(size_t dataset) const { return row_shapes_[dataset]; }
  size_t datasets() const { return names_.size(); }
  const std::string& dataset(size_t i) const { return names_[i]; }
  int64_t memory_bytes() const;
  std::string content() const;                                                  // as BatchFeed::content()
  const std::vector<std::string>& class_names() const { return class_names_; }  // as BatchFeed::class_names()
  std::vector<std::string> files() const;                                       // paths of all listed files

  // Moves to the row at running offset `offset`. Ascending offsets are cheap; `stride`: to the next one.
  void fetch(uint64_t offset, uint64_t stride = 1);
  // The row fetched last, row-major; valid until the next fetch().
  const float* row(size_t dataset) const;
  // `row 7 of /data/train.h5`, for the row fetched last.
  std::string describe() const;

 private:
  struct LoadedGroup {
    Group group;
    std::vector<std::vector<float>> values;  // per dataset, rows in the order of group.blocks
    size_t loaded_blocks = 0;
    uint64_t loaded_rows = 0;
  };
  struct File {
    std::string path;
    int64_t rows = 0;
    std::optional<Hdf5File> open;
  };

  void check_file(File& file);
  const Hdf5File& opened(size_t file);
  void set(LoadedGroup& loaded, uint64_t epoch, uint64_t position);
  void load_block(LoadedGroup& loaded);
  void load_ahead(uint64_t offset, uint64_t stride);

  std::vector<std::string> names_;
  std::vector<File> files_;
  size_t open_files_ = 0;
  std::vector<Shape> row_shapes_;
  std::vector<std::string> class_names_;  // of the first file
  std::optional<BlockOrder> order_;
  int64_t group_memory_ = 0;
  LoadedGroup current_;
  LoadedGroup coming_;
  uint64_t stored_row_ = 0;
};

}  // namespace trainer
