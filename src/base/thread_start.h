// Checks that the system can start the threads of a team.
#pragma once

#include "trainer/error.h"

namespace trainer {

// libgomp ends the process if it cannot start a thread. This starts as many threads first, all at once, and throws
// too_few_threads() if one cannot be started.
void try_threads(int count);

// The device_error of a system that cannot start more threads.
Error too_few_threads();

}  // namespace trainer
