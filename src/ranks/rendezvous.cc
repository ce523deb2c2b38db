// Meets, connects the lanes, and meets again.
#include "ranks/rendezvous.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <numeric>
#include <thread>
#include <utility>

#include "base/host_name.h"
#include "base/sha256.h"
#include "base/text.h"
#include "ranks/meeting_server.h"
#include "ranks/open_lane.h"

namespace trainer {
namespace {

constexpr auto kConnectTime = std::chrono::seconds(2);
constexpr auto kRetryInterval = std::chrono::milliseconds(200);
// How long the remaining processes try to reach one of them before they consider it lost, and how long they wait for
// each other.
constexpr auto kReachTime = std::chrono::seconds(15), kRegroupTime = std::chrono::seconds(60);
// How often, and with which pause, processes that have met and are not lost try to connect to each other.
constexpr int kMostAttempts = 5;
constexpr auto kConnectInterval = std::chrono::seconds(1);
// How long a failed exchange waits for the meeting to say which process is lost.
constexpr auto kExplainTime = std::chrono::seconds(12);
// How long a process that has finished waits for the others to finish.
constexpr auto kLeaveTime = std::chrono::seconds(10);

std::chrono::seconds patience_of(const Environment& environment) {
  const auto text = environment("TRAINER_MEETING_SECONDS");
  if (!text || text->empty()) return std::chrono::seconds(300);
  int seconds = 0;
  const auto [end, problem] = std::from_chars(text->data(), text->data() + text->size(), seconds);
  if (problem != std::errc() || end != text->data() + text->size() || seconds < 1)
    throw config_error("TRAINER_MEETING_SECONDS={}: give a whole number of seconds, at least 1", *text);
  return std::chrono::seconds(seconds);
}

void close_socket(int* descriptor) {
  if (*descriptor >= 0) close(*descriptor);
  *descriptor = -1;
}

// The others have met without this process.
struct KeptElsewhere {};

// Of this process.
std::string declared_lost_text(const LostMember& lost) {
  return "the other processes declared this one lost: " + lost.text;
}

const meeting::Table::Entry* find_entry(const meeting::Table& table, int launched_rank) {
  for (const meeting::Table::Entry& entry : table.entries()) {
    if (entry.launched_rank() == launched_rank) return &entry;
  }
  return nullptr;
}

}  // namespace

// The processes of one meeting.
class Rendezvous::JoinedGroup : public Group {
 public:
  JoinedGroup(Rendezvous& owner, std::unique_ptr<MeetingClient> client) : owner_(owner), client_(std::move(client)) {
    const meeting::Table& table = client_->table();
    for (const meeting::Table::Entry& entry : table.entries()) {
      if (entry.launched_rank() == owner.request_.launched.rank) rank_ = static_cast<int>(members_.size());
      members_.push_back({static_cast<int>(members_.size()), entry.launched_rank(), printable(entry.host())});
    }
    LaneRequest request;
    request.rank = rank_;
    request.size = size();
    request.address = table.entries(rank_).address();
    request.swap = [this](const std::string& own) {
      std::optional<std::vector<std::string>> all = client_->exchange(own);
      if (!all || all->size() != members_.size()) throw LaneError("a process is lost");
      return *all;
    };
    try {
      loop_lane_ = open_gloo_lane(request);
      gradient_lane_ = open_gloo_lane(request);
    } catch (const LaneError& error) {
      owner_.losses_ = client_->wait_for_failure(kExplainTime);
      client_->leave_after_failure();
      throw failure_of(owner_.losses_, error);
    }
    client_->on_failure([this] {
      loop_lane_->abort("another process is lost");
      gradient_lane_->abort("another process is lost");
    });
  }

  ~JoinedGroup() override {
    JoinedGroup::leave();
    client_.reset();  // its thread may end the lanes
  }

  int rank() const override { return rank_; }
  const std::vector<Member>& members() const override { return members_; }
  void sum(float* data, int64_t count) override {
    explained([&] { loop_lane_->sum(data, count); });
  }
  void broadcast(void* data, int64_t bytes, int root) override {
    explained([&] { loop_lane_->broadcast(data, bytes, root); });
  }
  std::vector<std::string> gather(const std::string& own) override {
    std::vector<std::string> all;
    explained([&] { all = loop_lane_->gather(own); });
    return all;
  }
  Lane& gradient_lane() override { return *gradient_lane_; }
  int newcomers() const override { return client_->newcomers(); }

  bool has_failed() const override { return client_->has_failed(); }
  [[noreturn]] void throw_rank_failed(const LaneError& error) override {
    throw failure_of(client_->wait_for_failure(kExplainTime), error);
  }

  void share_error() override { error_is_shared_ = true; }

