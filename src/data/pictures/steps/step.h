// A step of transform_param's augment is one file of this folder, which ends in REGISTER_STEP.
//
// A step selects pixels of its picture: it moves, crops or mirrors, and needs no pass over them. The selections of all
// steps combine to one Sampling, and one loop (write_item) copies the pixels.
//
// To add a step: a file here, and its message in AugmentStep of proto/trainer.proto.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/pictures/sampling.h"
#include "data/source_context.h"

namespace trainer {

class PictureStep {
 public:
  virtual ~PictureStep() = default;
  // The extents of its result for a picture. Throws data_error (without a position) for a picture that it does not
  // support.
  virtual ItemShape output_shape(const ItemShape& picture) const { return picture; }
  // The pixels of a picture that it selects, for the record at this position of this epoch. Random choices are a pure
  // function of these and of the step's key. Thread-safe.
  virtual Sampling sample(const ItemShape& picture, uint64_t epoch, uint64_t position) const = 0;
};

struct StepType {
  const char* field;  // of AugmentStep
  bool train_only;    // skipped in phase TEST
  // Reports errors at fields of the step's message.
  void (*check)(const caffe::AugmentStep& step, SourceContext& context);
  std::unique_ptr<PictureStep> (*make)(const caffe::AugmentStep& step, uint64_t key);
};

// The type of a step whose message is set; nullptr for an empty step.
const StepType* find_step_type(const caffe::AugmentStep& step);
// Names of all registered steps, in alphabetical order.
std::vector<std::string> step_names();

struct StepRegistration {
  explicit StepRegistration(const StepType& type);
};
#define REGISTER_STEP(name, ...) \
  static const ::trainer::StepRegistration registration_##name(::trainer::StepType{__VA_ARGS__})

}  // namespace trainer
