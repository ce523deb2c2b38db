// Meets as threads of one process, each with an environment of its own.
#include "ranks/rendezvous.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <map>

#include "base/plugin_places.h"
#include "formats/temp_folder.h"

namespace trainer {
namespace {

using testing::HasSubstr;

class RendezvousTest : public testing::Test {
 protected:
  void SetUp() override {
    if (find_plugin("libtrainer_gloo.so").empty()) GTEST_SKIP() << "this build has no Gloo";
  }

  RendezvousRequest request(int rank, int world) const {
    RendezvousRequest request;
    request.launched.rank = rank;
    request.launched.world = world;
    request.launched.local_rank = rank;
    request.launched.local_size = world;
    request.file = file_;
    request.compared = {{"the solver", "base_lr: 1"}};
    request.environment = [seconds = patience_](const char* name) -> std::optional<std::string> {
      return std::string(name) == "TRAINER_MEETING_SECONDS" ? std::optional(seconds) : std::nullopt;
    };
    return request;
  }

  // Runs `body` as each rank and returns the error of each, "" for none.
  static std::vector<std::string> run(const std::vector<RendezvousRequest>& requests,
                                      const std::function<void(Rendezvous&)>& body) {
    return run_requests(requests, [&](const RendezvousRequest& request) {
      Rendezvous rendezvous(request);
      body(rendezvous);
    });
  }
  static std::vector<std::string> run_requests(const std::vector<RendezvousRequest>& requests,
                                               const std::function<void(const RendezvousRequest&)>& body) {
    std::vector<std::future<std::string>> threads;
    for (const RendezvousRequest& request : requests) {
      threads.push_back(std::async(std::launch::async, [&body, request]() -> std::string {
        try {
          body(request);
          return "";
        } catch (const Error& error) {
          return fmt::format("{}: {}", static_cast<int>(error.code()), error.what());
        }
      }));
    }
    std::vector<std::string> errors;
    for (auto& thread : threads) errors.push_back(thread.get());
    return errors;
  }

  std::vector<RendezvousRequest> requests(int world, ElasticLimits elastic = {}) const {
    std::vector<RendezvousRequest> all;
    for (int rank = 0; rank < world; ++rank) all.push_back(request(rank, world));
    for (RendezvousRequest& request : all) request.elastic = elastic;
    return all;
  }

  // Meets the others once more when this process has left its group, and again when one waits for the next snapshot.
  static std::unique_ptr<Group> meet_with_newcomer(Rendezvous& rendezvous, int size) {
    std::unique_ptr<Group> group = rendezvous.meet();
    while (group->size() < size) {
      while (group->broadcast_text(group->newcomers() > 0 ? "1" : "0", 0) != "1") usleep(1000);
      group.reset();
      group = rendezvous.meet();
    }
    return group;
  }

