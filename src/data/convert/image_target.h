// The files that `convert folder` and `convert list` make. An interrupted conversion opens them again.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/convert/converted_images.h"
#include "data/convert/unfinished_target.h"

namespace trainer {

class ImageTarget {
 public:
  virtual ~ImageTarget() = default;
  // Adds the image at position `state.done` of the conversion, and its row to `state.rows`; `state.shape` is set.
  virtual void put(const ConvertedImage& image, ConversionState& state) = 0;
  // Writes to the disk what was put. After that, `state` may be saved.
  virtual void flush() = 0;
  // Ends the current file after the last image of its shard, of which `state` was saved. May be called again after an
  // interruption.
  virtual void finish_shard(const ConversionState& state) = 0;
};

// Positions of the conversion: shard s has the positions [shard_begin(s), shard_begin(s + 1)).
struct Shards {
  uint64_t images = 0;
  uint64_t count = 1;
  uint64_t begin(uint64_t shard) const { return images / count * shard + std::min(images % count, shard); }
};

// An LMDB database with Datum records in the folder `folder`, with the keys of convert_imageset, and labels.txt if the
// classes have names. `shown` is the final path. Throws data_error unless
// it has the records of `state`.
std::unique_ptr<ImageTarget> make_lmdb_target(const ImageList& list, const std::string& folder,
                                              const std::string& shown, const ConversionState& state);

// HDF5 files with the datasets data (N x C x H x W, bytes), label (N or N x K floats, or N x 1 x H x W bytes) and
// class_names, one for each shard.
std::unique_ptr<ImageTarget> make_hdf5_target(const ImageList& list, const Shards& shards,
                                              const UnfinishedTarget& place);

}  // namespace trainer
