// Tests signals as requests.
#include "cli/signals.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

namespace trainer {
namespace {

TEST(Signals, EffectsAreTakenOnce) {
  SignalHandlers handlers(
      {{SIGINT, SignalEffect::kSnapshot}, {SIGHUP, SignalEffect::kNone}, {SIGUSR1, SignalEffect::kSnapshot}});
  EXPECT_FALSE(handlers.take().snapshot);
  raise(SIGINT);
  raise(SIGHUP);
  SignalRequest request = handlers.take();
  EXPECT_TRUE(request.snapshot);
  EXPECT_FALSE(request.stop);
  EXPECT_FALSE(handlers.take().snapshot);
  raise(SIGUSR1);
  EXPECT_TRUE(handlers.take().snapshot);
  raise(SIGTERM);
  EXPECT_TRUE(handlers.stop_requested());
  request = handlers.take();
  EXPECT_TRUE(request.stop);
  EXPECT_EQ(request.signal, SIGTERM);
  EXPECT_TRUE(handlers.take().stop);
}

TEST(Signals, TheFirstSignalNamesTheExitCode) {
  // Under nohup the test begins with SIGHUP ignored.
  struct sigaction before {};
  struct sigaction normal {};
  normal.sa_handler = SIG_DFL;
  ASSERT_EQ(sigaction(SIGHUP, &normal, &before), 0);
  {
    SignalHandlers handlers;
    raise(SIGHUP);
    raise(SIGTERM);
    EXPECT_EQ(handlers.take().signal, SIGHUP);
  }
  sigaction(SIGHUP, &before, nullptr);
}

TEST(Signals, WarningsOfBatchSystemsStop) {
  for (int signal : {SIGUSR1, SIGUSR2, SIGXCPU}) {
    SignalHandlers handlers;
    raise(signal);
    EXPECT_EQ(handlers.take().signal, signal);
  }
}

TEST(Signals, ASecondInterruptEndsAtOnce) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    SignalHandlers handlers;
    raise(SIGINT);
    raise(SIGINT);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
}

TEST(Signals, WhatWasIgnoredStaysIgnored) {
  struct sigaction before {};
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  ASSERT_EQ(sigaction(SIGHUP, &ignore, &before), 0);
  {
    SignalHandlers handlers;
    raise(SIGHUP);
    EXPECT_FALSE(handlers.stop_requested());
  }
  sigaction(SIGHUP, &before, nullptr);
}

TEST(Signals, TheFirstInterruptIsAnswered) {
  const auto answer = [](int signal, SignalEffect on_interrupt) {
    SignalHandlers handlers({{SIGINT, on_interrupt}}, "stopping\n");
    testing::internal::CaptureStderr();
    raise(signal);
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_EQ(answer(SIGINT, SignalEffect::kStop), "stopping\n");
  EXPECT_EQ(answer(SIGINT, SignalEffect::kSnapshot), "");
  EXPECT_EQ(answer(SIGTERM, SignalEffect::kStop), "");
}

TEST(Signals, EffectNames) {
  EXPECT_EQ(parse_signal_effect("sigint_effect", "none"), SignalEffect::kNone);
  EXPECT_THROW(parse_signal_effect("sigint_effect", "halt"), Error);
}

}  // namespace
}  // namespace trainer
