// Writes archives of NumPy arrays: `.npz`, a ZIP file of `.npy` arrays of floats, not compressed.
#pragma once

#include <vector>

#include "formats/atomic_file.h"
#include "formats/tensors/tensor_file.h"

namespace trainer {

// The caller commits the file. More than 4 GiB or 65535 arrays are a data_error: they would need ZIP64.
void write_npz(AtomicFile& file, const std::vector<StoredTensor>& tensors);

}  // namespace trainer
