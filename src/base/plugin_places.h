// Where a plugin of this program may be.
#pragma once

#include <string>
#include <vector>

namespace trainer {

// The paths of a library with this file name beside the program and beside libtrainer.so, in this order.
std::vector<std::string> plugin_places(const std::string& file);
// The first of them that exists; "" for none.
std::string find_plugin(const std::string& file);

}  // namespace trainer
