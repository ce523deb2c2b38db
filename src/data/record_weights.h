// The weights of records that `sampling` of a layer gives.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "data/source_context.h"
#include "data/weighted_order.h"

namespace trainer {

// The class of a record that is never read.
constexpr uint32_t kNoClass = 0xFFFFFFFFu;

// The field of a layer, and what must be known of its data set.
struct SampledSet {
  std::string message;  // "data_param", which has the fields sampling and shuffle
  const caffe::SamplingParameter& sampling;
  std::string path;
  uint64_t records = 0;
  std::vector<std::string> class_names;               // empty if they are unknown
  std::function<std::vector<uint32_t>()> classes_of;  // the class of each record; see needs_classes()
};

// Whether the weights depend on the classes of the records.
bool needs_classes(const caffe::SamplingParameter& sampling);
// Reports errors in the text of `sampling`.
void check_sampling(SourceContext& context, const std::string& message, const caffe::SamplingParameter& sampling,
                    bool shuffle);
// nullopt if each record is read once an epoch: without sampling, in phase TEST and for a stream in order. Reports
// errors.
std::optional<RecordWeights> weigh_records(SourceContext& context, const SampledSet& set);

// Throws data_error for a label that is not a class. `record` gives the name of the record.
uint32_t class_of(int32_t label, const std::function<std::string()>& record);

}  // namespace trainer
