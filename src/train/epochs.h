// Intervals, steps and limits of a solver in epochs: passes over the training data.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trainer.pb.h"

namespace trainer {

// A field in iterations and the field with the same meaning in epochs.
struct EpochField {
  const char* iterations;
  const char* epochs;
  bool is_distance;  // between iterations; others name an iteration
};
inline constexpr EpochField kEpochFields[] = {
    {"max_iter", "max_epochs", false},      {"test_interval", "test_interval_epochs", true},
    {"display", "display_epochs", true},    {"snapshot", "snapshot_epochs", true},
    {"stepsize", "stepsize_epochs", true},  {"stepvalue", "stepvalue_epochs", false},
    {"warmup_iter", "warmup_epochs", false}};

// The same of a field of freeze.
inline constexpr EpochField kFreezeField = {"freeze.until_iter", "freeze.until_epochs", false};

// The values of a number field: one, or those of a repeated field. An absent field has none, and neither has a field
// that is 0, unless it is repeated.
std::vector<double> numbers_of(const caffe::SolverParameter& solver, const std::string& name);
// The first field in epochs that the solver gives, or nullptr.
const EpochField* first_epoch_field(const caffe::SolverParameter& solver);
// The solver without its fields in epochs.
caffe::SolverParameter without_epochs(caffe::SolverParameter solver);

// How iterations count epochs. A training that continues with other batches or devices counts from where it stands.
struct EpochLength {
  int64_t records = 0;        // of the training data
  int64_t per_iteration = 0;  // records that an iteration reads, on all devices together
  int64_t since = 0;          // iterations done at the start
  int64_t before = 0;         // records that they have read

  int64_t records_after(int64_t iteration) const { return before + (iteration - since) * per_iteration; }
};

// Sets each field in iterations whose form in epochs the solver gives, rounded up. A field that is not a distance gets
// the iteration in which its epochs are complete. Throws a config_error for a number beyond the range of the field.
void resolve_epochs(const EpochLength& length, caffe::SolverParameter* solver);
// Lines that show the conversions of a resolved solver; none if it has no field in epochs.
std::vector<std::string> describe_epochs(const EpochLength& length, const caffe::SolverParameter& solver);

// The iterations at which something is due. Intervals in epochs do not drift: the n-th one ends with the iteration in
// which n intervals of records are complete.
class Interval {
 public:
  // Of the two forms, the one that is not 0; if both are, nothing is ever due.
  Interval(int iterations, float epochs, const EpochLength& length);

  // Whether something is due after this number of iterations.
  bool due(int64_t iteration) const;

 private:
  int64_t period_ = 0;  // in records or iterations
  EpochLength length_ = {0, 1};
};

}  // namespace trainer
