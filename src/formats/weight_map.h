// Which tensors of a weight file go into which blobs of which layers.
//
// A weight map is a text file. Each line is "LAYER/BLOB TENSOR [transpose=AXIS,AXIS...]": the tensor goes into blob
// BLOB (0, 1, ...) of the layer, with its axes in the given order. Both names may have one "*", which stands for the
// same text in both. "#" begins a comment.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "formats/tensors/tensor_file.h"

namespace trainer {

struct WeightMapLine {
  std::string layer;
  int blob = 0;
  std::string tensor;
  std::vector<int> transpose;  // empty: the axes as stored
  std::string place;           // "resnet.map:3"
};

// Throws data_error with file and line.
std::vector<WeightMapLine> read_weight_map(const std::string& path);

// The text that "*" of the pattern stands for, "" for a pattern without one; nothing if the name does not match.
std::optional<std::string> match_star(const std::string& pattern, const std::string& name);
// The pattern with the text in place of "*".
std::string replace_star(const std::string& pattern, const std::string& text);

// The tensor with its axes in this order. A data_error that begins with `place` if it has another number of axes.
StoredTensor transposed(const StoredTensor& tensor, const std::vector<int>& axes, const std::string& place);

}  // namespace trainer
