// Where predictions go: the standard output, a file, a folder of masks, or a sheet of pictures.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "cli/prediction_writer.h"
#include "data/batch_feed.h"
#include "formats/atomic_file.h"

namespace trainer {

// The values of a record, and the item that the net got. Shapes are those of batches.
struct PredictedRecord {
  std::string name;
  Shape shape;
  std::span<const float> values;
  Shape item_shape;  // empty unless the target needs_items()
  std::span<const float> item;
};

struct PredictionOutput {
  std::string path;  // "": the standard output
  Existing existing = Existing::kKept;
  int64_t records = 0;
  std::function<std::string(int64_t)> name_of;  // a record
  std::optional<ItemColors> colors;             // of items that are pictures

  // Whether the path is that of a sheet, which shows items.
  bool needs_items() const;
};

class PredictionTarget {
 public:
  virtual ~PredictionTarget() = default;
  virtual void add(const PredictedRecord& record) = 0;
  virtual void finish() = 0;
};

// For values of this shape: a class for each pixel if they are probabilities with 4 axes. A config_error if the output
// does not fit them.
std::unique_ptr<PredictionTarget> prediction_target(const PredictionForm& form, const PredictionOutput& output,
                                                    const Shape& shape);

}  // namespace trainer
