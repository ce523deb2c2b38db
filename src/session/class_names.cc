// Compares lists of class names.
#include "session/class_names.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace trainer {

std::string class_difference(const ClassNames& first, const std::string& first_name, const ClassNames& second,
                             const std::string& second_name) {
  if (first.empty() || second.empty() || first == second) return "";
  const size_t common = std::min(first.size(), second.size());
  for (size_t i = 0; i < common; ++i) {
    if (first[i] != second[i])
      return fmt::format("class {} is \"{}\" in {}, but \"{}\" in {}", i, printable(first[i]), first_name,
                         printable(second[i]), second_name);
  }
  return fmt::format("{} has {} classes, but {} has {}", first_name, first.size(), second_name, second.size());
}

}  // namespace trainer
