// Pictures that a command line names: files, folders, lists and standard input.
#pragma once

#include <string>
#include <vector>

#include "data/feeds/image_list.h"

namespace trainer {

// The pictures in the order of the words, without labels. A word is an image file; a folder, whose images at any depth
// are taken in the bytewise order of their paths, names that begin with a dot excepted; a text file that lists images,
// one in a line, as for ImageData (numbers after a path are ignored); or "-" for such a list on the standard input.
// Throws data_error: no such file, a folder or list without images.
ImageList read_picture_inputs(const std::vector<std::string>& words);

}  // namespace trainer
