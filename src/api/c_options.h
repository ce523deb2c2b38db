// The options of the C interface: options of nets and solvers by the names of their fields.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "trainer/trainer.h"

namespace trainer {

class COptions {
 public:
  // Throws a config_error for an unknown name or a value of another type.
  void set(std::string_view name, const std::string& value);
  void set_input_shape(const std::string& input, Dims dims) { net_.inputs[input] = std::move(dims); }
  void set_log(LogFunction log) { net_.log = std::move(log); }

  // Throw a config_error if an option is set that only the other one has.
  NetOptions net() const;
  SolverOptions solver() const;

 private:
  // `net_` also holds the options that both share.
  NetOptions net_;
  SolverOptions solver_;
  std::vector<std::string> names_;  // of the options that are set
};

}  // namespace trainer