  void leave(const Error& error) override {
    if (error_is_shared_) return leave();
    const int code = static_cast<int>(error.code());
    leave_with(error.code() == ExitCode::kRankFailed, [&] {
      client_->leave(code, fmt::format("it ended with exit code {}: {}", code, error.what()), kLeaveTime);
    });
  }
  void leave() override {
    leave_with(false, [this] { client_->leave(0, "", kLeaveTime); });
  }

 private:
  template <typename Leave>
  void leave_with(bool after_failure, const Leave& leave) {
    if (std::exchange(left_, true)) return;
    owner_.losses_ = client_->losses();
    if (after_failure || !owner_.losses_.empty()) {
      client_->leave_after_failure();
    } else {
      leave();
    }
  }

  RankFailed failure_of(const std::vector<LostMember>& losses, const LaneError& error) const {
    if (losses.empty())
      return RankFailed(fmt::format(
          "an exchange with the other processes failed, but none of them is known to be lost: {}", error.what()));
    std::string text;
    for (const LostMember& lost : losses) {
      if (lost.launched_rank == owner_.request_.launched.rank) return RankFailed(declared_lost_text(lost));
      const meeting::Table::Entry* entry = find_entry(client_->table(), lost.launched_rank);
      text += fmt::format("{}rank {} on {} is lost: {}", text.empty() ? "" : "\n", lost.launched_rank,
                          entry == nullptr ? "an unknown host" : printable(entry->host()), lost.text);
    }
    return RankFailed(text);
  }

  template <typename Exchange>
  void explained(const Exchange& exchange) {
    error_is_shared_ = false;
    try {
      exchange();
    } catch (const LaneError& error) {
      throw_rank_failed(error);
    }
  }

