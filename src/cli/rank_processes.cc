// Starts, watches and ends the processes of `trainer launch`. One thread waits for all of them with poll().
#include "cli/rank_processes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <tuple>

#include "base/error.h"
#include "base/text.h"

extern char** environ;

namespace trainer {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::array kForwarded = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU};
constexpr int kSshFailed = 255;  // ssh's own exit code when it has no connection

// A file descriptor that closes itself.
class File {
 public:
  File() = default;
  explicit File(int number) : number_(number) {}
  File(File&& other) noexcept : number_(other.number_) { other.number_ = -1; }
  File& operator=(File&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~File() { close(); }
  void close() {
    if (number_ >= 0) ::close(number_);
    number_ = -1;
  }
  int number() const { return number_; }
  bool open() const { return number_ >= 0; }

 private:
  int number_ = -1;
};

Error no_process(int error) {
  return device_error("cannot start another process: {}; start fewer processes on this host", std::strerror(error));
}

// The two ends of a pipe, for reading and writing. Other programs do not inherit them.
std::pair<File, File> make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw no_process(errno);
  return {File(ends[0]), File(ends[1])};
}

void make_non_blocking(const File& file) { fcntl(file.number(), F_SETFL, O_NONBLOCK); }

// Writes all of it; an output that is closed is no reason to end the run.
void write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(file, text.data(), text.size());
    if (written > 0) {
      text.remove_prefix(static_cast<size_t>(written));
    } else if (written == 0 || errno == EAGAIN) {
      struct pollfd ready {
        file, POLLOUT, 0
      };
      poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      return;
    }
  }
}

// An output of a process, written line by line with a prefix.
class Lines {
 public:
  Lines(File from, int to, std::string prefix) : from_(std::move(from)), to_(to), prefix_(std::move(prefix)) {
    make_non_blocking(from_);
  }
  bool open() const { return from_.open(); }
  int file() const { return from_.number(); }

  // Passes on what there is.
  void pass() {
    std::array<char, 65536> buffer;
    for (;;) {
      const ssize_t count = read(from_.number(), buffer.data(), buffer.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && errno == EAGAIN) return;
      if (count <= 0) return end();
      take({buffer.data(), static_cast<size_t>(count)});
      if (static_cast<size_t>(count) < buffer.size()) return;  // others have their turn
    }
  }

  void end() {
    if (!line_.empty()) take("\n");
    from_.close();
  }

 private:
  static constexpr size_t kLongest = 1 << 16;

  void take(std::string_view text) {
    std::string out;
    for (char c : text) {
      if (c != '\n') line_ += c;
      if (c == '\n' || line_.size() == kLongest) {
        out += prefix_ + line_ + '\n';
        line_.clear();
      }
    }
    write_all(to_, out);
  }

  File from_;
  const int to_;
  const std::string prefix_;
  std::string line_;
};

class RankProcess {
 public:
  RankProcess(const LaunchPlan& plan, const std::vector<Slot>& slots, size_t rank, const LaunchOptions& options)
      : rank_(rank), slot_(slots[rank]), input_(rank_script(plan, slots, rank)) {
    std::vector<std::string> words;
    if (!slot_.local) {
      words = options.ssh;
      // ssh wants IPv6 addresses without brackets.
      const bool brackets = slot_.host.front() == '[';
      words.push_back(brackets ? address_of(slot_) : slot_.host);
    } else {
      words = {"/bin/sh", "-c"};
    }
    words.push_back(script_reader());
    start(words);
  }

  size_t rank() const { return rank_; }
  bool local() const { return slot_.local; }
  const std::string& host() const { return slot_.host; }
  std::string text() const { return fmt::format("rank {} on {}", rank_, slot_.host); }
  std::optional<int> code() const { return code_; }
  // It failed by itself.
  bool failed() const { return code_ && *code_ != 0 && !told_to_end_; }

  void tell(const std::string& signal) {
    if (!code_) input_ += signal + "\n";
  }
  void tell_to_end(const std::string& signal) {
    told_to_end_ = told_to_end_ || !code_;
    tell(signal);
  }
  // Ends the process on this machine: the shell or ssh.
  void kill_here() {
    if (!code_) kill(-pid_, SIGKILL);
  }

  // Returns true when the process ends.
  bool ends() {
    int status = 0;
    if (code_ || waitpid(pid_, &status, WNOHANG) != pid_) return false;
    code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    // What reads the signals must not send one to a process that has the number of the one that has ended.
    input_ += ".\n";
    write_input();
    to_.close();
    return true;
  }

  void add_polls(std::vector<struct pollfd>* polls) const {
    if (to_.open() && !input_.empty()) polls->push_back({to_.number(), POLLOUT, 0});
    for (const std::unique_ptr<Lines>& lines : outputs_) {
      if (lines->open()) polls->push_back({lines->file(), POLLIN, 0});
    }
  }
  void exchange() {
    write_input();
    for (const std::unique_ptr<Lines>& lines : outputs_) {
      if (lines->open()) lines->pass();
    }
  }
  bool has_open_output() const {
    return std::any_of(outputs_.begin(), outputs_.end(), [](const auto& lines) { return lines->open(); });
  }
  void end_output() {
    for (const std::unique_ptr<Lines>& lines : outputs_) {
      if (lines->open()) lines->end();
    }
  }

