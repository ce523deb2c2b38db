// The names of the classes that a net learns.
#pragma once

#include <string>
#include <vector>

namespace trainer {

using ClassNames = std::vector<std::string>;

// The first difference of two lists that are not empty, such as `class 3 is "dog" in A, but "fox" in B`; "" if they are
// equal or one is empty.
std::string class_difference(const ClassNames& first, const std::string& first_name, const ClassNames& second,
                             const std::string& second_name);

}  // namespace trainer
