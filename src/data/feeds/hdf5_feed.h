// Batches of rows of HDF5 files: a top for each dataset. The one worker reads and copies rows in fill().
#pragma once

#include <cstdint>
#include <memory>

#include "data/batch_feed.h"
#include "data/feeds/hdf5_rows.h"

namespace trainer {

std::unique_ptr<BatchFeed> make_hdf5_feed(int64_t batch_size, Hdf5Rows rows);

}  // namespace trainer
