// NumPy archives: `.npz`, a ZIP file of `.npy` arrays of floats, not compressed.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "formats/atomic_file.h"
#include "tensor/shape.h"

namespace trainer {

struct NpzArray {
  std::string name;  // in NumPy; the file in the archive has the ending .npy
  Shape shape;
  const float* values = nullptr;
};

// Writes the archive; the caller commits the file. More than 4 GiB are a data_error: they would need ZIP64.
void write_npz(AtomicFile& file, const std::vector<NpzArray>& arrays);

// The values of an archive that write_npz wrote, by the names of the arrays.
std::map<std::string, std::vector<float>> read_npz(const std::string& path);

}  // namespace trainer
