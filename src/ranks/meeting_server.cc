// Gathers processes and watches over them.
#include "ranks/meeting_server.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "ranks/meeting_place.h"

namespace trainer {
namespace {

using meeting::Message;

// How often a waiting process hears for whom it waits.
constexpr auto kWaitingInterval = std::chrono::seconds(5);
// How long a meeting that may start without some waits for more.
constexpr auto kOptionalTime = std::chrono::seconds(5);
// The most connections of processes that are not members.
constexpr size_t kMostStrangers = 4096;

std::string name_of(const meeting::Hello& hello) {
  return fmt::format("rank {} on {}", hello.rank(), printable(hello.host()));
}

meeting::Refusal refusal_of(ExitCode code, const std::string& text) {
  meeting::Refusal refusal;
  refusal.set_code(static_cast<int>(code));
  refusal.set_text(text);
  return refusal;
}

bool is_loopback(const std::string& address) { return address.empty() || address.starts_with("127."); }

}  // namespace

std::string silence_text() {
  return fmt::format("nothing was heard from it for {} s: it hangs, or the network is down", kMostSilence.count());
}

MeetingServer::MeetingServer(MeetingOptions options) : options_(std::move(options)), thread_([this] { run(); }) {}

MeetingServer::~MeetingServer() {
  stopping_ = true;
  thread_.join();
}

MessageSocket MeetingServer::connect_inside() {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    throw device_error("cannot open a connection in this process: {}", std::strerror(errno));
  const std::lock_guard lock(mutex_);
  inside_.push_back(ends[0]);
  return MessageSocket(ends[1]);
}

// The thread may wait on the socket, so it stays open.
void MeetingServer::stop_listening() {
  listening_ = false;
  shutdown(options_.listener, SHUT_RD);
}

std::vector<int> MeetingServer::newcomers() const {
  const std::lock_guard lock(mutex_);
  return newcomers_;
}

std::vector<MeetingServer::Peer*> MeetingServer::peers_in(Peer::State state) {
  std::vector<Peer*> found;
  for (const auto& peer : peers_) {
    if (peer->state == state) found.push_back(peer.get());
  }
  std::sort(found.begin(), found.end(), [](Peer* a, Peer* b) { return a->hello.rank() < b->hello.rank(); });
  return found;
}

MeetingServer::Peer* MeetingServer::arrived_as(int launched_rank) const {
  for (const auto& peer : peers_) {
    if (peer->state == Peer::State::kArrived && peer->hello.rank() == launched_rank) return peer.get();
  }
  return nullptr;
}

void MeetingServer::run() {
  std::vector<pollfd> waiting;
  while (!stopping_) {
    waiting.clear();
    waiting.push_back({listening_ ? options_.listener : -1, POLLIN, 0});
    for (const auto& peer : peers_)
      waiting.push_back(
          {peer->socket.descriptor(), static_cast<short>(POLLIN | (peer->socket.has_unsent() ? POLLOUT : 0)), 0});
    poll(waiting.data(), waiting.size(), 20);
    if (suspension_.ended()) {
      for (const auto& peer : peers_) peer->heard = Clock::now();
    }
    for (size_t i = 1; i < waiting.size(); ++i) {
      Peer& peer = *peers_[i - 1];
      if ((waiting[i].revents & POLLOUT) != 0) peer.socket.flush();
      if ((waiting[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0) read(peer);
    }
    if ((waiting[0].revents & POLLIN) != 0) accept_all();
    take_inside();
    advance();
    std::erase_if(peers_, [](const auto& peer) { return peer->state == Peer::State::kGone; });
  }
  announce_end();
}

void MeetingServer::accept_all() {
  while (true) {
    const int connected = accept4(options_.listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (connected < 0) return;
    Peer& peer = *peers_.emplace_back(std::make_unique<Peer>(MessageSocket(connected)));
    if (peers_.size() > kMostStrangers) peer.state = Peer::State::kGone;
    greet(peer);
  }
}

void MeetingServer::take_inside() {
  const std::lock_guard lock(mutex_);
  for (const int end : inside_) greet(*peers_.emplace_back(std::make_unique<Peer>(MessageSocket(end))));
  inside_.clear();
}

void MeetingServer::greet(Peer& peer) {
  peer.nonce = random_bytes(16);
  Message message;
  message.mutable_challenge()->set_nonce(peer.nonce);
  if (!peer.socket.send(message)) peer.state = Peer::State::kGone;
}

void MeetingServer::read(Peer& peer) {
  if (peer.state == Peer::State::kGone) return;
  std::vector<Message> messages;
  const bool open =
      peer.socket.receive(&messages, peer.state == Peer::State::kStranger ? kMostFromStrangers : kMostFromMembers);
  for (const Message& message : messages) {
    if (peer.state != Peer::State::kGone) take(peer, message);
  }
  if (open || peer.state == Peer::State::kGone) return;
  if (peer.state == Peer::State::kMember) {
    lose(peer, kConnectionEnded, true);
  } else {
    const bool newcomer = peer.state == Peer::State::kArrived && stage_ == Stage::kRunning;
    peer.state = Peer::State::kGone;
    if (newcomer) count_newcomers();
  }
}

void MeetingServer::take(Peer& peer, const Message& message) {
  peer.heard = Clock::now();
  if (peer.state == Peer::State::kStranger) {
    if (message.has_hello()) {
      hear_hello(peer, message.hello());
    } else {
      peer.state = Peer::State::kGone;
    }
    return;
  }
  if (peer.state != Peer::State::kMember) return;
  if (message.has_offer()) {
    peer.offer = message.offer().text();
  } else if (message.has_bye()) {
    note_departure(peer, message.bye());
  }
}

void MeetingServer::note_departure(Peer& peer, const meeting::Bye& bye) {
  if (bye.code() != 0) return lose(peer, bye.text(), true);
  peer.state = Peer::State::kLeft;
  if (!bye.after_failure() || std::exchange(failed_, true)) return;
  Message message;
  message.mutable_broken();
  tell_members(message);
}

void MeetingServer::hear_hello(Peer& peer, const meeting::Hello& hello) {
  peer.hello = hello;
  const auto refuse_for = [&](ExitCode code, const std::string& text) { refuse(peer, refusal_of(code, text)); };
  if (hello.proof() != proof_of(options_.token, peer.nonce)) {
    meeting::Refusal refusal;
    refusal.set_token_is_wrong(true);
    refuse(peer, refusal);
  } else if (hello.world() != options_.world) {
    refuse_for(ExitCode::kConfiguration,
               fmt::format("{} belongs to a run of {} processes, but this meeting is one of {}", name_of(hello),
                           hello.world(), options_.world));
  } else if (hello.rank() < 0 || hello.rank() >= options_.world) {
    refuse_for(ExitCode::kConfiguration,
               fmt::format("there is no rank {} of {} processes", hello.rank(), options_.world));
  } else if (Peer* same = arrived_as(hello.rank()); same != nullptr && stage_ == Stage::kGathering) {
    refuse_for(
        ExitCode::kConfiguration,
        fmt::format("two processes are rank {}: on {} and on {}. Does another run have the same snapshot_prefix or "
                    "MASTER_PORT?",
                    hello.rank(), printable(same->hello.host()), printable(hello.host())));
  } else if (stage_ != Stage::kGathering && options_.least == 0) {
    refuse_for(ExitCode::kRankFailed,
               "the run has begun without this process. Only a run with --elastic admits processes later");
  } else {
    peer.state = Peer::State::kArrived;
    count_newcomers();
  }
}

void MeetingServer::refuse(Peer& peer, const meeting::Refusal& refusal) {
  Message message;
  *message.mutable_refusal() = refusal;
  if (peer.socket.send(message)) peer.socket.drain(100);
  peer.state = Peer::State::kGone;
}

void MeetingServer::refuse_all(const meeting::Refusal& refusal) {
  for (Peer* peer : peers_in(Peer::State::kArrived)) refuse(*peer, refusal);
  stage_ = Stage::kOver;
}

void MeetingServer::advance() {
  const Clock::time_point time = Clock::now();
  end_late_peers();
  if (stage_ == Stage::kGathering) gather();
  if (stage_ == Stage::kRunning) {
    pass_offers();
    if (peers_in(Peer::State::kMember).empty()) {
      Message message;
      message.mutable_over();
      for (Peer* peer : peers_in(Peer::State::kLeft)) peer->socket.send(message);
      stage_ = Stage::kOver;
    }
  }
  if (time - last_beat_ < kBeatInterval) return;
  last_beat_ = time;
  Message message;
  message.mutable_beat();
  tell_members(message);
  for (Peer* peer : peers_in(Peer::State::kArrived)) peer->socket.send(message);
}

// The launched ranks that have not arrived: "rank 2", or "ranks 2, 5"; of more than 8 the first ones "and 3 more".
std::string MeetingServer::missing_text() const {
  std::vector<std::string> missing;
  for (const int rank : options_.expected) {
    if (arrived_as(rank) == nullptr) missing.push_back(fmt::format("{}", rank));
  }
  constexpr size_t kMost = 8;
  const size_t all = missing.size();
  if (all > kMost) missing.resize(kMost);
  return fmt::format("{} {}{}", all == 1 ? "rank" : "ranks", fmt::join(missing, ", "),
                     all > kMost ? fmt::format(" and {} more", all - kMost) : "");
}

void MeetingServer::gather() {
  std::vector<Peer*> arrived = peers_in(Peer::State::kArrived);
  const Clock::duration waited = Clock::now() - start_;
  const auto came = [&](int rank) { return arrived_as(rank) != nullptr; };
  const bool all = std::all_of(options_.expected.begin(), options_.expected.end(), came);
  const bool all_optional = std::all_of(options_.optional.begin(), options_.optional.end(), came);
  if (all && (all_optional || waited > kOptionalTime)) {
    open_table(arrived);
  } else if (waited > options_.patience) {
    // Those that meet again learn whether too few remain, or are only cut off.
    const int least = options_.former.empty() ? options_.least : 1;
    if (options_.least > 0 && static_cast<int>(arrived.size()) >= least) {
      open_table(arrived);
    } else {
      refuse_all(
          refusal_of(ExitCode::kRankFailed, fmt::format("{} did not arrive within {} s (TRAINER_MEETING_SECONDS)",
                                                        missing_text(), options_.patience.count())));
    }
  } else if (Clock::now() - last_wait_ >= kWaitingInterval) {
    last_wait_ = Clock::now();
    Message message;
    message.mutable_waiting()->set_text(missing_text());
    for (Peer* peer : arrived) peer->socket.send(message);
  }
}

// Whether those that arrived may continue without the others.
bool MeetingServer::enough(const std::vector<Peer*>& arrived) const {
  if (options_.former.empty()) return true;
  size_t present = 0;
  for (const int rank : options_.former)
    present += std::any_of(arrived.begin(), arrived.end(), [rank](Peer* peer) { return peer->hello.rank() == rank; });
  const bool first = std::any_of(arrived.begin(), arrived.end(),
                                 [&](Peer* peer) { return peer->hello.rank() == options_.former.front(); });
  return 2 * present > options_.former.size() || (2 * present == options_.former.size() && first);
}

// "" if all run the same.
std::string MeetingServer::difference(const std::vector<Peer*>& arrived) const {
  const meeting::Hello& first = arrived.front()->hello;
  for (const Peer* peer : arrived) {
    const meeting::Hello& other = peer->hello;
    for (int i = 0; i < std::max(first.digests_size(), other.digests_size()); ++i) {
      const bool both = i < first.digests_size() && i < other.digests_size();
      const std::string what = (i < first.digests_size() ? first : other).digests(i).what();
      if (both && what == other.digests(i).what() && first.digests(i).digest() == other.digests(i).digest()) continue;
      return fmt::format(
          "{} of {} differs from that of {}: all processes of a run have the same one. Start each alone "
          "with --ranks=none if they do not belong together",
          what, name_of(other), name_of(first));
    }
  }
  return "";
}

// Those that take part, at most `most`: first the expected ones, because they have the states of the training.
std::vector<MeetingServer::Peer*> MeetingServer::chosen(std::vector<Peer*> arrived) const {
  if (options_.most == 0 || static_cast<int>(arrived.size()) <= options_.most) return arrived;
  const auto is_expected = [this](const Peer* peer) {
    return std::find(options_.expected.begin(), options_.expected.end(), peer->hello.rank()) != options_.expected.end();
  };
  std::stable_partition(arrived.begin(), arrived.end(), is_expected);
  arrived.resize(static_cast<size_t>(options_.most));
  std::sort(arrived.begin(), arrived.end(), [](Peer* a, Peer* b) { return a->hello.rank() < b->hello.rank(); });
  return arrived;
}

void MeetingServer::open_table(const std::vector<Peer*>& all) {
  const std::vector<Peer*> arrived = chosen(all);
  const std::string differing = difference(arrived);
  if (!differing.empty()) return refuse_all(refusal_of(ExitCode::kConfiguration, differing));
  if (!enough(arrived)) {
    meeting::Refusal refusal = refusal_of(
        ExitCode::kRankFailed, fmt::format("{} of {} processes can be reached: the others may continue without these",
                                           arrived.size(), options_.former.size()));
    refusal.set_cut_off(true);
    return refuse_all(refusal);
  }
  if (static_cast<int>(arrived.size()) < options_.least)
    return refuse_all(
        refusal_of(ExitCode::kRankFailed, fmt::format("only {} of {} processes remain, but --elastic={} requires more",
                                                      arrived.size(), options_.world, options_.least)));
  // The address at which others reach a process inside this one.
  std::string own_address = "127.0.0.1";
  for (Peer* peer : arrived) {
    const std::string address = local_address(peer->socket.descriptor());
    if (!is_loopback(address)) own_address = address;
  }
  Message message;
  message.mutable_table()->set_keeper(options_.keeper);
  message.mutable_table()->set_number(options_.number);
  for (Peer* peer : arrived) {
    meeting::Table::Entry& entry = *message.mutable_table()->add_entries();
    entry.set_launched_rank(peer->hello.rank());
    entry.set_host(peer->hello.host());
    entry.set_address(peer->hello.address().empty() ? own_address : peer->hello.address());
    entry.set_takeover_port(peer->hello.takeover_port());
  }
  for (Peer* peer : arrived) {
    message.mutable_table()->set_proof(proof_of(options_.token, peer->hello.nonce()));
    peer->socket.send(message);
    peer->state = Peer::State::kMember;
    peer->heard = Clock::now();
  }
  stage_ = Stage::kRunning;
  count_newcomers();
}

// Drops strangers and newcomers that say nothing, and loses members that are silent.
void MeetingServer::end_late_peers() {
  const Clock::time_point time = Clock::now();
  for (const auto& peer : peers_) {
    if (time - peer->heard < kMostSilence) continue;
    if (peer->state == Peer::State::kStranger || peer->state == Peer::State::kArrived) {
      peer->state = Peer::State::kGone;
      count_newcomers();
    }
    if (peer->state == Peer::State::kMember) lose(*peer, silence_text(), false);
  }
}

void MeetingServer::lose(Peer& peer, const std::string& text, bool certain) {
  peer.state = Peer::State::kGone;
  failed_ = true;
  Message message;
  message.mutable_loss()->set_launched_rank(peer.hello.rank());
  message.mutable_loss()->set_text(text);
  message.mutable_loss()->set_certain(certain);
  tell_members(message, &peer);
  // If it is still there, it must not take the end of the connection for that of this process.
  if (!certain) peer.socket.send(message);
}

void MeetingServer::tell_members(const Message& message, const Peer* except) {
  for (const auto& peer : peers_) {
    if (peer->state == Peer::State::kMember && peer.get() != except) peer->socket.send(message);
  }
}

void MeetingServer::pass_offers() {
  const std::vector<Peer*> members = peers_in(Peer::State::kMember);
  if (members.empty() ||
      !std::all_of(members.begin(), members.end(), [](Peer* peer) { return peer->offer.has_value(); }))
    return;
  Message message;
  for (Peer* peer : members) {
    message.mutable_offers()->add_texts(*peer->offer);
    peer->offer.reset();
  }
  tell_members(message);
}

void MeetingServer::count_newcomers() {
  if (stage_ != Stage::kRunning) return;
  Message message;
  std::vector<int> ranks;
  for (Peer* peer : peers_in(Peer::State::kArrived)) {
    ranks.push_back(peer->hello.rank());
    Message waiting;
    waiting.mutable_waiting()->set_text("the run to reach its next snapshot");
    peer->socket.send(waiting);
  }
  {
    const std::lock_guard lock(mutex_);
    newcomers_ = ranks;
  }
  const auto members = static_cast<int>(peers_in(Peer::State::kMember).size());
  const int room = options_.most == 0 ? options_.world : std::max(options_.most - members, 0);
  message.mutable_newcomers()->set_count(std::min(static_cast<int>(ranks.size()), room));
  tell_members(message);
}

void MeetingServer::announce_end() {
  if (!meets_again_) return;
  Message message;
  message.mutable_over();
  tell_members(message);
  for (const auto& peer : peers_) peer->socket.drain(200);
}

}  // namespace trainer
