// Reads the variables that launchers set for each process.
//
// torchrun: RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT, TORCHELASTIC_*. Open MPI 4 and 5:
// OMPI_COMM_WORLD_*. MPICH, Intel MPI and others with the process manager Hydra: PMI_* and MPI_LOCAL*. srun: SLURM_*,
// and with --mpi=pmi2 also PMI_*.
#include "ranks/launcher.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <limits>
#include <vector>

#include "base/error.h"

namespace trainer {
namespace {

struct Launcher {
  RanksFlag flag;
  const char* name;
  const char *rank, *world;
  const char *local_rank, *local_size;  // "" if it sets none
  bool ends_together;
};
// The innermost first.
constexpr Launcher kSlurm = {RanksFlag::kSlurm, "Slurm", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS",
                             "SLURM_LOCALID",   "",      false};
constexpr Launcher kPmi = {RanksFlag::kMpi,   "MPICH",           "PMI_RANK", "PMI_SIZE",
                           "MPI_LOCALRANKID", "MPI_LOCALNRANKS", true};
constexpr Launcher kLaunchers[] = {
    {RanksFlag::kEnv, "RANK and WORLD_SIZE", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", false},
    {RanksFlag::kMpi, "Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
     "OMPI_COMM_WORLD_LOCAL_SIZE", true},
    kPmi,
    kSlurm,
};
constexpr const char* kRemedy = "correct the variable, or remove it (train, test and time: or give --ranks=none)";

std::optional<int> whole_number(const std::string& text, int least, int most) {
  int value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end || value < least || value > most) return std::nullopt;
  return value;
}

class Reader {
 public:
  explicit Reader(const Environment& environment) : environment_(environment) {}

  // A variable that is empty counts as one that is not set.
  std::string text(const char* name) const { return environment_(name).value_or(""); }
  bool is_set(const char* name) const { return *name != '\0' && !text(name).empty(); }
  int number(const char* name, int least, int most = std::numeric_limits<int>::max()) const {
    const std::string value = text(name);
    const std::optional<int> number = whole_number(value, least, most);
    if (!number)
      throw config_error("{} is \"{}\", not a whole number {}: {}", name, value,
                         most == std::numeric_limits<int>::max() ? fmt::format("from {} on", least)
                                                                 : fmt::format("from {} to {}", least, most),
                         kRemedy);
    return *number;
  }
  std::optional<int> optional_number(const char* name, int least) const {
    return is_set(name) ? std::optional<int>(number(name, least)) : std::nullopt;
  }

