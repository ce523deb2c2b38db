// The variables of launchers. Those of torchrun, Open MPI 4.1.4, MPICH 4.0.2 and Slurm 22.05 are what these programs
// set.
#include "ranks/launcher.h"

#include <gtest/gtest.h>

#include <map>

#include "base/error.h"

namespace trainer {
namespace {

using Values = std::map<std::string, std::string>;

Environment of(const Values& values) {
  return [values](const char* name) {
    const auto found = values.find(name);
    return found == values.end() ? std::nullopt : std::optional<std::string>(found->second);
  };
}

Values operator+(Values a, const Values& b) {
  for (const auto& [name, value] : b) a[name] = value;
  return a;
}

LaunchedRank find(const Values& values, RanksFlag flag = RanksFlag::kAuto) { return find_rank(flag, of(values)); }

std::string mistake(const Values& values, RanksFlag flag = RanksFlag::kAuto) {
  try {
    find(values, flag);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfiguration);
    return error.what();
  }
  return "no mistake";
}

const Values kTorchrun = {{"RANK", "5"},
                          {"WORLD_SIZE", "8"},
                          {"LOCAL_RANK", "1"},
                          {"LOCAL_WORLD_SIZE", "4"},
                          {"MASTER_ADDR", "node1"},
                          {"MASTER_PORT", "29500"},
                          {"TORCHELASTIC_RUN_ID", "job7"},
                          {"TORCHELASTIC_USE_AGENT_STORE", "True"}};
const Values kOpenMpi = {{"OMPI_COMM_WORLD_RANK", "3"},
                         {"OMPI_COMM_WORLD_SIZE", "4"},
                         {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                         {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                         {"OMPI_MCA_ess_base_jobid", "1536491521"},
                         {"PMIX_NAMESPACE", "1536491521"},
                         {"PMIX_RANK", "3"}};
const Values kMpich = {{"PMI_RANK", "2"}, {"PMI_SIZE", "6"}, {"MPI_LOCALRANKID", "0"}, {"MPI_LOCALNRANKS", "2"}};
const Values kSrun = {{"SLURM_PROCID", "6"},  {"SLURM_STEP_NUM_TASKS", "7"},
                      {"SLURM_LOCALID", "0"}, {"SLURM_STEP_TASKS_PER_NODE", "2(x3),1"},
                      {"SLURM_NODEID", "3"},  {"SLURM_JOB_ID", "77"},
                      {"SLURM_STEP_ID", "2"}, {"SLURM_NTASKS", "7"}};
// The script of a batch job has these before srun.
const Values kSbatch = {{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}, {"SLURM_JOB_ID", "77"}};

TEST(Launcher, NoneIsAlone) {
  for (const Values& values : {Values(), kSbatch, Values{{"RANK", "3"}}, Values{{"WORLD_SIZE", "8"}, {"RANK", ""}}}) {
    const LaunchedRank found = find(values);
    EXPECT_EQ(found.rank, 0);
    EXPECT_EQ(found.world, 1);
    EXPECT_EQ(found.launcher, "");
    EXPECT_FALSE(found.local_rank);
  }
  EXPECT_EQ(find(kTorchrun, RanksFlag::kNone).world, 1);
}

TEST(Launcher, Torchrun) {
  const LaunchedRank found = find(kTorchrun);
  EXPECT_EQ(found.rank, 5);
  EXPECT_EQ(found.world, 8);
  EXPECT_EQ(found.launcher, "torchrun");
  EXPECT_TRUE(found.ends_together);
  EXPECT_EQ(found.local_rank, 1);
  EXPECT_EQ(found.local_size, 4);
  EXPECT_EQ(found.master_host, "node1");
  EXPECT_EQ(found.master_port, 29501);  // its own store has 29500
  EXPECT_EQ(found.job, "job7");
  EXPECT_EQ(find(kTorchrun + Values{{"TORCHELASTIC_USE_AGENT_STORE", "False"}}).master_port, 29500);
  EXPECT_EQ(find(kTorchrun + Values{{"TORCHELASTIC_RUN_ID", "none"}}).job, "");
}

TEST(Launcher, RankAndWorldSize) {
  const LaunchedRank found = find({{"RANK", "0"}, {"WORLD_SIZE", "2"}});
  EXPECT_EQ(found.rank, 0);
  EXPECT_EQ(found.world, 2);
  EXPECT_EQ(found.launcher, "RANK and WORLD_SIZE");
  EXPECT_FALSE(found.ends_together);
  EXPECT_FALSE(found.local_rank);
  EXPECT_EQ(found.master_host, "");
  EXPECT_EQ(found.master_port, 0);
  EXPECT_EQ(found.job, "");
  EXPECT_EQ(find({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"TRAINER_JOB", "4d"}}).job, "4d");
}

TEST(Launcher, OpenMpi) {
  const LaunchedRank found = find(kOpenMpi);
  EXPECT_EQ(found.rank, 3);
  EXPECT_EQ(found.world, 4);
  EXPECT_EQ(found.launcher, "Open MPI");
  EXPECT_TRUE(found.ends_together);
  EXPECT_EQ(found.local_rank, 1);
  EXPECT_EQ(found.local_size, 2);
  EXPECT_EQ(found.job, "1536491521");
}

TEST(Launcher, Mpich) {
  const LaunchedRank found = find(kMpich + kSbatch);
  EXPECT_EQ(found.rank, 2);
  EXPECT_EQ(found.world, 6);
  EXPECT_EQ(found.launcher, "MPICH");
  EXPECT_TRUE(found.ends_together);
  EXPECT_EQ(found.local_rank, 0);
  EXPECT_EQ(found.local_size, 2);
  EXPECT_EQ(found.job, "77");
  EXPECT_EQ(find(kMpich).job, "");
}

TEST(Launcher, Slurm) {
  LaunchedRank found = find(kSrun);
  EXPECT_EQ(found.rank, 6);
  EXPECT_EQ(found.world, 7);
  EXPECT_EQ(found.launcher, "Slurm");
  EXPECT_FALSE(found.ends_together);
  EXPECT_EQ(found.local_rank, 0);
  EXPECT_EQ(found.local_size, 1);
  EXPECT_EQ(found.job, "77.2");
  EXPECT_EQ(find(kSrun + Values{{"SLURM_NODEID", "2"}}).local_size, 2);
  EXPECT_EQ(find(kSrun + Values{{"SLURM_RESTART_COUNT", "1"}}).job, "77.2.restart1");
  for (const char* list : {"", "2(x3", "x", "2(x3),", "2(x3),a"})
    EXPECT_FALSE(find(kSrun + Values{{"SLURM_STEP_TASKS_PER_NODE", list}}).local_size) << list;
}

TEST(Launcher, TheMasterOfTheUserCounts) {
  const LaunchedRank found = find(kSrun + Values{{"MASTER_ADDR", "node0"}, {"MASTER_PORT", "12345"}});
  EXPECT_EQ(found.master_host, "node0");
  EXPECT_EQ(found.master_port, 12345);
}

TEST(Launcher, TheInnermostCounts) {
  const Values all = kTorchrun + kOpenMpi + kMpich + kSrun;
  EXPECT_EQ(find(all).launcher, "torchrun");
  EXPECT_EQ(find(kOpenMpi + kMpich + kSrun).launcher, "Open MPI");
  EXPECT_EQ(find(kMpich + kSrun).launcher, "MPICH");
  // Hydra starts itself by srun, one task a node.
  EXPECT_EQ(find(kMpich + kSrun + Values{{"SLURM_PROCID", "2"}, {"SLURM_STEP_NUM_TASKS", "6"}}).launcher, "MPICH");
  EXPECT_EQ(find(all, RanksFlag::kEnv).rank, 5);
  EXPECT_EQ(find(all, RanksFlag::kMpi).rank, 3);
  EXPECT_EQ(find(all, RanksFlag::kSlurm).rank, 6);
}

TEST(Launcher, PmiOfSrunIsSlurm) {
  const Values pmi2 = kSrun + Values{{"PMI_RANK", "6"}, {"PMI_SIZE", "7"}, {"PMI_JOBID", "77.2"}};
  for (RanksFlag flag : {RanksFlag::kAuto, RanksFlag::kMpi}) {
    EXPECT_EQ(find(pmi2, flag).launcher, "Slurm");
    EXPECT_FALSE(find(pmi2, flag).ends_together);
    EXPECT_EQ(find(pmi2, flag).rank, 6);
  }
}

TEST(Launcher, BadNumbers) {
  const std::string remedy = "correct the variable, or remove it (train, test and time: or give --ranks=none)";
  const Values good = {{"RANK", "1"}, {"WORLD_SIZE", "2"}};
  for (const char* bad : {"x", "-1", "1.5", " 1", "99999999999"})
    EXPECT_EQ(mistake(good + Values{{"RANK", bad}}),
              "RANK is \"" + std::string(bad) + "\", not a whole number from 0 on: " + remedy);
  EXPECT_EQ(mistake(good + Values{{"WORLD_SIZE", "0"}}),
            "WORLD_SIZE is \"0\", not a whole number from 1 on: " + remedy);
  EXPECT_EQ(mistake(good + Values{{"RANK", "2"}}),
            "RANK is 2, but WORLD_SIZE is 2: the numbers go from 0 to 1; " + remedy);
  EXPECT_EQ(mistake(kSrun + Values{{"SLURM_PROCID", "7"}}),
            "SLURM_PROCID is 7, but SLURM_STEP_NUM_TASKS is 7: the numbers go from 0 to 6; " + remedy);
  EXPECT_EQ(
      mistake(kOpenMpi + Values{{"OMPI_COMM_WORLD_LOCAL_RANK", "2"}}),
      "OMPI_COMM_WORLD_LOCAL_RANK is 2, but OMPI_COMM_WORLD_LOCAL_SIZE is 2: the numbers go from 0 to 1; " + remedy);
  for (const char* bad : {"0", "65536", "x", "65535"})
    EXPECT_EQ(mistake(kTorchrun + Values{{"MASTER_PORT", bad}}),
              "MASTER_PORT is \"" + std::string(bad) + "\", not a whole number from 1 to 65534: " + remedy);
  EXPECT_EQ(mistake(good + Values{{"MASTER_PORT", "1"}}),
            "MASTER_PORT is set, but MASTER_ADDR is not: set both or none");
  // Outer launchers are not looked at.
  EXPECT_EQ(find(good + Values{{"PMI_RANK", "x"}, {"PMI_SIZE", "1"}}).rank, 1);
}

TEST(Launcher, AFlagWithoutItsLauncher) {
  EXPECT_EQ(
      mistake(kSrun, RanksFlag::kMpi),
      "--ranks=mpi: OMPI_COMM_WORLD_RANK and OMPI_COMM_WORLD_SIZE, or PMI_RANK and PMI_SIZE are not set: start the "
      "processes with mpirun or mpiexec, or give --ranks=none to run alone");
  EXPECT_EQ(mistake(kSbatch, RanksFlag::kSlurm),
            "--ranks=slurm: SLURM_PROCID and SLURM_STEP_NUM_TASKS are not set: start the processes with srun, or give "
            "--ranks=none to run alone");
  EXPECT_EQ(mistake({}, RanksFlag::kEnv),
            "--ranks=env: RANK and WORLD_SIZE are not set: start the processes with torchrun or trainer launch, or set "
            "the variables, or give --ranks=none to run alone");
}

}  // namespace
}  // namespace trainer