 private:
  void start(std::vector<std::string>& words) {
    auto [stdin_read, stdin_write] = make_pipe();
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, stdin_read.number(), STDIN_FILENO);
    std::vector<File> theirs;
    if (rank_ != 0) {
      for (int stream : {STDOUT_FILENO, STDERR_FILENO}) {
        auto [from, to] = make_pipe();
        posix_spawn_file_actions_adddup2(&actions, to.number(), stream);
        outputs_.push_back(std::make_unique<Lines>(std::move(from), stream, fmt::format("[{}] ", text())));
        theirs.push_back(std::move(to));
      }
    }
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    // A session of its own: Ctrl-C reaches the process through this one only, and ssh asks no questions.
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF);
    sigset_t usual;
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const int error = posix_spawnp(&pid_, arguments.front(), &actions, &attributes, arguments.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (error == EAGAIN || error == ENOMEM) throw no_process(error);
    if (error != 0)
      throw config_error("cannot start {}: {}; give the command that reaches other hosts: --ssh=COMMAND", words.front(),
                         std::strerror(error));
    to_ = std::move(stdin_write);
    make_non_blocking(to_);
  }

  void write_input() {
    while (to_.open() && !input_.empty()) {
      const ssize_t written = write(to_.number(), input_.data(), input_.size());
      if (written > 0) {
        input_.erase(0, static_cast<size_t>(written));
      } else if (written == 0 || errno == EAGAIN) {
        return;
      } else if (errno != EINTR) {
        to_.close();  // it ends, or does not listen
      }
    }
  }

  const size_t rank_;
  const Slot slot_;
  pid_t pid_ = -1;
  File to_;            // its standard input
  std::string input_;  // what it has not got yet
  std::vector<std::unique_ptr<Lines>> outputs_;
  std::optional<int> code_;
  bool told_to_end_ = false;
};

int signal_pipe = -1;  // of the SignalPipe that exists

void write_signal(int signal) {
  const int before = errno;
  const auto byte = static_cast<unsigned char>(signal);
  if (write(signal_pipe, &byte, 1) < 0) {
    // The pipe is full of signals.
  }
  errno = before;
}

// Signals as bytes of a pipe, during the lifetime of the object; at most one exists.
class SignalPipe {
 public:
  SignalPipe() {
    std::tie(from_, to_) = make_pipe();
    make_non_blocking(from_);
    make_non_blocking(to_);
    signal_pipe = to_.number();
    handle(SIGPIPE, SIG_IGN);
    handle(SIGCHLD, write_signal);
    for (int signal : kForwarded) handle(signal, write_signal);
  }
  ~SignalPipe() {
    for (const auto& [signal, action] : before_) sigaction(signal, &action, nullptr);
  }
  SignalPipe(const SignalPipe&) = delete;
  SignalPipe& operator=(const SignalPipe&) = delete;

  int file() const { return from_.number(); }
  // The signals to forward that have come.
  std::vector<int> take() {
    std::vector<int> signals;
    unsigned char byte = 0;
    while (read(from_.number(), &byte, 1) == 1) {
      if (byte != SIGCHLD) signals.push_back(byte);
    }
    return signals;
  }

 private:
  void handle(int signal, void (*handler)(int)) {
    struct sigaction action {};
    struct sigaction before {};
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    // A signal that is ignored, as under nohup, stays ignored. The end of a process must be seen.
    if (sigaction(signal, nullptr, &before) != 0 || (before.sa_handler == SIG_IGN && signal != SIGCHLD)) return;
    if (sigaction(signal, &action, nullptr) == 0) before_.emplace_back(signal, before);
  }

  File from_, to_;
  std::vector<std::pair<int, struct sigaction>> before_;
};

class Launch {
 public:
  Launch(const LaunchPlan& plan, const std::vector<Slot>& slots, const LaunchOptions& options) : options_(options) {
    // If one cannot be started, those before it get no script, and do nothing.
    for (size_t rank = 0; rank < slots.size(); ++rank)
      processes_.push_back(std::make_unique<RankProcess>(plan, slots, rank, options));
  }

  int run() {
    while (running() > 0) {
      wait();
      for (int signal : signals_.take()) {
        stopped_by_.push_back(signal);
        for (const auto& process : processes_) process->tell(sigabbrev_np(signal));
      }
      for (const auto& process : processes_) process->exchange();
      for (const auto& process : processes_) {
        if (process->ends()) note_end(*process);
      }
      end_together();
    }
    pass_last_output();
    return result();
  }

 private:
  size_t running() const {
    return static_cast<size_t>(
        std::count_if(processes_.begin(), processes_.end(), [](const auto& process) { return !process->code(); }));
  }

