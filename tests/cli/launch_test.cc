// `trainer launch`: hosts, and processes that stand in for trainer: scripts of sh, on this host or behind a stand-in
// for ssh.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "cli/rank_processes.h"
#include "formats/temp_folder.h"

namespace trainer {
namespace {

std::string mistake(const std::string& hosts) {
  try {
    parse_hosts(hosts, "vm.cluster");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfiguration);
    return error.what();
  }
  return "no mistake";
}

TEST(Launch, Hosts) {
  const std::vector<Slot> slots = parse_hosts("a, me@b:2,vm,[fe80::1]:3", "vm.cluster");
  ASSERT_EQ(slots.size(), 7u);
  EXPECT_EQ(slots[0].host, "a");
  EXPECT_EQ(slots[0].local_size, 1);
  EXPECT_EQ(slots[1].host, "me@b");
  EXPECT_EQ(slots[1].local_rank, 0);
  EXPECT_EQ(slots[2].local_rank, 1);
  EXPECT_EQ(slots[2].local_size, 2);
  EXPECT_EQ(address_of(slots[2]), "b");
  EXPECT_FALSE(slots[2].local);
  EXPECT_TRUE(slots[3].local);
  EXPECT_EQ(address_of(slots[6]), "fe80::1");
  EXPECT_TRUE(parse_hosts("localhost:2", "vm")[1].local);
  EXPECT_TRUE(parse_hosts("vm.cluster", "vm.cluster")[0].local);
}

TEST(Launch, BadHosts) {
  const std::string form = "; write the hosts with their numbers of processes: --hosts=a,b:4";
  for (const char* count : {"0", "x", "-1", "1025", "", "4:5"})
    EXPECT_EQ(mistake(std::string("b:") + count), "--hosts: \"b:" + std::string(count) + "\": \"" + count +
                                                      "\" is not a number of processes from 1 to 1024" + form);
  for (const char* name : {"", "-oProxyCommand=x", "a b", "a;b", "[fe80"})
    EXPECT_NE(mistake(name).find(" is not the name of a host"), std::string::npos) << name;
  EXPECT_NE(mistake("a,,b").find("\"\" is not the name of a host"), std::string::npos);
  EXPECT_EQ(mistake("a,b,a:2"), "--hosts names \"a\" twice; write its number of processes: a:2");
  EXPECT_EQ(mistake("vm,localhost"), "--hosts names \"localhost\" twice; write its number of processes: localhost:2");
  EXPECT_NE(mistake("localhost,b").find("cannot reach rank 0 on \"localhost\""), std::string::npos);
  EXPECT_NE(mistake("a:1000,b:1000").find("asks for 2000 processes; at most 1024"), std::string::npos);
}

TEST(Launch, PassedVariables) {
  const char* const environment[] = {
      "NCCL_DEBUG=INFO", "HOME=/root", "TRAINER_TOKEN=x",      "OMP_NUM_THREADS=2",      "TRAINER_CACHE=/c",
      "TRAINER_x;y=1",   "PATH=/bin",  "TRAINER_TOKEN_FILE=f", "GLOO_SOCKET_IFNAME=ib0", nullptr};
  const Variables expected = {
      {"NCCL_DEBUG", "INFO"}, {"OMP_NUM_THREADS", "2"}, {"TRAINER_CACHE", "/c"}, {"GLOO_SOCKET_IFNAME", "ib0"}};
  EXPECT_EQ(passed_variables(environment), expected);
}

// Runs a script of sh in place of trainer.
class LaunchTest : public testing::Test {
 protected:
  void SetUp() override {
    write("ssh", "#!/bin/sh\nhost=$1; shift\n[ $host != gone ] || exit 255\nexec sh -c \"$*\"\n");
    options_.ssh = {folder_ / "ssh"};
  }
  void be_impatient() {
    options_.by_itself = options_.after_term = options_.after_kill = std::chrono::milliseconds(300);
  }

  std::string run(const std::string& hosts, const std::string& script) {
    write("program", "#!/bin/sh\n" + script);
    LaunchPlan plan;
    plan.folder = folder_.path();
    plan.words = {folder_ / "program", "it's", "a b"};
    plan.master_port = 20001;
    plan.job = "7";
    plan.token = "secret";
    plan.passed = {{"PASSED", "one 'two'\nthree"}};
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    std::string end;
    try {
      end = "code " + std::to_string(run_ranks(plan, parse_hosts(hosts, "vm"), options_));
    } catch (const Error& error) {
      end = "code " + std::to_string(static_cast<int>(error.code())) + ": " + error.what();
    }
    out_ = testing::internal::GetCapturedStdout();
    errors_ = testing::internal::GetCapturedStderr();
    return end;
  }
  std::string file(const std::string& name) const {
    std::stringstream text;
    text << std::ifstream(folder_ / name).rdbuf();
    return text.str();
  }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
    std::filesystem::permissions(folder_ / name, std::filesystem::perms::owner_all);
  }

  const TempFolder folder_;
  LaunchOptions options_;
  std::string out_, errors_;
};

TEST_F(LaunchTest, VariablesWordsAndFolder) {
  EXPECT_EQ(run("a,b:2",
                "{ echo $RANK $WORLD_SIZE $LOCAL_RANK $LOCAL_WORLD_SIZE $MASTER_ADDR $MASTER_PORT $TRAINER_JOB; echo "
                "$TRAINER_TOKEN; echo \"$1|$2\"; echo \"$PASSED\"; pwd; cat; } >out$RANK\n"),
            "code 0");
  const std::string rest = "secret\nit's|a b\none 'two'\nthree\n" + folder_.path() + "\n";
  EXPECT_EQ(file("out0"), "0 3 0 1 a 20001 7\n" + rest);
  EXPECT_EQ(file("out1"), "1 3 0 2 a 20001 7\n" + rest);
  EXPECT_EQ(file("out2"), "2 3 1 2 a 20001 7\n" + rest);
}

