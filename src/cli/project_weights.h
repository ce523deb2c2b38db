// The weights that a project of `trainer new` starts from.
#pragma once

#include "cli/project_files.h"

namespace trainer {

// Throws a data_error if no layer of the project's net takes its parameters from the weight file of the project.
void check_weights_fit(const Project& project);

}  // namespace trainer
