// The reference of docs/reference: a page for each command and layer, for the solver and for what all nets share.
#pragma once

#include <string>

namespace trainer {

// Writes all pages into a folder, which is made if it is not there. Replaces earlier pages; another file with the name
// of a page is a config_error, and no page is written.
void write_reference(const std::string& folder);

}  // namespace trainer
