// Tests downloads against a server on the loopback address.
#include "hub/fetch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

#include "base/error.h"
#include "captured_log.h"
#include "hub/loopback_server.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;
using Requests = std::vector<std::string>;

// 100,000 bytes, and their checksum by coreutils' sha256sum.
std::string content() {
  std::string bytes;
  while (bytes.size() < 100000) bytes += "0123456789";
  return bytes;
}
constexpr const char* kChecksum = "aca9e593cc629cbaa94cd5a07dc029424aad93e5129e5d11f8dcd2f139c16cc0";

class FetchTest : public ::testing::Test {
 protected:
  FetchTest() : folder_(::testing::TempDir() + "fetch"), path_(folder_ + "/cache/weights/a.bin") {
    setenv("no_proxy", "127.0.0.1", 1);
    fs::remove_all(folder_);
  }

  hub::Weights weights(const std::string& how) const {
    hub::Weights weights;
    weights.set_name("a");
    weights.set_url(server_.url(how));
    weights.set_sha256(kChecksum);
    return weights;
  }

  std::string fetched(const hub::Weights& weights, const FetchOptions& options = {}) const {
    try {
      const CurlLibrary curl;
      fetch(weights, path_, curl, options);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kData);
      return error.what();
    }
    return "";
  }
  static std::string read(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write_part(const std::string& bytes) const {
    fs::create_directories(fs::path(path_).parent_path());
    std::ofstream(path_ + ".part", std::ios::binary) << bytes;
  }
  bool has_part() const { return fs::exists(path_ + ".part"); }

  // The failure says what to do by hand.
  void expect_failure(const std::string& problem, const std::string& reason, const std::string& how) const {
    EXPECT_TRUE(problem.starts_with("a cannot be downloaded: " + reason)) << problem;
    EXPECT_TRUE(problem.ends_with("save " + server_.url(how) + " as " + path_)) << problem;
    EXPECT_FALSE(fs::exists(path_));
  }

  const LoopbackServer server_{content()};
  const std::string folder_, path_;
};

TEST_F(FetchTest, AFileArrivesWhole) {
  int64_t last = 0, of = 0;
  FetchOptions options;
  options.progress = [&](int64_t done, int64_t total) {
    EXPECT_GE(done, last);
    last = done;
    of = total;
  };
  EXPECT_EQ(fetched(weights("whole"), options), "");
  EXPECT_EQ(read(path_), content());
  EXPECT_FALSE(has_part());
  EXPECT_EQ(last, 100000);
  EXPECT_EQ(of, 100000);
}

TEST_F(FetchTest, ABrokenTransferContinues) {
  expect_failure(fetched(weights("broken")),
                 "transfer closed with 50000 bytes remaining to read; the same command "
                 "continues after the 48.8 KiB that are there, or ",
                 "broken");
  EXPECT_EQ(fs::file_size(path_ + ".part"), 50000u);
  int64_t of = 0;
  FetchOptions options;
  options.progress = [&](int64_t, int64_t total) { of = std::max(of, total); };
  EXPECT_EQ(fetched(weights("broken"), options), "");
  EXPECT_EQ(read(path_), content());
  EXPECT_EQ(of, 100000);
  EXPECT_EQ(server_.requests(), (Requests{"broken", "broken bytes=50000-"}));
}

TEST_F(FetchTest, AServerThatContinuesNothingSendsAll) {
  write_part(content().substr(0, 70000));
  EXPECT_EQ(fetched(weights("plain")), "");
  EXPECT_EQ(read(path_), content());
  EXPECT_EQ(server_.requests(), Requests{"plain bytes=70000-"});
}

TEST_F(FetchTest, APartOfAnotherFileIsReplaced) {
  const CapturedLog log;
  write_part(std::string(300, '!'));
  EXPECT_EQ(fetched(weights("whole")), "");
  EXPECT_EQ(read(path_), content());
  EXPECT_EQ(server_.requests(), (Requests{"whole bytes=300-", "whole"}));
  EXPECT_NE(log.warnings().find("belongs to another file"), std::string::npos) << log.text();
}

TEST_F(FetchTest, ACompletePartIsUsed) {
  write_part(content());
  EXPECT_EQ(fetched(weights("whole")), "");
  EXPECT_EQ(read(path_), content());
  EXPECT_EQ(server_.requests(), Requests{"whole bytes=100000-"});
}

TEST_F(FetchTest, AnotherRangeIsRefused) {
  write_part(content().substr(0, 70000));
  expect_failure(fetched(weights("shifted")), "the server continues at another byte than asked for; save", "shifted");
  EXPECT_FALSE(has_part());
}

TEST_F(FetchTest, WithoutAChecksumNothingContinues) {
  const CapturedLog log;
  write_part(content().substr(0, 70000));
  hub::Weights unchecked = weights("whole");
  unchecked.clear_sha256();
  EXPECT_EQ(fetched(unchecked), "");
  EXPECT_EQ(read(path_), content());
  EXPECT_EQ(server_.requests(), Requests{"whole"});
  EXPECT_NE(log.warnings().find(kChecksum), std::string::npos) << log.text();
}