  void wait() {
    std::vector<struct pollfd> polls = {{signals_.file(), POLLIN, 0}};
    for (const auto& process : processes_) process->add_polls(&polls);
    int milliseconds = -1;
    if (next_step_) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next_step_ - Clock::now());
      milliseconds = static_cast<int>(std::max<int64_t>(left.count(), 0));
    }
    poll(polls.data(), polls.size(), milliseconds);
  }

  void note_end(const RankProcess& process) {
    ended_.push_back(&process);
    const bool broke = process.failed() && !is_stop(*process.code());
    if (options_.elastic && broke && running() > 0)
      std::fprintf(stderr, "trainer: %s; the others continue\n", end_text(process).c_str());
    const bool ends_the_run = options_.elastic ? *process.code() == 0 : broke;
    if (ends_the_run && !next_step_ && running() > 0) next_step_ = Clock::now() + options_.by_itself;
  }

  // When the run has ended for one process, the others end by themselves, or get TERM, then KILL.
  void end_together() {
    if (!next_step_ || Clock::now() < *next_step_ || running() == 0) return;
    constexpr const char* kSteps[] = {"TERM", "KILL"};
    if (step_ < std::size(kSteps)) {
      for (const auto& process : processes_) {
        if (!process->code())
          std::fprintf(stderr, "trainer: %s is still running: sending SIG%s\n", process->text().c_str(), kSteps[step_]);
        process->tell_to_end(kSteps[step_]);
      }
    } else {
      for (const auto& process : processes_) process->kill_here();
    }
    next_step_ = Clock::now() + (step_ == 0 ? options_.after_term : options_.after_kill);
    ++step_;
  }

  // A program that ssh leaves in the background may keep an output open.
  void pass_last_output() {
    const auto end = Clock::now() + std::chrono::seconds(1);
    while (Clock::now() < end && std::any_of(processes_.begin(), processes_.end(),
                                             [](const auto& process) { return process->has_open_output(); })) {
      std::vector<struct pollfd> polls;
      for (const auto& process : processes_) process->add_polls(&polls);
      poll(polls.data(), polls.size(), 100);
      for (const auto& process : processes_) process->exchange();
    }
    for (const auto& process : processes_) process->end_output();
  }

  // Whether `code` means that a signal or max_time stopped the process. Rank 0 may then still be writing the snapshot.
  bool is_stop(int code) const {
    return code == static_cast<int>(ExitCode::kOutOfTime) ||
           std::any_of(stopped_by_.begin(), stopped_by_.end(), [&](int signal) { return code == 128 + signal; });
  }

  std::string end_text(const RankProcess& process) const {
    const int code = *process.code();
    if (code == kSshFailed && !process.local())
      return fmt::format(
          "{}: cannot connect to the host, or the connection was lost: `{} {} true` must work without prompting; check "
          "the name of the host, its keys and its network",
          process.text(), fmt::join(options_.ssh, " "), process.host());
    const char* const signal = code > 128 ? sigabbrev_np(code - 128) : nullptr;
    return signal != nullptr ? fmt::format("{} was killed by SIG{}", process.text(), signal)
                             : fmt::format("{} ended with exit code {}", process.text(), code);
  }

  // The process that determines the exit code; nullptr if none failed. Order: a failure of its own; then a stop (in an
  // elastic run the stop comes first); then kRankFailed; then a process that was told to end.
  const RankProcess* decisive() const {
    const auto order = [&](const RankProcess* process) {
      const int code = *process->code();
      if (code == 0) return 4;
      if (!process->failed()) return 3;
      if (code == static_cast<int>(ExitCode::kRankFailed)) return 2;
      return is_stop(code) == options_.elastic ? 0 : 1;
    };
    const auto first = std::min_element(
        ended_.begin(), ended_.end(), [&](const RankProcess* a, const RankProcess* b) { return order(a) < order(b); });
    return order(*first) == 4 ? nullptr : *first;
  }

  int result() const {
    const bool done = options_.elastic && std::any_of(ended_.begin(), ended_.end(),
                                                      [](const RankProcess* process) { return *process->code() == 0; });
    const RankProcess* const process = decisive();
    if (process == nullptr || done) return 0;
    const int code = *process->code();
    if (is_stop(code)) return code;
    const bool unreachable = code == kSshFailed && !process->local();
    throw Error(unreachable ? ExitCode::kRankFailed : static_cast<ExitCode>(code), end_text(*process));
  }

  const LaunchOptions& options_;
  SignalPipe signals_;
  std::vector<std::unique_ptr<RankProcess>> processes_;
  std::vector<const RankProcess*> ended_;  // in the order of their ends
  std::vector<int> stopped_by_;            // the signals that came
  std::optional<Clock::time_point> next_step_;
  size_t step_ = 0;
};

}  // namespace

int run_ranks(const LaunchPlan& plan, const std::vector<Slot>& slots, const LaunchOptions& options) {
  return Launch(plan, slots, options).run();
}

}  // namespace trainer