 private:
  const Environment& environment_;
};

bool sets(const Launcher& launcher, const Reader& reader) {
  return reader.is_set(launcher.rank) && reader.is_set(launcher.world);
}

// Whether srun set PMI_RANK and PMI_SIZE for its tasks. Hydra also sets MPI_LOCALRANKID.
bool is_pmi_of_slurm(const Reader& reader) {
  return sets(kSlurm, reader) && !reader.is_set(kPmi.local_rank) &&
         reader.text(kPmi.rank) == reader.text(kSlurm.rank) && reader.text(kPmi.world) == reader.text(kSlurm.world);
}

// nullptr for --ranks=none, or for auto if no launcher's variables are set.
const Launcher* find_launcher(RanksFlag flag, const Reader& reader) {
  if (flag == RanksFlag::kNone) return nullptr;
  std::vector<std::string> missing;
  for (const Launcher& launcher : kLaunchers) {
    if (flag != RanksFlag::kAuto && flag != launcher.flag) continue;
    if (sets(launcher, reader)) return launcher.rank == kPmi.rank && is_pmi_of_slurm(reader) ? &kSlurm : &launcher;
    missing.push_back(fmt::format("{} and {}", launcher.rank, launcher.world));
  }
  if (flag == RanksFlag::kAuto) return nullptr;
  struct Start {
    RanksFlag flag;
    const char *name, *remedy;
  };
  constexpr Start kStarts[] = {
      {RanksFlag::kEnv, "env", "start the processes with torchrun or trainer launch, or set the variables"},
      {RanksFlag::kMpi, "mpi", "start the processes with mpirun or mpiexec"},
      {RanksFlag::kSlurm, "slurm", "start the processes with srun"},
  };
  for (const Start& start : kStarts) {
    if (start.flag == flag)
      throw config_error("--ranks={}: {} are not set: {}, or give --ranks=none to run alone", start.name,
                         fmt::join(missing, ", or "), start.remedy);
  }
  return nullptr;
}

// The number of tasks on this node: SLURM_STEP_TASKS_PER_NODE is "2(x3),1" for four nodes, SLURM_NODEID the node's
// number among them.
std::optional<int> slurm_local_size(const Reader& reader) {
  const std::optional<int> node = whole_number(reader.text("SLURM_NODEID"), 0, std::numeric_limits<int>::max());
  const std::string list = reader.text("SLURM_STEP_TASKS_PER_NODE");
  if (!node) return std::nullopt;
  int64_t nodes = 0;
  for (size_t begin = 0; begin < list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    const std::string part = list.substr(begin, end - begin);
    const size_t bracket = part.find("(x");
    const std::optional<int> tasks = whole_number(part.substr(0, bracket), 1, std::numeric_limits<int>::max());
    std::optional<int> repeats = 1;
    if (bracket != std::string::npos)
      repeats = part.back() == ')' ? whole_number(part.substr(bracket + 2, part.size() - bracket - 3), 1,
                                                  std::numeric_limits<int>::max())
                                   : std::nullopt;
    if (!tasks || !repeats) return std::nullopt;
    nodes += *repeats;
    if (*node < nodes) return tasks;
    begin = end + 1;
  }
  return std::nullopt;
}

// A restart of a job by Slurm keeps the numbers of job and step.
std::string slurm_job(const Reader& reader) {
  std::string job = reader.text("SLURM_JOB_ID");
  if (job.empty()) return "";
  if (reader.is_set("SLURM_STEP_ID")) job += "." + reader.text("SLURM_STEP_ID");
  if (reader.is_set("SLURM_RESTART_COUNT")) job += ".restart" + reader.text("SLURM_RESTART_COUNT");
  return job;
}

// Variables that are the same for all processes of a run.
std::string job_of(const Launcher& launcher, const Reader& reader) {
  switch (launcher.flag) {
    case RanksFlag::kEnv: {
      if (reader.is_set("TRAINER_JOB")) return reader.text("TRAINER_JOB");  // of trainer launch
      const std::string id = reader.text("TORCHELASTIC_RUN_ID");
      return id == "none" ? "" : id;  // torchrun's default
    }
    case RanksFlag::kSlurm: return slurm_job(reader);
    default: break;
  }
  for (const char* name : {"PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid", "PMI_JOBID"}) {
    if (reader.is_set(name)) return reader.text(name);
  }
  return slurm_job(reader);  // Hydra has no number of its own
}

void read_master(const Reader& reader, LaunchedRank* found) {
  const bool host = reader.is_set("MASTER_ADDR"), port = reader.is_set("MASTER_PORT");
  if (!host && !port) return;
  if (host != port)
    throw config_error("{} is set, but {} is not: set both or none", host ? "MASTER_ADDR" : "MASTER_PORT",
                       host ? "MASTER_PORT" : "MASTER_ADDR");
  // torchrun's own store listens on MASTER_PORT.
  const bool taken = reader.text("TORCHELASTIC_USE_AGENT_STORE") == "True";
  found->master_host = reader.text("MASTER_ADDR");
  found->master_port = static_cast<uint16_t>(reader.number("MASTER_PORT", 1, taken ? 65534 : 65535) + (taken ? 1 : 0));
}

void check_below(const char* name, int value, const char* limit_name, int limit) {
  if (value >= limit)
    throw config_error("{} is {}, but {} is {}: the numbers go from 0 to {}; {}", name, value, limit_name, limit,
                       limit - 1, kRemedy);
}

}  // namespace

std::optional<std::string> process_environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

LaunchedRank find_rank(RanksFlag flag, const Environment& environment) {
  const Reader reader(environment);
  LaunchedRank found;
  const Launcher* const launcher = find_launcher(flag, reader);
  if (launcher == nullptr) return found;
  found.launcher = launcher->name;
  found.world = reader.number(launcher->world, 1);
  found.rank = reader.number(launcher->rank, 0);
  check_below(launcher->rank, found.rank, launcher->world, found.world);
  found.local_rank = reader.optional_number(launcher->local_rank, 0);
  found.local_size =
      launcher->flag == RanksFlag::kSlurm ? slurm_local_size(reader) : reader.optional_number(launcher->local_size, 1);
  if (found.local_rank && found.local_size && *launcher->local_size != '\0')
    check_below(launcher->local_rank, *found.local_rank, launcher->local_size, *found.local_size);
  found.ends_together = launcher->ends_together;
  if (launcher->flag == RanksFlag::kEnv && reader.is_set("TORCHELASTIC_RUN_ID")) {
    found.launcher = "torchrun";
    found.ends_together = true;
  }
  found.job = job_of(*launcher, reader);
  read_master(reader, &found);
  return found;
}

}  // namespace trainer
