// Converts exceptions to Errors.
#pragma once

#include "base/error.h"

namespace trainer {

// The exception of the current handler as an Error. `computes`: a net runs, so a smaller batch helps.
Error caught_error(bool computes);

}  // namespace trainer