TEST_F(LaunchTest, OutputNamesTheRank) {
  EXPECT_EQ(run("localhost:2", "echo line $RANK; echo error $RANK >&2; printf rest; exit 0\n"), "code 0");
  EXPECT_NE(out_.find("line 0\n"), std::string::npos) << out_;
  EXPECT_NE(out_.find("[rank 1 on localhost] line 1\n"), std::string::npos) << out_;
  EXPECT_NE(out_.find("[rank 1 on localhost] rest\n"), std::string::npos) << out_;
  EXPECT_NE(errors_.find("error 0\n"), std::string::npos) << errors_;
  EXPECT_NE(errors_.find("[rank 1 on localhost] error 1\n"), std::string::npos) << errors_;
}

TEST_F(LaunchTest, MuchOutputArrivesWhole) {
  EXPECT_EQ(run("localhost:2", "[ $RANK = 0 ] || seq 200000\n"), "code 0");
  EXPECT_NE(out_.find("[rank 1 on localhost] 1\n"), std::string::npos);
  EXPECT_NE(out_.find("[rank 1 on localhost] 200000\n"), std::string::npos);
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 200000);
}

TEST_F(LaunchTest, TheFirstFailureCounts) {
  EXPECT_EQ(run("a,b", "[ $RANK = 1 ] || { sleep 0.1; exit 7; }; exit 3\n"),
            "code 3: rank 1 on b ended with exit code 3");
  EXPECT_EQ(run("a,b", "[ $RANK = 0 ] || { sleep 0.1; exit 3; }; exit 7\n"),
            "code 3: rank 1 on b ended with exit code 3");
  EXPECT_EQ(run("a,b", "exit $((RANK * 7))\n"), "code 7: rank 1 on b ended with exit code 7");
  // ssh itself would say 255.
  EXPECT_EQ(run("a,b", "[ $RANK = 0 ] || kill -KILL $$\n"), "code 137: rank 1 on b was killed by SIGKILL");
}

TEST_F(LaunchTest, TheOthersEndToo) {
  be_impatient();
  const std::string fails = "[ $RANK = 0 ] || { while [ ! -e ready ]; do sleep 0.05; done; exit 4; }\n";
  const std::string forever = "\n>ready\nwhile :; do sleep 0.05; done\n";
  EXPECT_EQ(run("localhost:2", fails + "trap 'echo asked >asked; exit 0' TERM" + forever),
            "code 4: rank 1 on localhost ended with exit code 4");
  EXPECT_EQ(file("asked"), "asked\n");
  EXPECT_EQ(errors_, "trainer: rank 0 on localhost is still running: sending SIGTERM\n");
  EXPECT_EQ(run("localhost:2", fails + "trap '' TERM" + forever), "code 4: rank 1 on localhost ended with exit code 4");
  EXPECT_NE(errors_.find("trainer: rank 0 on localhost is still running: sending SIGKILL\n"), std::string::npos)
      << errors_;
}

TEST_F(LaunchTest, AHostThatIsNotThere) {
  be_impatient();
  const std::string end = run("a,gone", "sleep 100\n");
  EXPECT_EQ(end.find("code 7: rank 1 on gone: cannot connect to the host, or the connection was lost: `"), 0u) << end;
  EXPECT_NE(end.find("/ssh gone true` must work"), std::string::npos) << end;
}

TEST_F(LaunchTest, ElasticRunsGoOn) {
  options_.elastic = true;
  EXPECT_EQ(run("a,b", "[ $RANK = 0 ] || exit 3\nsleep 1\necho done\n"), "code 0");
  EXPECT_EQ(out_, "done\n");
  EXPECT_EQ(errors_, "trainer: rank 1 on b ended with exit code 3; the others continue\n");
  EXPECT_EQ(run("a,b", "exit $((RANK + 3))\n").find("code "), 0u);
}

TEST_F(LaunchTest, SignalsGoToAll) {
  // The first process sends them to the launcher: this test.
  const std::string script =
      "trap 'echo INT >>got$RANK; exit 130' INT\ntrap 'echo USR1 >>got$RANK' USR1\n>ready$RANK\n"
      "if [ $RANK = 0 ]; then while [ ! -e ready1 ]; do sleep 0.05; done\n"
      "kill -USR1 " +
      std::to_string(getpid()) +
      "; while [ ! -e got0 ] || [ ! -e got1 ]; do sleep 0.05; done\n"
      "kill -INT " +
      std::to_string(getpid()) + "; fi\nwhile :; do sleep 0.05; done\n";
  EXPECT_EQ(run("vm,b", script), "code 130");
  EXPECT_EQ(file("got0"), "USR1\nINT\n");
  EXPECT_EQ(file("got1"), "USR1\nINT\n");
  EXPECT_EQ(errors_, "");
}

TEST_F(LaunchTest, AMissingProgram) {
  options_.ssh = {folder_ / "none"};
  const std::string end = run("a", "exit 0\n");
  EXPECT_EQ(end.find("code 2: cannot start "), 0u) << end;
  EXPECT_NE(end.find("No such file or directory; give the command that reaches other hosts: --ssh=COMMAND"),
            std::string::npos)
      << end;
}

}  // namespace
}  // namespace trainer
