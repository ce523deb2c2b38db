// Sets the process up before a command runs: the environment that the compute libraries read while they load, the
// floating-point mode, the number of threads, the log.
#pragma once

namespace trainer {

// For a command that computes, restarts the program once with the environment variables of process_setup.cc that the
// user has not set; then it returns only in the restarted program. If the restart fails, the program continues: its
// results are the same, but it is slower.
void set_up_process(char** argv, bool computes);

}  // namespace trainer
