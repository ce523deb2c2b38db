// The kinds of `trainer convert`.
#pragma once

#include <vector>

#include "cli/command.h"
#include "cli/progress_line.h"
#include "data/convert/convert.h"

namespace trainer {

struct ConvertKind {
  const char* name;
  std::vector<const char*> flags;  // the other flags have no effect, and are errors
  int (*run)(const Arguments& arguments);
};

// convert_images.cc
int run_convert_imageset(const Arguments& arguments);
int run_convert_folder(const Arguments& arguments);
int run_convert_list(const Arguments& arguments);
// convert_arrays.cc
int run_convert_idx(const Arguments& arguments);
int run_convert_cifar(const Arguments& arguments);
int run_convert_hdf5(const Arguments& arguments);

inline ConvertProgress reporter(ProgressLine& line) {
  return [&line](int64_t done, int64_t total) { line(done, total); };
}

}  // namespace trainer