TEST_F(FetchTest, AWrongChecksumNamesBoth) {
  const std::string problem = fetched(weights("other"));
  EXPECT_NE(problem.find("its SHA-256 is d69e68988157833272305aaf21f453c800346e8a3640db6578e260215542e5d4"),
            std::string::npos)
      << problem;
  EXPECT_NE(problem.find(std::string("the manifest says ") + kChecksum + ". The file was removed"), std::string::npos)
      << problem;
  EXPECT_FALSE(fs::exists(path_));
  EXPECT_FALSE(has_part());
  EXPECT_EQ(server_.requests(), Requests{"other"});
}

TEST_F(FetchTest, TheFirstDigitsOfAChecksumSuffice) {
  hub::Weights some = weights("whole");
  some.set_sha256(std::string(kChecksum).substr(0, 8));
  EXPECT_EQ(fetched(some), "");
  some.set_sha256("01234567");
  EXPECT_NE(checksum_problem(path_, some).find("the manifest says 01234567..."), std::string::npos);
}

TEST_F(FetchTest, AnAnswerOfTheServerIsNamed) {
  expect_failure(fetched(weights("nowhere")), "the server answers 404; save", "nowhere");
  EXPECT_FALSE(has_part());
}

TEST_F(FetchTest, AStallIsABrokenTransfer) {
  FetchOptions options;
  options.stall_seconds = 1;
  expect_failure(fetched(weights("stalling"), options), "Operation too slow", "stalling");
  EXPECT_EQ(fs::file_size(path_ + ".part"), 50000u);
}

TEST_F(FetchTest, RedirectionsStayOnTheWeb) {
  EXPECT_EQ(fetched(weights("elsewhere")), "");
  EXPECT_EQ(read(path_), content());
  fs::remove(path_);
  expect_failure(fetched(weights("loop")), "Maximum (5) redirects followed", "loop");
  expect_failure(fetched(weights("local")), "Protocol \"file\" ", "local");
}

TEST_F(FetchTest, ALargerFileIsRefused) {
  const LoopbackServer server(std::string(3 << 20, 'x'));
  hub::Weights large = weights("whole");
  large.set_url(server.url("whole"));
  large.set_mib(1.5);
  const std::string problem = fetched(large);
  EXPECT_NE(problem.find("the file has more than 2.5 MiB"), std::string::npos) << problem;
  EXPECT_FALSE(has_part());
}

TEST_F(FetchTest, NoNetworkIsNamed) {
  hub::Weights closed = weights("whole");
  {
    const LoopbackServer gone("");
    closed.set_url(gone.url("whole"));
  }
  const std::string problem = fetched(closed);
  EXPECT_NE(problem.find("Failed to connect to 127.0.0.1"), std::string::npos) << problem;
  EXPECT_TRUE(problem.ends_with("save " + closed.url() + " as " + path_)) << problem;
}

TEST_F(FetchTest, WithoutTheLibraryTheMessageSaysWhatToDo) {
  const CurlLibrary absent({"libabsent.so.4", "libabsent-gnutls.so.4"});
  try {
    fetch(weights("whole"), path_, absent, {});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()),
              "a cannot be downloaded: libabsent.so.4: cannot open shared object file: No such file or directory; "
              "install libcurl (Debian: libcurl4), or save " +
                  server_.url("whole") + " as " + path_);
  }
}

TEST_F(FetchTest, AnyCurlIsFound) {
  const CurlLibrary second({"libabsent.so.4", "libcurl.so.4"});
  EXPECT_EQ(second.problem(), "");
}

TEST_F(FetchTest, ProgressCanEndADownload) {
  FetchOptions options;
  options.progress = [](int64_t done, int64_t) {
    if (done > 0) throw Error(ExitCode::kData, "enough");
  };
  EXPECT_EQ(fetched(weights("slow"), options), "enough");
  EXPECT_TRUE(has_part());
}

TEST_F(FetchTest, TwoAtOnceDownloadOnce) {
  const CapturedLog log;
  std::string second;
  std::thread other([&] { second = fetched(weights("slow")); });
  const std::string first = fetched(weights("slow"));
  other.join();
  EXPECT_EQ(first, "");
  EXPECT_EQ(second, "");
  EXPECT_EQ(read(path_), content());
  EXPECT_FALSE(has_part());
  EXPECT_EQ(server_.requests(), Requests{"slow"}) << log.text();
}

TEST_F(FetchTest, AFolderThatCannotBeMadeIsNamed) {
  fs::create_directories(folder_);
  std::ofstream(folder_ + "/cache") << "a file";
  EXPECT_EQ(fetched(weights("whole")), "the folder " + folder_ +
                                           "/cache/weights of downloaded weights cannot be made: Not a directory; "
                                           "name another one with TRAINER_CACHE");
}

}  // namespace
}  // namespace trainer
