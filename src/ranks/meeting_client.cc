// Joins a meeting, and watches it in a thread.
#include "ranks/meeting_client.h"

#include <poll.h>

#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "ranks/meeting_server.h"

namespace trainer {
namespace {

using meeting::Message;

// Waits until the other side has sent something or, with `unsent`, until it accepts more.
void await(int descriptor, bool unsent, int milliseconds) {
  pollfd waiting{descriptor, static_cast<short>(POLLIN | (unsent ? POLLOUT : 0)), 0};
  poll(&waiting, 1, milliseconds);
}

}  // namespace

MeetingClient::MeetingClient(MessageSocket socket, const std::string& token, meeting::Hello hello,
                             const MeetingWait& wait)
    : own_rank_(hello.rank()), socket_(std::move(socket)) {
  prove(token, &hello, wait);
  await_table(token, hello, wait);
  thread_ = std::thread([this] { run(); });
}

MeetingClient::~MeetingClient() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

// What arrives before the thread runs. Throws MeetingGone when the connection ends without a message.
std::vector<Message> MeetingClient::await_messages(const MeetingWait& wait) {
  wait.check();
  await(socket_.descriptor(), socket_.has_unsent(), 100);
  if (suspension_.ended()) heard_ = Clock::now();
  socket_.flush();
  std::vector<Message> messages;
  const bool open = socket_.receive(&messages, kMostFromMembers);
  if (!messages.empty()) heard_ = Clock::now();
  if (messages.empty() && (!open || Clock::now() - heard_ > kMostSilence))
    throw MeetingGone(open ? "it says nothing" : "it closed the connection");
  return messages;
}

void MeetingClient::prove(const std::string& token, meeting::Hello* hello, const MeetingWait& wait) {
  while (true) {
    for (const Message& message : await_messages(wait)) {
      if (!message.has_challenge()) throw MeetingGone("the other side is not a trainer meeting");
      hello->set_proof(proof_of(token, message.challenge().nonce()));
      hello->set_nonce(random_bytes(16));
      Message answer;
      *answer.mutable_hello() = *hello;
      socket_.send(answer);
      last_beat_ = Clock::now();
      return;
    }
  }
}

void MeetingClient::await_table(const std::string& token, const meeting::Hello& hello, const MeetingWait& wait) {
  std::string missing;
  Clock::time_point noted = Clock::now();
  while (true) {
    std::vector<Message> messages;
    try {
      beat();
      messages = await_messages(wait);
    } catch (const MeetingGone& error) {
      throw MeetingGone(error.what(), !missing.empty());
    }
    for (const Message& message : messages) {
      if (!table_.entries().empty()) {
        take(message);
        continue;
      }
      if (message.refusal().token_is_wrong()) throw MeetingGone("the token is not that of this meeting");
      if (message.refusal().cut_off()) throw CutOff(printable(message.refusal().text(), true));
      if (message.has_refusal())
        throw Error(static_cast<ExitCode>(message.refusal().code()), printable(message.refusal().text(), true));
      if (message.has_waiting()) missing = printable(message.waiting().text());
      if (!message.has_table()) continue;
      if (message.table().proof() != proof_of(token, hello.nonce())) throw MeetingGone("it does not know the token");
      table_ = message.table();
    }
    if (!table_.entries().empty()) return;
    if (missing.empty() || Clock::now() - noted < kNoteInterval) continue;
    noted = Clock::now();
    wait.note(fmt::format("Rank {} waits for {}", hello.rank(), missing));
  }
}

void MeetingClient::beat() {
  if (Clock::now() < last_beat_ + kBeatInterval) return;
  last_beat_ = Clock::now();
  Message message;
  message.mutable_beat();
  socket_.send(message);
}

void MeetingClient::run() {
  std::vector<Message> messages;
  bool open = true, unsent = false;
  while (!stopping_ && open) {
    await(socket_.descriptor(), unsent, 20);
    messages.clear();
    const std::unique_lock lock(mutex_);
    if (suspension_.ended()) heard_ = Clock::now();
    socket_.flush();
    beat();
    open = socket_.receive(&messages, kMostFromMembers);
    if (!messages.empty()) heard_ = Clock::now();
    unsent = socket_.has_unsent();
    for (const Message& message : messages) take(message);
    const bool silent = Clock::now() - heard_ > kMostSilence;
    if ((open && !silent) || over_) continue;
    open = false;
    if (leaving_) {
      over_ = true;
      changed_.notify_all();
      continue;
    }
    lose({table_.keeper(), silent ? silence_text() : kConnectionEnded, !silent});
  }
}

void MeetingClient::take(const Message& message) {
  if (message.has_offers()) {
    offers_.emplace(message.offers().texts().begin(), message.offers().texts().end());
  } else if (message.has_loss() && message.loss().launched_rank() == own_rank_) {
    over_ = true;
    lose({own_rank_, printable(message.loss().text(), true), false});
  } else if (message.has_loss()) {
    lose({message.loss().launched_rank(), printable(message.loss().text(), true), message.loss().certain()});
  } else if (message.has_broken()) {
    note_failure();
  } else if (message.has_newcomers()) {
    newcomers_ = message.newcomers().count();
  } else if (message.has_over()) {
    over_ = true;
  }
  changed_.notify_all();
}

void MeetingClient::lose(LostMember lost) {
  losses_.push_back(std::move(lost));
  note_failure();
}

void MeetingClient::note_failure() {
  failed_ = true;
  if (on_failure_) std::exchange(on_failure_, nullptr)();
  changed_.notify_all();
}

void MeetingClient::on_failure(std::function<void()> action) {
  const std::lock_guard lock(mutex_);
  if (failed_) {
    action();
  } else {
    on_failure_ = std::move(action);
  }
}

bool MeetingClient::send(const Message& message) {
  const std::lock_guard lock(mutex_);
  return socket_.send(message);
}

std::optional<std::vector<std::string>> MeetingClient::exchange(const std::string& own) {
  Message message;
  message.mutable_offer()->set_text(own);
  send(message);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return offers_.has_value() || failed_; });
  if (failed_) return std::nullopt;
  return std::exchange(offers_, std::nullopt);
}

std::vector<LostMember> MeetingClient::losses() const {
  const std::lock_guard lock(mutex_);
  return losses_;
}

bool MeetingClient::has_failed() const {
  const std::lock_guard lock(mutex_);
  return failed_;
}

std::vector<LostMember> MeetingClient::wait_for_failure(std::chrono::milliseconds most) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, most, [this] { return failed_; });
  return losses_;
}

int MeetingClient::newcomers() const {
  const std::lock_guard lock(mutex_);
  return newcomers_;
}

void MeetingClient::leave(int code, const std::string& text, std::chrono::milliseconds most) {
  Message message;
  message.mutable_bye()->set_code(code);
  if (code != 0) message.mutable_bye()->set_text(text);
  std::unique_lock lock(mutex_);
  leaving_ = true;
  socket_.send(message);
  if (code == 0) {
    changed_.wait_for(lock, most, [this] { return over_ || failed_; });
  } else {
    socket_.drain(1000);
  }
}

void MeetingClient::leave_after_failure() {
  Message message;
  message.mutable_bye()->set_after_failure(true);
  const std::lock_guard lock(mutex_);
  leaving_ = true;
  socket_.send(message);
  socket_.drain(1000);
}

}  // namespace trainer
