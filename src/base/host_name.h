// The name of this host.
#pragma once

#include <string>

namespace trainer {

// "" if the system does not know it.
std::string host_name();

}  // namespace trainer
