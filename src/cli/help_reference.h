// The reference of docs/reference: a page for each command and layer, for the solver and for what all nets share.
#pragma once

#include <string>

namespace trainer {

// Writes all pages into a folder, which is made if it is not there; pages of these names are replaced.
void write_reference(const std::string& folder);

}  // namespace trainer
