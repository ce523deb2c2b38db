// Recognizes what is at a path, and opens a data set that no layer names.
#pragma once

#include <memory>
#include <string>

#include "data/batch_feed.h"

namespace trainer {

enum class PathKind { kDataSet, kPrototxt, kWeights, kSolverState, kMeanImage };

// By the content of the path and, of binary files, by the extension. Throws data_error if there is nothing.
PathKind kind_of_path(const std::string& path);

// Opens a database, a folder of class folders, a list of images or of HDF5 files, an HDF5 or .npy file. The images of a
// list are below the working folder or below the folder of the list. Throws data_error.
std::unique_ptr<BatchFeed> open_data_path(const std::string& path, const LogLine& log);

}  // namespace trainer