  Rendezvous& owner_;
  std::unique_ptr<MeetingClient> client_;
  int rank_ = 0;
  bool left_ = false, error_is_shared_ = false;
  std::vector<Member> members_;
  std::unique_ptr<Lane> loop_lane_, gradient_lane_;
};

bool Rendezvous::is_lost(int launched_rank) const {
  return std::any_of(losses_.begin(), losses_.end(),
                     [&](const LostMember& lost) { return lost.launched_rank == launched_rank; });
}

bool Rendezvous::is_first_remaining() const {
  const int own_rank = request_.launched.rank;
  const meeting::Table::Entry* const own = find_entry(table_, own_rank);
  const meeting::Table::Entry* const keeper = find_entry(table_, table_.keeper());
  if (own == nullptr || is_lost(own_rank)) return false;
  const bool meeting_is_lost = keeper != nullptr && is_lost(table_.keeper());
  for (const meeting::Table::Entry& entry : table_.entries()) {
    if (entry.launched_rank() == own_rank) return true;
    const bool may_be_lost = meeting_is_lost && entry.host() == keeper->host() && entry.host() != own->host();
    if (!is_lost(entry.launched_rank()) && !may_be_lost) return false;
  }
  return false;
}

std::string named_process(const LaunchedRank& launched, const std::string& text) {
  return fmt::format("rank {} of {} on {}: {}", launched.rank, launched.world, host_name(), text);
}

Rendezvous::Rendezvous(RendezvousRequest request)
    : request_(std::move(request)),
      file_(request_.file),
      patience_(patience_of(request_.environment)),
      token_(token_of(request_.environment)) {}

Rendezvous::~Rendezvous() {
  if (server_ != nullptr && is_elastic()) remove_file();
  server_.reset();
  close_socket(&listener_);
}

std::optional<MeetingPlace> Rendezvous::known_place() const {
  const LaunchedRank& launched = request_.launched;
  if (launched.master_host.empty() || token_.empty()) return std::nullopt;
  return MeetingPlace{{launched.master_host}, launched.master_port, token_};
}

void Rendezvous::write_file(const MeetingPlace& place) {
  file_.write(place, request_.launched.job);
  written_ = place;
}

// Another process may keep the meeting by then, and have replaced the file.
void Rendezvous::remove_file() noexcept {
  try {
    if (written_ && file_.read(request_.launched.job) == written_) file_.remove();
  } catch (const Error&) {
    // It is not the file of this process.
  }
  written_.reset();
}

// Of the meeting of other processes. The file of an elastic run names the process that keeps it.
std::optional<MeetingPlace> Rendezvous::find_place() const {
  const std::optional<MeetingPlace> known = known_place();
  if (known && !is_elastic()) return known;
  std::optional<MeetingPlace> written = file_.read(request_.launched.job);
  if (written && known) written->token = known->token;
  return written ? written : known;
}

// Of a meeting of an elastic run that the others have held without this process.
std::optional<MeetingPlace> Rendezvous::find_later_place() const {
  std::optional<MeetingPlace> place = file_.read(request_.launched.job);
  return place && place->number > std::max(table_.number(), 1) ? place : std::nullopt;
}

// While this process meets others in an elastic run: throws KeptElsewhere if they have met without it.
void Rendezvous::check_place() const {
  if (find_later_place()) throw KeptElsewhere();
}

meeting::Hello Rendezvous::hello(const std::string& address) {
  meeting::Hello hello;
  hello.set_rank(request_.launched.rank);
  hello.set_world(request_.launched.world);
  hello.set_host(host_name());
  hello.set_address(address);
  hello.set_takeover_port(is_elastic() ? listener_port_ : 0);
  for (const auto& [what, text] : request_.compared) {
    meeting::Digest& digest = *hello.add_digests();
    digest.set_what(what);
    digest.set_digest(fmt::format("{:08x}", fmt::join(sha256(text), "")));
  }
  return hello;
}

// Runs the meeting in this process: rank 0 at the start, later the first of the remaining processes.
std::unique_ptr<MeetingClient> Rendezvous::keep_meeting(const std::vector<int>& expected,
                                                        const std::vector<int>& optional,
                                                        const std::vector<int>& former) {
  const LaunchedRank& launched = request_.launched;
  MeetingPlace place;
  if (listener_ < 0) {
    const bool same_host = launched.local_size == launched.world;
    listener_port_ = launched.master_port;
    place.addresses = {!launched.master_host.empty() ? launched.master_host
                       : same_host                   ? "127.0.0.1"
                                                     : cluster_address(request_.environment)};
    listener_ = listen_at(place.addresses.front(), &listener_port_);
  } else if (const meeting::Table::Entry* own = find_entry(table_, launched.rank); own != nullptr) {
    place.addresses = {own->address()};
  }
  const bool needs_file = !known_place() || is_elastic();  // the others cannot know a token that is drawn here
  if (token_.empty()) token_ = random_digits(16);
  place.port = listener_port_;
  place.token = token_;
  place.number = table_.number() + 1;
  // The remaining processes meet without the file, and do not change it until enough have come.
  const bool again = !former.empty();
  if (needs_file && !again) write_file(place);

  MeetingOptions options;
  options.listener = listener_;
  options.token = token_;
  options.keeper = launched.rank;
  options.number = place.number;
  options.world = launched.world;
  options.expected = expected;
  options.optional = optional;
  options.former = former;
  options.least = request_.elastic.least;
  options.most = request_.elastic.most;
  options.patience = former.empty() ? patience_ : std::min<std::chrono::seconds>(patience_, kRegroupTime);
  server_ = std::make_unique<MeetingServer>(options);
  MeetingWait wait = request_.wait;
  if (is_elastic()) {
    wait.check = [this] {
      request_.wait.check();
      check_place();
    };
  }
  try {
    auto client = std::make_unique<MeetingClient>(server_->connect_inside(), token_, hello(""), wait);
    if (needs_file && again) write_file(place);
    if (!is_elastic()) {
      server_->stop_listening();
      remove_file();
    }
    return client;
  } catch (...) {
    server_.reset();
    remove_file();
    throw;
  }
}

// Retries until the meeting accepts this process. Throws MeetingGone if it cannot be reached for `patience`.
std::unique_ptr<MeetingClient> Rendezvous::connect(const std::function<std::optional<MeetingPlace>()>& place,
                                                   const std::string& keeper, std::chrono::seconds patience) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  Clock::time_point reached = start, noted = start;
  std::string problem;
  while (true) {
    request_.wait.check();
    const std::optional<MeetingPlace> known = place();
    if (!known) problem = fmt::format("there is no {} of this run, which {} writes", file_.path(), keeper);
    for (const std::string& address : known ? known->addresses : std::vector<std::string>()) {
      std::string own_address;
      const int connected = connect_to(
          address, known->port,
          static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(kConnectTime).count()), &own_address);
      if (connected < 0) {
        problem = fmt::format("nobody listens at {} port {}", address, known->port);
        continue;
      }
      MessageSocket socket(connected);
      try {
        if (is_elastic() && listener_ < 0) {
          listener_port_ = 0;
          listener_ = listen_at(own_address, &listener_port_);
        }
        auto client =
            std::make_unique<MeetingClient>(std::move(socket), known->token, hello(own_address), request_.wait);
        token_ = known->token;
        return client;
      } catch (const MeetingGone& error) {
        problem = fmt::format("{} port {}: {}", address, known->port, error.what());
        // It may still be in the iteration that the others have left.
        const bool meets_again = !table_.entries().empty() && Clock::now() - start < kRegroupTime;
        if (meets_again || error.was_let_in) reached = Clock::now();
        if (error.was_let_in) patience = std::max<std::chrono::seconds>(patience, kReachTime);
      }
    }
    if (Clock::now() - reached > patience) throw MeetingGone(problem);
    if (Clock::now() - noted > kNoteInterval) {
      noted = Clock::now();
      request_.wait.note(fmt::format("Rank {} waits for {}: {}", request_.launched.rank, keeper, problem));
    }
    std::this_thread::sleep_for(kRetryInterval);
  }
}

