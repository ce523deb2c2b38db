// The registry of steps.
#include "data/pictures/steps/step.h"

#include <algorithm>

namespace trainer {

namespace {

std::vector<StepType>& registry() {
  static std::vector<StepType> types;
  return types;
}

// nullptr for an empty step.
const google::protobuf::FieldDescriptor* set_field(const caffe::AugmentStep& step) {
  return step.GetReflection()->GetOneofFieldDescriptor(step, step.GetDescriptor()->oneof_decl(0));
}

}  // namespace

StepRegistration::StepRegistration(const StepType& type) { registry().push_back(type); }

const StepType* find_step_type(const caffe::AugmentStep& step) {
  const google::protobuf::FieldDescriptor* set = set_field(step);
  if (set == nullptr) return nullptr;
  const auto found = std::find_if(registry().begin(), registry().end(),
                                  [&](const StepType& type) { return type.field == set->name(); });
  TRAINER_ASSERT(found != registry().end());
  return &*found;
}

const google::protobuf::Message& message_of(const caffe::AugmentStep& step) {
  return step.GetReflection()->GetMessage(step, set_field(step));
}

std::vector<std::string> step_names() {
  std::vector<std::string> names;
  for (const StepType& type : registry()) names.emplace_back(type.field);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace trainer
