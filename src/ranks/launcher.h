// Which process of a run this one is, by the environment variables of the program that launched it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace trainer {

// The values of --ranks.
enum class RanksFlag : uint8_t { kAuto, kNone, kEnv, kMpi, kSlurm };

struct LaunchedRank {
  int rank = 0, world = 1;
  // For people: "RANK and WORLD_SIZE", "torchrun", "Open MPI", "MPICH", "Slurm"; "" for none.
  std::string launcher;
  bool ends_together = false;     // the launcher ends all processes when one fails, as mpirun and torchrun do
  std::optional<int> local_rank;  // among the processes on this host
  std::optional<int> local_size;
  // Where rank 0 listens (MASTER_ADDR and MASTER_PORT); "" and 0 if they are not set. The store of torchrun listens on
  // MASTER_PORT itself: then this is the port after it.
  std::string master_host;
  uint16_t master_port = 0;
  std::string job;  // tells runs apart: the launcher's number of the job and step; "" if it gives none
};

// The value of an environment variable, nullopt if it is not set.
using Environment = std::function<std::optional<std::string>(const char* name)>;
std::optional<std::string> process_environment(const char* name);

// The innermost launcher is used: RANK with WORLD_SIZE; else OMPI_COMM_WORLD_RANK with _SIZE; else PMI_RANK with
// PMI_SIZE; else SLURM_PROCID with SLURM_STEP_NUM_TASKS, which only srun sets. A variable that is empty counts as one
// that is not set. Throws a config_error if a variable is not a number, a rank is not below the number of ranks, or the
// flag names a launcher whose variables are not set.
LaunchedRank find_rank(RanksFlag flag, const Environment& environment = process_environment);

}  // namespace trainer
