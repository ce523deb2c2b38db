// Runs on a pseudo-terminal: a stopped one, one that belongs to another job, and text with control characters.
#include "report/terminal_sink.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <string>

#include "cli/glog_sink.h"

namespace trainer {
namespace {

class TerminalSinkTest : public testing::Test {
 protected:
  void SetUp() override {
    set_up_logging("trainer_tests");
    master_ = posix_openpt(O_RDWR | O_NOCTTY);
    ASSERT_GE(master_, 0);
    ASSERT_EQ(grantpt(master_), 0);
    ASSERT_EQ(unlockpt(master_), 0);
    terminal_ = open(ptsname(master_), O_RDWR | O_NOCTTY);
    ASSERT_GE(terminal_, 0);
    alarm(60);  // in case a write blocks forever
  }
  void TearDown() override {
    alarm(0);
    close(terminal_);
    close(master_);
  }
  // The output to the terminal since the last call.
  std::string shown() {
    std::string all;
    pollfd ready{master_, POLLIN, 0};
    char bytes[4096];
    while (poll(&ready, 1, 100) == 1) {
      const ssize_t count = read(master_, bytes, sizeof bytes);
      if (count <= 0) break;
      all.append(bytes, static_cast<size_t>(count));
    }
    return all;
  }
  static RunInfo info() {
    RunInfo info;
    info.net_name = "net";
    info.solver_type = "SGD";
    info.max_iteration = 1000;
    return info;
  }
  // Two iterations, far enough apart that the line is redrawn.
  static void iterate(TerminalSink& sink, int64_t iteration) {
    usleep(110000);
    sink.step({iteration, 0.5, 0.1, 0});
  }
  int master_ = -1, terminal_ = -1;
};

TEST_F(TerminalSinkTest, ShowsALiveLine) {
  TerminalSink sink(terminal_);
  sink.begin(info());
  iterate(sink, 7);
  const std::string seen = shown();
  EXPECT_NE(seen.find("net: SGD\r\n"), std::string::npos);
  EXPECT_NE(seen.find("7/1,000"), std::string::npos);
}

TEST_F(TerminalSinkTest, DoesNotWaitForAStoppedTerminal) {
  TerminalSink sink(terminal_);
  sink.begin(info());
  ASSERT_EQ(tcflow(terminal_, TCOOFF), 0);
  for (int i = 0; i < 20000; ++i) sink.note("line " + std::to_string(i) + std::string(100, '.'));
  iterate(sink, 8);
  ASSERT_EQ(tcflow(terminal_, TCOON), 0);
  // Permanent lines were kept; of twenty thousand, the first megabyte.
  std::string seen = shown();
  iterate(sink, 9);
  for (std::string more = shown(); !more.empty(); more = shown()) {
    seen += more;
    iterate(sink, 10);
    if (seen.find("10/1,000") != std::string::npos) break;
  }
  EXPECT_NE(seen.find("line 0."), std::string::npos);
  EXPECT_NE(seen.find("line 5000."), std::string::npos);
  EXPECT_EQ(seen.find("8/1,000"), std::string::npos);
}

TEST_F(TerminalSinkTest, DoesNotWaitForAnUnreadTerminal) {
  TerminalSink sink(terminal_);
  sink.begin(info());
  for (int i = 0; i < 20000; ++i) sink.note("line " + std::to_string(i) + std::string(100, '.'));
}

TEST_F(TerminalSinkTest, EscapesControlCharactersInNames) {
  TerminalSink sink(terminal_);
  sink.note(
      "a\x1b[2J\x1b]0;title\x07 b\xc2\x9b"
      "2J\xff \xc3\xa9");
  EXPECT_EQ(shown(), "a\\x1b[2J\\x1b]0;title\\x07 b\\xc2\\x9b2J\\xff \xc3\xa9\r\n");
}

// In a separate session whose terminal belongs to another process group.
TEST_F(TerminalSinkTest, ABackgroundJobShowsNoLiveLine) {
  const pid_t session = fork();
  ASSERT_GE(session, 0);
  if (session == 0) {
    signal(SIGHUP, SIG_IGN);
    if (setsid() < 0 || ioctl(terminal_, TIOCSCTTY, 0) != 0) _exit(1);
    const pid_t job = fork();
    if (job == 0) {
      setpgid(0, 0);
      TerminalSink sink(terminal_);
      iterate(sink, 7);
      sink.note("a line");
      iterate(sink, 8);
      _exit(0);
    }
    int status = 0;
    waitpid(job, &status, 0);
    usleep(300000);  // unread output is lost when the session of the terminal ends
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
  }
  std::string seen = shown();
  for (int i = 0; i < 20 && seen.find("a line") == std::string::npos; ++i) seen += shown();
  seen += shown();
  int status = 0;
  waitpid(session, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(seen, "a line\r\n");
}

}  // namespace
}  // namespace trainer
