// Converts epochs to iterations.
#include "train/epochs.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "base/error.h"
#include "base/text.h"
#include "config/message_fields.h"

namespace trainer {
namespace {

using google::protobuf::FieldDescriptor;

int64_t records_of(double epochs, const EpochLength& length) {
  return std::max<int64_t>(1, std::llround(epochs * static_cast<double>(length.records)));
}

// The iterations that read so many records, rounded up.
int64_t iterations_for(int64_t records, const EpochLength& length) {
  const int64_t whole = records / length.per_iteration;
  return records > whole * length.per_iteration ? whole + 1 : whole;
}

// Throws a config_error for a number beyond the range of a field in iterations.
int64_t iterations_of(const EpochField& field, double epochs, const EpochLength& length) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  // Compared as numbers: the product may exceed int64_t.
  if (epochs * static_cast<double>(length.records) > static_cast<double>(length.per_iteration) * kMost)
    throw config_error("{} is {}: with {} records that is more than {} iterations", field.epochs, epochs,
                       format_count(length.records), format_count(kMost));
  const int64_t records = records_of(epochs, length);
  if (field.is_distance) return iterations_for(records, length);
  return std::clamp<int64_t>(length.since + iterations_for(records - length.before, length), 1, kMost);
}

void set_iterations(const char* name, const std::vector<int64_t>& values, caffe::SolverParameter* solver) {
  const FieldDescriptor* const field = field_of(*solver, name);
  const auto* const reflection = solver->GetReflection();
  if (field->is_repeated()) reflection->ClearField(solver, field);
  for (int64_t value : values) {
    if (field->is_repeated()) {
      reflection->AddInt32(solver, field, static_cast<int32_t>(value));
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_UINT32) {
      reflection->SetUInt32(solver, field, static_cast<uint32_t>(value));
    } else {
      reflection->SetInt32(solver, field, static_cast<int32_t>(value));
    }
  }
}

}  // namespace

std::vector<double> numbers_of(const caffe::SolverParameter& solver, const std::string& name) {
  const FieldDescriptor* const field = field_of(solver, name);
  const auto* const reflection = solver.GetReflection();
  const bool repeated = field->is_repeated();
  const int count = repeated ? reflection->FieldSize(solver, field) : 1;
  std::vector<double> values;
  for (int i = 0; i < count; ++i) {
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_FLOAT:
        values.push_back(repeated ? reflection->GetRepeatedFloat(solver, field, i)
                                  : reflection->GetFloat(solver, field));
        break;
      case FieldDescriptor::CPPTYPE_UINT32: values.push_back(reflection->GetUInt32(solver, field)); break;
      default:
        values.push_back(repeated ? reflection->GetRepeatedInt32(solver, field, i)
                                  : reflection->GetInt32(solver, field));
    }
  }
  if (!repeated && values.front() == 0) values.clear();
  return values;
}

const EpochField* first_epoch_field(const caffe::SolverParameter& solver) {
  const auto* const found =
      std::find_if(std::begin(kEpochFields), std::end(kEpochFields),
                   [&](const EpochField& field) { return !numbers_of(solver, field.epochs).empty(); });
  if (found != std::end(kEpochFields)) return found;
  const bool freezes = std::any_of(solver.freeze().begin(), solver.freeze().end(),
                                   [](const caffe::FreezeParameter& freeze) { return freeze.has_until_epochs(); });
  return freezes ? &kFreezeField : nullptr;
}

caffe::SolverParameter without_epochs(caffe::SolverParameter solver) {
  for (const EpochField& field : kEpochFields)
    solver.GetReflection()->ClearField(&solver, field_of(solver, field.epochs));
  for (caffe::FreezeParameter& freeze : *solver.mutable_freeze()) freeze.clear_until_epochs();
  return solver;
}

void resolve_epochs(const EpochLength& length, caffe::SolverParameter* solver) {
  for (const EpochField& field : kEpochFields) {
    std::vector<int64_t> values;
    for (double epochs : numbers_of(*solver, field.epochs)) values.push_back(iterations_of(field, epochs, length));
    if (!values.empty()) set_iterations(field.iterations, values, solver);
  }
  for (caffe::FreezeParameter& freeze : *solver->mutable_freeze()) {
    if (!freeze.has_until_epochs()) continue;
    const auto epochs = static_cast<double>(freeze.until_epochs());
    freeze.set_until_iter(static_cast<int32_t>(iterations_of(kFreezeField, epochs, length)));
  }
}

std::vector<std::string> describe_epochs(const EpochLength& length, const caffe::SolverParameter& solver) {
  if (first_epoch_field(solver) == nullptr) return {};
  std::vector<std::string> lines = {
      fmt::format("An epoch is {:.6g} iterations: {} records, {} in an iteration",
                  static_cast<double>(length.records) / static_cast<double>(length.per_iteration),
                  format_count(length.records), format_count(length.per_iteration))};
  for (const EpochField& field : kEpochFields) {
    const std::vector<double> epochs = numbers_of(solver, field.epochs);
    if (!epochs.empty())
      lines.push_back(fmt::format("{}: {:.6g} is {}: {}", field.epochs, fmt::join(epochs, ", "), field.iterations,
                                  fmt::join(numbers_of(solver, field.iterations), ", ")));
  }
  for (const caffe::FreezeParameter& freeze : solver.freeze()) {
    if (freeze.has_until_epochs())
      lines.push_back(fmt::format("{} of \"{}\": {} is {}: {}", kFreezeField.epochs, freeze.pattern(),
                                  freeze.until_epochs(), kFreezeField.iterations, freeze.until_iter()));
  }
  return lines;
}

Interval::Interval(int iterations, float epochs, const EpochLength& length) {
  if (epochs > 0) {
    period_ = records_of(epochs, length);
    length_ = length;
  } else {
    period_ = iterations;
  }
}

bool Interval::due(int64_t iteration) const {
  if (period_ <= 0) return false;
  return iteration == 0 || length_.records_after(iteration) / period_ > length_.records_after(iteration - 1) / period_;
}

}  // namespace trainer