std::unique_ptr<MeetingClient> Rendezvous::join() {
  const LaunchedRank& launched = request_.launched;
  std::vector<int> all(static_cast<size_t>(launched.world));
  std::iota(all.begin(), all.end(), 0);
  // A run that continues without its first rank readmits it.
  while (launched.rank == 0) {
    if (is_elastic() && file_.read(launched.job)) {
      try {
        return connect([&] { return file_.read(launched.job); }, "the first of the others", kConnectTime);
      } catch (const MeetingGone&) {
        close_socket(&listener_);
      }
    }
    try {
      return keep_meeting(all, {}, {});
    } catch (const KeptElsewhere&) {
      request_.wait.note("The other processes continue without rank 0. It is asking them to readmit it");
    }
  }
  try {
    return connect([this] { return find_place(); }, "rank 0", patience_);
  } catch (const MeetingGone& error) {
    throw RankFailed(fmt::format("rank 0 did not arrive within {} s (TRAINER_MEETING_SECONDS): {}", patience_.count(),
                                 error.what()));
  }
}

// The first of the remaining processes runs the meeting.
std::unique_ptr<MeetingClient> Rendezvous::join_again() {
  std::vector<int> newcomers;
  if (server_ != nullptr) {
    newcomers = server_->newcomers();
    server_->end_for_new_meeting();
    server_.reset();
  }
  std::vector<int> remaining, former;
  for (const meeting::Table::Entry& entry : table_.entries()) {
    const int rank = entry.launched_rank();
    const auto lost =
        std::find_if(losses_.begin(), losses_.end(), [rank](const LostMember& l) { return l.launched_rank == rank; });
    if (lost == losses_.end()) remaining.push_back(rank);
    if (lost == losses_.end() || !lost->certain) former.push_back(rank);
  }
  for (size_t i = 0; i < remaining.size(); ++i) {
    if (remaining[i] == request_.launched.rank)
      return keep_meeting({remaining.begin() + static_cast<long>(i), remaining.end()}, newcomers, former);
    const meeting::Table::Entry& entry = *find_entry(table_, remaining[i]);
    const MeetingPlace place{{entry.address()}, static_cast<uint16_t>(entry.takeover_port()), token_};
    try {
      const auto check_and_give = [&] {
        check_place();
        return std::optional(place);
      };
      return connect(check_and_give, fmt::format("rank {}", remaining[i]), kReachTime);
    } catch (const MeetingGone& error) {
      request_.wait.note(fmt::format("Rank {} on {} cannot be reached: {}", remaining[i], entry.host(), error.what()));
      losses_.push_back({remaining[i], "it cannot be reached", false});
    }
  }
  throw RankFailed("none of the other processes can be reached");
}

// The others may continue without this process, or may have declared it lost while it was suspended.
std::unique_ptr<MeetingClient> Rendezvous::come_back(const std::string& reason) {
  request_.wait.note(
      fmt::format("Rank {} is cut off: {}. It is asking the others to readmit it", request_.launched.rank, reason));
  try {
    return connect([this] { return find_later_place(); }, "the first of the others", patience_);
  } catch (const MeetingGone& error) {
    throw RankFailed(fmt::format("{}, and they did not readmit it within {} s (TRAINER_MEETING_SECONDS): {}", reason,
                                 patience_.count(), error.what()));
  }
}

std::unique_ptr<MeetingClient> Rendezvous::find_others() {
  if (table_.entries().empty()) return join();
  for (const LostMember& lost : losses_) {
    if (lost.launched_rank == request_.launched.rank) return come_back(declared_lost_text(lost));
  }
  try {
    return join_again();
  } catch (const CutOff& reason) {
    return come_back(reason.what());
  } catch (const KeptElsewhere&) {
    return come_back("the other processes continue without this one");
  }
}

std::unique_ptr<Group> Rendezvous::meet() {
  int attempts = 0;
  while (true) {
    std::unique_ptr<MeetingClient> client = find_others();
    table_ = client->table();
    losses_.clear();
    try {
      return std::make_unique<JoinedGroup>(*this, std::move(client));
    } catch (const RankFailed& error) {
      if (!is_elastic() || (losses_.empty() && ++attempts == kMostAttempts)) throw;
      request_.wait.note(error.what());
    }
    // A host whose network is back may not be reachable from all others at once.
    if (losses_.empty()) std::this_thread::sleep_for(kConnectInterval);
  }
}

}  // namespace trainer
