// What must be settled before a command runs: the environment that the compute libraries read while they
// load, the floating-point mode, the number of threads, the log.
#pragma once

namespace trainer {

// For a command that computes, starts the program again, once, with the environment variables of
// process_setup.cc where the user has not set them; returns only in the process that goes on. Where that
// cannot be done it goes on as it is: slower, not wrong.
void set_up_process(char** argv, bool computes);

}  // namespace trainer
