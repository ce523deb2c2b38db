// Signals as requests to stop or to write a snapshot at the next safe point.
//
// The command chooses the effect of SIGINT, SIGHUP, SIGUSR1 and SIGUSR2; SIGTERM and SIGXCPU stop. The handlers only
// set flags. A SIGINT after a stop request ends the process at once with exit code 130.
#pragma once

#include <csignal>
#include <map>
#include <string>
#include <vector>

namespace trainer {

enum class SignalEffect { kNone, kStop, kSnapshot };

// "stop", "snapshot" or "none"; any other text is a config_error that names `flag`.
SignalEffect parse_signal_effect(const std::string& flag, const std::string& text);

struct SignalRequest {
  bool stop = false;      // stays true after a stop request
  bool snapshot = false;  // true once for each request
  int signal = 0;         // of the stop request: the exit code is 128 + signal
};

// Handles the signals during its lifetime; at most one object exists at a time. Any thread may read; the loop takes the
// requests. A signal that is not in `effects` stops.
class SignalHandlers {
 public:
  // Writes `stopping` to the standard error at the first SIGINT that stops. The text must outlive the process.
  explicit SignalHandlers(const std::map<int, SignalEffect>& effects = {}, const char* stopping = nullptr);
  ~SignalHandlers();
  SignalHandlers(const SignalHandlers&) = delete;
  SignalHandlers& operator=(const SignalHandlers&) = delete;

  // The requests since the last call. Cheap enough for every iteration.
  SignalRequest take();
  // Whether there is a stop request; keeps it for take().
  bool stop_requested() const;
  // After a stop request, throws an Error with exit code 128 + signal. `stopped` says what the command leaves behind.
  void throw_if_stopped(const char* stopped = "unfinished files are removed") const;

 private:
  struct Previous {
    int signal;
    struct sigaction action;
  };
  std::vector<Previous> previous_;
};

}  // namespace trainer
