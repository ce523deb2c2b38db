// Signals as requests to the training loop: stop or snapshot at the next safe point.
//
// SIGINT, SIGHUP, SIGUSR1 and SIGUSR2 do what the command says; SIGTERM and SIGXCPU stop. The handlers only
// set flags. A SIGINT that comes while a stop is already asked for ends the process at once, with 130.
#pragma once

#include <csignal>
#include <map>
#include <string>
#include <vector>

namespace trainer {

enum class SignalEffect { kNone, kStop, kSnapshot };

// "stop", "snapshot" or "none"; anything else is a config_error that names `flag`.
SignalEffect parse_signal_effect(const std::string& flag, const std::string& text);

struct SignalRequest {
  bool stop = false;      // stays true once asked for
  bool snapshot = false;  // true once for each time it was asked for
  int signal = 0;         // the signal that asked to stop: the exit code is 128 + signal
};

// Handles the signals while it lives; one at a time in a process. Every thread may ask; the loop takes. A
// signal without an effect here stops.
class SignalHandlers {
 public:
  // `stopping`, where given, goes to the standard error with the first SIGINT that asks to stop; it must stay.
  explicit SignalHandlers(const std::map<int, SignalEffect>& effects = {}, const char* stopping = nullptr);
  ~SignalHandlers();
  SignalHandlers(const SignalHandlers&) = delete;
  SignalHandlers& operator=(const SignalHandlers&) = delete;

  // What was asked for since the last call; a few loads, for every iteration.
  SignalRequest take();
  // True where a stop is asked for; leaves the requests for take().
  bool stop_requested() const;
  // Where a stop is asked for, throws what ends a command that makes files: its exit code is 128 + the signal's number.
  void throw_if_stopped() const;

 private:
  struct Previous {
    int signal;
    struct sigaction action;
  };
  std::vector<Previous> previous_;
};

}  // namespace trainer