  TempFolder folder_;
  const std::string file_ = folder_ / "run.meeting";
  std::string patience_ = "20";
};

TEST_F(RendezvousTest, ExchangesNumbers) {
  const auto errors = run(requests(3), [](Rendezvous& rendezvous) {
    const std::unique_ptr<Group> group = rendezvous.meet();
    ASSERT_EQ(group->size(), 3);
    const auto own = static_cast<float>(group->rank());
    std::vector<float> numbers(100001, own + 1);
    numbers.back() = 10 * own;
    group->sum(numbers.data(), static_cast<int64_t>(numbers.size()));
    EXPECT_EQ(numbers.front(), 6);
    EXPECT_EQ(numbers.back(), 30);

    std::vector<Bf16> rounded(1000, to_bf16(own + 0.5f));
    group->gradient_lane().sum(rounded.data(), 1000);
    EXPECT_EQ(to_float(rounded.back()), 4.5f);

    // Texts of all lengths, also longer than a block of the engine.
    for (const size_t length : {0, 1, 247, 248, 249, 100000}) {
      const std::string text(length + static_cast<size_t>(group->rank()), static_cast<char>('a' + group->rank()));
      const std::vector<std::string> all = group->gather(text);
      ASSERT_EQ(all.size(), 3u);
      for (size_t rank = 0; rank < 3; ++rank)
        EXPECT_EQ(all[rank], std::string(length + rank, static_cast<char>('a' + rank)));
    }
    EXPECT_EQ(group->broadcast_text(fmt::format("from {}", group->rank()), 2), "from 2");
  });
  EXPECT_THAT(errors, testing::Each(""));
  EXPECT_FALSE(std::filesystem::exists(file_)) << "the token is of no more use";
}

TEST_F(RendezvousTest, OnlyTheOwnerReadsTheToken) {
  mode_t mode = 0;
  auto all = requests(2);
  all[1].wait.check = [&] {
    struct stat status {};
    if (stat(file_.c_str(), &status) == 0) mode = status.st_mode & 0777;
  };
  EXPECT_THAT(run(all, [](Rendezvous& rendezvous) { rendezvous.meet(); }), testing::Each(""));
  EXPECT_EQ(mode, mode_t{0600});
}

TEST_F(RendezvousTest, ReadsNoFileOfOthers) {
  const MeetingFile file(file_);
  const MeetingPlace place{{"10.0.0.1"}, 29400, "token"};
  file.write(place, "");
  EXPECT_EQ(file.read(""), place);
  EXPECT_EQ(file.read("another job"), std::nullopt);
  EXPECT_EQ(MeetingFile(folder_ / "absent").read(""), std::nullopt);
  std::filesystem::create_symlink(file_, folder_ / "link");
  EXPECT_THROW(MeetingFile(folder_ / "link").read(""), Error);
  std::filesystem::permissions(file_, std::filesystem::perms::group_read, std::filesystem::perm_options::add);
  EXPECT_THROW(file.read(""), Error);
}

TEST_F(RendezvousTest, NamesWhatDiffers) {
  auto all = requests(3);
  all[2].compared = {{"the solver", "base_lr: 2"}};
  for (const std::string& error : run(all, [](Rendezvous& rendezvous) { rendezvous.meet(); })) {
    EXPECT_THAT(error, HasSubstr("2: the solver of rank 2 on "));
    EXPECT_THAT(error, HasSubstr("differs from that of rank 0 on "));
    EXPECT_THAT(error, HasSubstr("--ranks=none"));
  }
}

TEST_F(RendezvousTest, NamesWhoIsMissing) {
  patience_ = "1";
  auto all = requests(4);
  all.erase(all.begin() + 2);
  for (const std::string& error : run(all, [](Rendezvous& rendezvous) { rendezvous.meet(); }))
    EXPECT_THAT(error, HasSubstr("7: rank 2 did not arrive within 1 s (TRAINER_MEETING_SECONDS)"));
}

TEST_F(RendezvousTest, MissesRankZero) {
  patience_ = "1";
  auto all = requests(2);
  all.erase(all.begin());
  const std::string error = run(all, [](Rendezvous& rendezvous) { rendezvous.meet(); }).front();
  EXPECT_THAT(error, HasSubstr("7: rank 0 did not arrive within 1 s"));
  EXPECT_THAT(error, HasSubstr(file_));
}

TEST_F(RendezvousTest, TwoProcessesOfOneRank) {
  patience_ = "3";
  auto all = requests(3);
  all[2].launched.rank = 1;
  EXPECT_THAT(run(all, [](Rendezvous& rendezvous) { rendezvous.meet(); }),
              testing::Contains(HasSubstr("two processes are rank 1")));
}

TEST_F(RendezvousTest, LetsNoStrangerIn) {
  patience_ = "3";
  auto all = requests(2);
  for (RendezvousRequest& request : all) {
    request.launched.master_host = "127.0.0.1";
    request.launched.master_port = 0;
  }
  // Rank 1 has another token, and all else right.
  uint16_t port = 0;
  close(listen_at("127.0.0.1", &port));
  for (RendezvousRequest& request : all) request.launched.master_port = port;
  for (size_t rank = 0; rank < 2; ++rank) {
    all[rank].environment = [rank](const char* name) -> std::optional<std::string> {
      if (std::string(name) == "TRAINER_TOKEN") return rank == 0 ? "right" : "wrong";
      if (std::string(name) != "TRAINER_MEETING_SECONDS") return std::nullopt;
      return rank == 0 ? "4" : "2";  // rank 0 still listens when rank 1 gives up
    };
  }
  const auto errors = run(all, [](Rendezvous& rendezvous) { rendezvous.meet(); });
  EXPECT_THAT(errors[0], HasSubstr("7: rank 1 did not arrive"));
  EXPECT_THAT(errors[1], HasSubstr("the token is not that of this meeting"));
}

TEST_F(RendezvousTest, SurvivesNoise) {
  auto all = requests(2);
  all[1].wait.check = [&] {
    // Each attempt to find rank 0 also sends noise there: an invalid message, a huge length, and nothing.
    const std::optional<MeetingPlace> place = MeetingFile(file_).read("");
    if (!place) return;
    for (const std::string& noise : {std::string("GET / HTTP/1.0\r\n\r\n"), std::string(8, '\xff'), std::string()}) {
      std::string own;
      const int connected = connect_to("127.0.0.1", place->port, 1000, &own);
      if (connected < 0) continue;
      EXPECT_EQ(send(connected, noise.data(), noise.size(), MSG_NOSIGNAL), static_cast<ssize_t>(noise.size()));
      close(connected);
    }
  };
  EXPECT_THAT(run(all, [](Rendezvous& rendezvous) { rendezvous.meet(); }), testing::Each(""));
}

TEST_F(RendezvousTest, AllKnowWhoEndedAndWhy) {
  const auto errors = run(requests(3), [](Rendezvous& rendezvous) {
    const std::unique_ptr<Group> group = rendezvous.meet();
    if (group->rank() == 1) return group->leave(data_error("record 7 is damaged"));
    while (true) group->gather("");
  });
  EXPECT_EQ(errors[1], "");
  for (const size_t rank : {0, 2}) {
    EXPECT_THAT(errors[rank], HasSubstr("7: rank 1 on "));
    EXPECT_THAT(errors[rank], HasSubstr("is lost: it ended with exit code 3: record 7 is damaged"));
  }
}

TEST_F(RendezvousTest, NobodyIsLostByASharedError) {
  const auto errors = run(requests(3), [](Rendezvous& rendezvous) {
    const std::unique_ptr<Group> group = rendezvous.meet();
    group->gather("");
    group->share_error();
    usleep(static_cast<useconds_t>(200'000 * group->rank()));
    group->leave(data_error("the disk is full"));
  });
  EXPECT_THAT(errors, testing::Each(""));
}

TEST_F(RendezvousTest, MeetsAgainWithoutTheLost) {
  const auto all = requests(3, {1, 0});
  for (const int lost : {0, 1, 2}) {
    const auto errors = run(all, [lost](Rendezvous& rendezvous) {
      std::unique_ptr<Group> group = rendezvous.meet();
      const int launched = group->rank();
      if (launched == lost) return group->leave(data_error("lost"));
      EXPECT_THROW(while (true) group->gather(""), RankFailed);
      if (launched == 0) usleep(300'000);  // it still watches over the others when they leave
      group.reset();
      group = rendezvous.meet();
      ASSERT_EQ(group->size(), 2);
      const std::vector<std::string> names = group->gather(std::to_string(launched));
      EXPECT_LT(names[0], names[1]);
      EXPECT_EQ(std::to_string(launched), names[static_cast<size_t>(group->rank())]);
      EXPECT_EQ(group->members()[static_cast<size_t>(group->rank())].launched_rank, launched);
    });
    EXPECT_THAT(errors, testing::Each("")) << "without rank " << lost;
  }
}

// Both others learn of a failure before they know of a loss: neither declares the other lost.
TEST_F(RendezvousTest, MeetsAgainAfterAFailureThatAllKnow) {
  patience_ = "3";
  const auto all = requests(3, {2, 0});
  const auto errors = run(all, [](Rendezvous& rendezvous) {
    std::unique_ptr<Group> group = rendezvous.meet();
    group->gather("");
    const Error failure = data_error("record 7 is damaged");
    if (group->rank() == 2) {
      usleep(500'000);
      return group->leave(failure);
    }
    group->leave(RankFailed(failure.what()));
    group.reset();
    group = rendezvous.meet();
    EXPECT_EQ(group->size(), 2);
    group->gather("");
  });
  EXPECT_THAT(errors, testing::Each(""));
}

// A process leaves because an exchange failed, and nobody is lost: the others do not wait for it.
TEST_F(RendezvousTest, AllAbandonAFailedExchange) {
  std::atomic<int> abandoned = 0;
  const auto errors = run(requests(3, {3, 0}), [&](Rendezvous& rendezvous) {
    std::unique_ptr<Group> group = rendezvous.meet();
    group->gather("");
    if (group->rank() == 1) {
      group->leave(RankFailed("the network is bad"));
      for (int tenths = 0; abandoned < 2 && tenths < 100; ++tenths) usleep(100'000);
      EXPECT_EQ(abandoned, 2);
    } else {
      try {
        group->gather("");
        ADD_FAILURE();
      } catch (const RankFailed& error) {
        EXPECT_THAT(error.what(), HasSubstr("none of them is known to be lost"));
        group->leave(error);
      }
      ++abandoned;
    }
    EXPECT_FALSE(rendezvous.has_loss());
    group.reset();
    group = rendezvous.meet();
    EXPECT_EQ(group->size(), 3);
    group->gather("");
  });
  EXPECT_THAT(errors, testing::Each(""));
}

// Rank 0 starts again before the others have met without it, and waits for them.
TEST_F(RendezvousTest, ReadmitsAFirstRankThatStartsAgain) {
  std::atomic<bool> ended = false;
  const auto errors = run_requests(requests(3, {1, 0}), [&](const RendezvousRequest& request) {
    auto rendezvous = std::make_unique<Rendezvous>(request);
    std::unique_ptr<Group> group = rendezvous->meet();
    if (request.launched.rank == 0) {
      group->leave(data_error("lost"));
      group.reset();
      rendezvous = std::make_unique<Rendezvous>(request);
      ended = true;
      group = rendezvous->meet();
    } else {
      EXPECT_THROW(while (true) group->gather(""), RankFailed);
      group.reset();
      while (!ended || !MeetingFile(file_).read("")) usleep(1000);
      group = meet_with_newcomer(*rendezvous, 3);
    }
    EXPECT_EQ(group->size(), 3);
    EXPECT_EQ(group->rank(), request.launched.rank);
    group->gather("");
  });
  EXPECT_THAT(errors, testing::Each(""));
}

// With at most two, rank 2 takes part when rank 1 is lost.
TEST_F(RendezvousTest, LimitsTheNumber) {
  std::atomic<bool> ended = false;
  const auto errors = run_requests(requests(3, {1, 2}), [&](const RendezvousRequest& request) {
    Rendezvous rendezvous(request);
    std::unique_ptr<Group> group = rendezvous.meet();
    EXPECT_EQ(group->size(), 2);
    if (request.launched.rank == 2) {
      EXPECT_TRUE(ended);
      group->gather("");
      return;
    }
    EXPECT_EQ(group->newcomers(), 0);
    usleep(300'000);
    EXPECT_EQ(group->newcomers(), 0) << "there is no room for rank 2";
    group->gather("");
    if (request.launched.rank == 1) {
      ended = true;
      return group->leave(data_error("lost"));
    }
    EXPECT_THROW(while (true) group->gather(""), RankFailed);
    group.reset();
    group = meet_with_newcomer(rendezvous, 2);
    EXPECT_EQ(group->members()[1].launched_rank, 2);
    group->gather("");
  });
  EXPECT_THAT(errors, testing::Each(""));
}

TEST_F(RendezvousTest, RemovesNoFileOfOthers) {
  const MeetingPlace place{{"10.0.0.1"}, 29400, "token", 7};
  const auto errors = run(requests(2, {1, 0}), [&](Rendezvous& rendezvous) {
    const std::unique_ptr<Group> group = rendezvous.meet();
    if (group->is_first()) MeetingFile(file_).write(place, "");
    group->gather("");
  });
  EXPECT_THAT(errors, testing::Each(""));
  EXPECT_EQ(MeetingFile(file_).read(""), place);
}

TEST_F(RendezvousTest, EndsWithTooFewLeft) {
  const auto all = requests(2, {2, 0});
  const auto errors = run(all, [](Rendezvous& rendezvous) {
    std::unique_ptr<Group> group = rendezvous.meet();
    if (group->rank() == 1) return group->leave(data_error("lost"));
    EXPECT_THROW(while (true) group->gather(""), RankFailed);
    group.reset();
    rendezvous.meet();
  });
  EXPECT_THAT(errors[0], HasSubstr("7: only 1 of 2 processes remain, but --elastic=2 requires more"));
}

TEST_F(RendezvousTest, TakesNewcomersIn) {
  const auto all = requests(3, {1, 0});
  const auto errors = run(all, [&](Rendezvous& rendezvous) {
    std::unique_ptr<Group> group = rendezvous.meet();
    const int launched = group->rank();
    if (launched == 2) {
      group->leave(data_error("lost"));
      group.reset();
      // It starts again.
      RendezvousRequest newcomer = request(2, 3);
      newcomer.elastic.least = 1;
      Rendezvous again(newcomer);
      const std::unique_ptr<Group> joined = again.meet();
      EXPECT_EQ(joined->size(), 3);
      EXPECT_EQ(joined->rank(), 2);
      joined->gather("");
      return;
    }
    EXPECT_THROW(while (true) group->gather(""), RankFailed);
    group.reset();
    group = meet_with_newcomer(rendezvous, 3);
    EXPECT_EQ(group->size(), 3);
    group->gather("");
  });
  EXPECT_THAT(errors, testing::Each(""));
}

}  // namespace
}  // namespace trainer
