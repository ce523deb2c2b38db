// Downloads, checks and renames.
#include "hub/fetch.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <thread>

#include "base/error.h"
#include "base/sha256.h"
#include "base/text.h"
#include "formats/input_file.h"
#include "formats/mapped_file.h"
#include "hub/part_file.h"
#include "hub/transfer.h"
#include "report/log.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

constexpr double kMiB = 1 << 20;
constexpr int64_t kMostBytes = int64_t{64} << 30;  // of a file of unknown size

std::string hexadecimal_sha256(const std::string& path) {
  const InputFile file(path, "weight file");
  std::array<uint32_t, 8> words = sha256("");
  if (file.size() > 0) {
    const auto mapped = MappedFile::map(file.descriptor(), static_cast<uint64_t>(file.size()));
    if (mapped == nullptr) throw data_error("cannot read weight file {}: {}", path, std::strerror(errno));
    words = sha256({mapped->bytes(), mapped->size()});
    if (mapped->failed()) throw data_error("{} cannot be read to its end", path);
  }
  std::string digits;
  for (const uint32_t word : words) digits += fmt::format("{:08x}", word);
  return digits;
}

class Fetch {
 public:
  Fetch(const hub::Weights& weights, const std::string& path, const CurlLibrary& curl, const FetchOptions& options)
      : weights_(weights), path_(path), curl_(curl), options_(options) {}

  void run() {
    if (!curl_.problem().empty()) fail(curl_.problem(), "install libcurl (Debian: libcurl4), or ");
    make_folder();
    PartFile part(path_, [this](int64_t size) { wait(size); });
    std::error_code ignored;
    if (fs::exists(path_, ignored)) {  // by the process that had the lock
      part.discard();
      return;
    }
    // Without a checksum nothing shows that the part belongs to the file as it is now.
    if (!weights_.has_sha256()) part.clear();
    const bool continued = part.size() > 0;
    download(&part);
    std::string problem = checksum_problem(part.path(), weights_);
    if (continued && !problem.empty()) {
      log_warning(fmt::format("The part of {} that was kept belongs to another file: downloading from the beginning",
                              weights_.name()));
      part.clear();
      download(&part);
      problem = checksum_problem(part.path(), weights_);
    }
    if (!problem.empty()) {
      part.discard();
      throw data_error("{} from {}: {}. The file was removed: try again later, or correct the manifest",
                       weights_.name(), weights_.url(), problem);
    }
    part.commit();
    log_info(fmt::format("{} is in {}", weights_.name(), path_));
    if (!weights_.has_sha256())
      log_warning(fmt::format("The manifest has no checksum of {}: only HTTPS protects the file. Its SHA-256 is {}",
                              weights_.name(), hexadecimal_sha256(path_)));
  }

 private:
  [[noreturn]] void fail(const std::string& reason, const std::string& remedy) const {
    throw data_error("{} cannot be downloaded: {}; {}save {} as {}", weights_.name(), reason, remedy, weights_.url(),
                     path_);
  }

  void make_folder() const {
    const fs::path folder = fs::path(path_).parent_path();
    std::error_code problem;
    fs::create_directories(folder, problem);
    if (problem)
      throw data_error("the folder {} of downloaded weights cannot be made: {}; name another one with TRAINER_CACHE",
                       folder.string(), problem.message());
  }

  void wait(int64_t size) {
    if (!announced_) log_info(fmt::format("Another process downloads {}: waiting", weights_.name()));
    announced_ = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    if (options_.progress) options_.progress(size, std::llround(weights_.mib() * kMiB));
  }

  void download(PartFile* part) const {
    const std::string size = weights_.has_mib() ? fmt::format(" ({:.1f} MiB)", weights_.mib()) : "";
    log_info(fmt::format("{} {}{} from {}", part->size() > 0 ? "Continuing the download of" : "Downloading",
                         weights_.name(), size, weights_.url()));
    TransferRequest request;
    request.url = weights_.url();
    request.https_only = !request.url.starts_with("http://");
    request.most_bytes = weights_.has_mib() ? std::llround((weights_.mib() + 1) * kMiB) : kMostBytes;
    const std::string reason = transfer(request, curl_, options_, part);
    if (reason.empty()) return;
    if (part->size() == 0) part->discard();
    fail(reason,
         part->size() > 0 && weights_.has_sha256()
             ? fmt::format("the same command continues after the {} that are there, or ", format_bytes(part->size()))
             : "");
  }

  const hub::Weights& weights_;
  const std::string path_;
  const CurlLibrary& curl_;
  const FetchOptions& options_;
  bool announced_ = false;
};

}  // namespace

std::string checksum_problem(const std::string& path, const hub::Weights& weights) {
  if (!weights.has_sha256()) return "";
  const std::string digits = hexadecimal_sha256(path), expected = lower(weights.sha256());
  if (digits.starts_with(expected)) return "";
  return fmt::format("its SHA-256 is {}, but the manifest says {}{}", digits, expected,
                     has_whole_checksum(weights) ? "" : "...");
}

void fetch(const hub::Weights& weights, const std::string& path, const CurlLibrary& curl, const FetchOptions& options) {
  Fetch(weights, path, curl, options).run();
}

}  // namespace trainer
