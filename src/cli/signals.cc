// Turns signals into requests.
#include "cli/signals.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace trainer {
namespace {

// Lock-free atomics are safe in handlers.
std::atomic<int> stop_signal{0};
std::atomic<bool> snapshot_asked{false};
std::array<std::atomic<SignalEffect>, NSIG> effect_of;  // by the signal's number
std::atomic<const char*> stopping_text{nullptr};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<SignalEffect>::is_always_lock_free);

// Does not write to a blocked terminal: the second SIGINT would wait for it.
void write_stopping_text() {
  const char* text = stopping_text.load();
  if (text == nullptr) return;
  const int before = errno;
  struct pollfd error_stream {
    STDERR_FILENO, POLLOUT, 0
  };
  if (poll(&error_stream, 1, 0) == 1 && write(STDERR_FILENO, text, std::strlen(text)) < 0) {
    // The error stream is closed.
  }
  errno = before;
}

void handle(int signal) {
  if (signal == SIGINT && stop_signal.load() != 0) _exit(128 + SIGINT);
  const SignalEffect effect = effect_of[static_cast<size_t>(signal)].load();
  if (effect == SignalEffect::kStop) {
    int none = 0;
    if (stop_signal.compare_exchange_strong(none, signal) && signal == SIGINT) write_stopping_text();
  } else if (effect == SignalEffect::kSnapshot) {
    snapshot_asked.store(true);
  }
}

}  // namespace

SignalEffect parse_signal_effect(const std::string& flag, const std::string& text) {
  if (text == "stop") return SignalEffect::kStop;
  if (text == "snapshot") return SignalEffect::kSnapshot;
  if (text == "none") return SignalEffect::kNone;
  throw config_error("--{}: \"{}\" is not one of stop, snapshot, none", flag, text);
}

SignalHandlers::SignalHandlers(const std::map<int, SignalEffect>& effects, const char* stopping) {
  stop_signal = 0;
  snapshot_asked = false;
  stopping_text = stopping;
  // Batch systems send SIGUSR1, SIGUSR2 or SIGXCPU some time before they end a job.
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU}) {
    const auto given = effects.find(signal);
    effect_of[static_cast<size_t>(signal)] = given == effects.end() ? SignalEffect::kStop : given->second;
    struct sigaction action {};
    action.sa_handler = handle;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    Previous previous{signal, {}};
    // nohup ignores SIGHUP so that the run outlives its terminal: keep that.
    if (sigaction(signal, nullptr, &previous.action) != 0 || previous.action.sa_handler == SIG_IGN) continue;
    if (sigaction(signal, &action, nullptr) == 0) previous_.push_back(previous);
  }
}

SignalHandlers::~SignalHandlers() {
  for (const Previous& previous : previous_) sigaction(previous.signal, &previous.action, nullptr);
}

SignalRequest SignalHandlers::take() {
  SignalRequest request;
  request.signal = stop_signal.load();
  request.stop = request.signal != 0;
  request.snapshot = snapshot_asked.load() && snapshot_asked.exchange(false);
  return request;
}

bool SignalHandlers::stop_requested() const { return stop_signal.load() != 0; }

void SignalHandlers::throw_if_stopped(const char* stopped) const {
  const int signal = stop_signal.load();
  if (signal != 0)
    throw Error(static_cast<ExitCode>(128 + signal),
                fmt::format("stopped by SIG{}: {}", sigabbrev_np(signal), stopped));
}

}  // namespace trainer
