// A step of transform_param's augment is one file of this folder, which ends in REGISTER_STEP.
//
// To add a step: a file here, and its message in AugmentStep of proto/trainer.proto.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/batch_feed.h"
#include "data/pictures/draws.h"
#include "data/pictures/picture.h"
#include "data/source_context.h"

namespace trainer {

class PictureStep {
 public:
  virtual ~PictureStep() = default;
  // The extents of its result for a picture; 0: unknown. Throws data_error (without a position) for a picture that it
  // does not support.
  virtual ItemShape output_shape(const ItemShape& picture) const { return picture; }
  // The part of a picture that apply() reads after the same draws.
  virtual PicturePart part(const ItemShape& picture, Draws&) const { return PicturePart(picture); }
  // Changes a picture; a step with a `probability` only those that it draws. Thread-safe.
  virtual void apply(Picture& picture, Draws& draws) const = 0;
  // Of normalize: the values that it subtracts and multiplies by.
  virtual void show(ItemColors&) const {}
};

// What a step changes. Steps on the item come after all steps on pixels.
enum class StepTarget {
  kWindow,  // it selects pixels: crops and flips
  kPixels,
  kItem,  // the floats that the net gets
};

struct StepType {
  const char* field;  // of AugmentStep
  StepTarget target;
  bool train_only = false;  // skipped in phase TEST
  // Reports errors at fields of the step's message other than `probability`; nullptr: there are none.
  void (*check)(const caffe::AugmentStep& step, SourceContext& context) = nullptr;
  std::unique_ptr<PictureStep> (*make)(const caffe::AugmentStep& step, caffe::Phase phase);
};

// The type of a step whose message is set; nullptr for an empty step.
const StepType* find_step_type(const caffe::AugmentStep& step);
// The message of a step that is not empty.
const google::protobuf::Message& message_of(const caffe::AugmentStep& step);
// Names of all registered steps, in alphabetical order.
std::vector<std::string> step_names();

struct StepRegistration {
  explicit StepRegistration(const StepType& type);
};
#define REGISTER_STEP(name, ...) \
  static const ::trainer::StepRegistration registration_##name(::trainer::StepType{__VA_ARGS__})

}  // namespace trainer
