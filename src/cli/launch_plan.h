// What `trainer launch` starts: hosts, ranks, and the text that the shell of each host gets.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace trainer {

// A process to start.
struct Slot {
  std::string host;    // as the user writes it
  bool local = false;  // this machine: started without ssh
  int local_rank = 0, local_size = 1;
};

// The slots of "a,b:4,user@c:2,[fe80::1]:2" in their order: their index is the rank. `own_name` is the name of this
// machine, which is local as is "localhost". Throws a config_error for malformed text, a host that is named twice,
// and a first host "localhost" that the other hosts cannot reach.
std::vector<Slot> parse_hosts(const std::string& text, const std::string& own_name);

// The host of rank 0 as the others reach it: without user and brackets.
std::string address_of(const Slot& slot);

using Variables = std::vector<std::pair<std::string, std::string>>;
// The variables of this process that the processes on other hosts get too: those that docs/environment-variables.md
// lists for computation and connections. TRAINER_TOKEN and TRAINER_TOKEN_FILE are not among them.
Variables passed_variables(const char* const* environment);

// What all processes have in common.
struct LaunchPlan {
  std::string folder;              // the working folder
  std::vector<std::string> words;  // the program's path and its arguments
  int master_port = 0;
  std::string job;  // tells runs apart
  std::string token;
  Variables passed;  // to other hosts
};

// The command for the shell of a host, or of this machine: it reads a script from its standard input, up to its last
// line, and runs it. Nothing of the script appears in a list of processes.
std::string script_reader();

// The script of a rank. It starts the program, then sends it the signals whose names ("TERM") are the following lines
// of the standard input. At the end of the input it sends TERM: then the launcher is gone. The line "." ends this.
std::string rank_script(const LaunchPlan& plan, const std::vector<Slot>& slots, size_t rank);

}  // namespace trainer
