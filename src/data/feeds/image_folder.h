// A folder with a folder of images for each class, as an ImageList.
#pragma once

#include <string>
#include <vector>

#include "data/batch_feed.h"
#include "data/feeds/image_list.h"

namespace trainer {

struct ImageFolderOptions {
  // Of a file, in the order of the labels; empty: the folders in the bytewise order of their names.
  std::vector<std::string> class_names;
  std::string class_names_file;
  // Above 0: only the images of one part are in the list.
  double validation_fraction = 0;
  bool validation = false;  // which part
};

// Lists the images below the folders of `folder`, at any depth, by class and then in the bytewise order of their paths.
// Names that begin with a dot, __MACOSX (of archives made on a Mac), files whose extension is not that of an image and
// files beside the class folders are skipped. Writes one line with the counts to `note`. Throws data_error: no folders,
// a class without images, class names that are not those of the folders, a part without images, a folder that cannot be
// read.
//
// An image is for validation if the first 8 bytes of the SHA-256 of its path below `folder`, as a fraction of 2^64, are
// below validation_fraction: more images move none to the other part.
ImageList read_image_folder(const std::string& folder, const ImageFolderOptions& options, const LogLine& note);

// The paths of all images below the folder, in bytewise order; names that begin with a dot are skipped. Throws
// data_error for a folder that cannot be read and for a link to a folder above it.
std::vector<std::string> images_below(const std::string& folder);

// Reads the names of classes, one in a line. Throws data_error: no file, no names, an empty line between names, a name
// twice.
std::vector<std::string> read_class_names(const std::string& file);

}  // namespace trainer
