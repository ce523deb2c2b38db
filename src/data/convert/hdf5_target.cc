// Images as rows of HDF5 files.
//
// A file has as many rows as its shard has images, at fixed places: rows that an interrupted conversion wrote after its
// last saved state are written again. A file of which images were skipped is copied without the rows that are left.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "base/error.h"
#include "data/convert/image_target.h"
#include "formats/atomic_file.h"
#include "formats/hdf5_file.h"
#include "formats/weights.h"

namespace trainer {

namespace {

constexpr int64_t kBlockBytes = int64_t{4} << 20;
constexpr const char *kData = "data", *kLabel = "label";

void flush_to_disk(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool flushed = descriptor >= 0 && ::fsync(descriptor) == 0;
  const int problem = errno;
  ::close(descriptor);
  if (!flushed) throw data_error("cannot write {}: {}", path, std::strerror(problem));
}

class Hdf5Target : public ImageTarget {
 public:
  Hdf5Target(const ImageList& list, const Shards& shards, const UnfinishedTarget& place)
      : list_(list), shards_(shards), place_(place) {}

  void put(const ConvertedImage& image, ConversionState& state) override {
    if (!file_) open(state);
    if (data_.empty()) first_row_ = static_cast<int64_t>(state.rows);
    data_ += image.bytes;
    masks_ += image.mask;
    for (const double value : list_.label(image.index)) values_.push_back(static_cast<float>(value));
    ++state.rows;
    if (static_cast<int64_t>(data_.size()) >= kBlockBytes) write_block();
  }

  void flush() override {
    if (!file_) return;
    write_block();
    file_->flush();
    flush_to_disk(file_->path());
  }

  void finish_shard(const ConversionState& state) override {
    if (file_) file_->close();
    file_.reset();
    const std::string path = place_.path(state.shard);
    if (state.rows == 0) throw data_error("no image of shard {} could be read: choose fewer shards", state.shard);
    if (Hdf5File::open(path).dataset(kData).shape[0] > static_cast<int64_t>(state.rows)) shorten(path, state);
  }

 private:
  Shape data_shape(const ConversionState& state, int64_t rows) const {
    return {rows, state.shape.channels, state.shape.height, state.shape.width};
  }

  Hdf5File create(const std::string& path, const ConversionState& state, int64_t rows) const {
    Hdf5File file = Hdf5File::create(path);
    file.make_byte_rows(kData, data_shape(state, rows));
    const auto values = static_cast<int64_t>(list_.label_values());
    if (values == 0) {
      file.make_byte_rows(kLabel, {rows, 1, state.shape.height, state.shape.width});
    } else {
      file.make_float_rows(kLabel, values == 1 ? Shape{rows} : Shape{rows, values});
    }
    if (!list_.class_names().empty())
      file.write_string(kClassNames, fmt::format("{}", fmt::join(list_.class_names(), "\n")));
    return file;
  }

  void open(const ConversionState& state) {
    const std::string path = place_.path(state.shard);
    // A file without a saved row may be unfinished.
    if (state.rows == 0) {
      const uint64_t images = shards_.begin(state.shard + 1) - shards_.begin(state.shard);
      create(path, state, static_cast<int64_t>(images)).close();
    }
    file_.emplace(Hdf5File::reopen(path));
  }

  void write_block() {
    if (data_.empty()) return;
    const Shape shape = file_->dataset(kData).shape;
    const int64_t end = first_row_ + static_cast<int64_t>(data_.size()) / shape.count(1);
    file_->write_rows(kData, first_row_, end, reinterpret_cast<const uint8_t*>(data_.data()));
    if (list_.label_values() == 0) {
      file_->write_rows(kLabel, first_row_, end, reinterpret_cast<const uint8_t*>(masks_.data()));
    } else {
      file_->write_rows(kLabel, first_row_, end, values_.data());
    }
    data_.clear();
    masks_.clear();
    values_.clear();
  }

  template <typename Value>
  void copy_rows(const Hdf5File& from, Hdf5File& to, const char* dataset) const {
    const Shape shape = to.dataset(dataset).shape;
    const int64_t block = std::max<int64_t>(1, kBlockBytes / (shape.count(1) * static_cast<int64_t>(sizeof(Value))));
    std::vector<Value> values(static_cast<size_t>(block * shape.count(1)));
    for (int64_t row = 0; row < shape[0]; row += block) {
      const int64_t end = std::min(shape[0], row + block);
      from.read_rows(dataset, row, end, values.data());
      to.write_rows(dataset, row, end, values.data());
    }
  }

  // Replaces the file by one with the rows that were written.
  void shorten(const std::string& path, const ConversionState& state) const {
    AtomicFile shorter(path);
    const Hdf5File from = Hdf5File::open(path);
    Hdf5File to = create(shorter.temporary_path(), state, static_cast<int64_t>(state.rows));
    copy_rows<uint8_t>(from, to, kData);
    if (list_.label_values() == 0) {
      copy_rows<uint8_t>(from, to, kLabel);
    } else {
      copy_rows<float>(from, to, kLabel);
    }
    to.close();
    shorter.commit();
  }

  const ImageList& list_;
  const Shards shards_;
  const UnfinishedTarget& place_;
  std::optional<Hdf5File> file_;
  // Not yet written.
  int64_t first_row_ = 0;
  std::string data_, masks_;
  std::vector<float> values_;
};

}  // namespace

std::unique_ptr<ImageTarget> make_hdf5_target(const ImageList& list, const Shards& shards,
                                              const UnfinishedTarget& place) {
  return std::make_unique<Hdf5Target>(list, shards, place);
}

}  // namespace trainer
