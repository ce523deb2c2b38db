// Drives libcurl.
#include "hub/transfer.h"

#include <array>
#include <charconv>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <system_error>

#include "base/text.h"

namespace trainer {
namespace {

constexpr long kMostRedirects = 5, kConnectSeconds = 30;
constexpr long kPartialContent = 206, kRangeNotSatisfiable = 416;

// The first byte of "Content-Range: bytes FIRST-LAST/TOTAL".
std::optional<int64_t> first_byte(std::string_view header) {
  constexpr std::string_view kBegin = "content-range: bytes ";
  if (lower(header.substr(0, kBegin.size())) != kBegin) return std::nullopt;
  int64_t first = 0;
  const auto parsed = std::from_chars(header.data() + kBegin.size(), header.data() + header.size(), first);
  return parsed.ec == std::errc() ? std::optional(first) : std::nullopt;
}

// The file of certificate authorities; "" for the one that libcurl was built with. The libcurl of a bundle was built
// for Debian.
std::string authorities_file() {
  if (const char* file = std::getenv("CURL_CA_BUNDLE"); file != nullptr && *file != '\0') return file;
  std::error_code ignored;
  if (std::filesystem::exists("/etc/ssl/certs/ca-certificates.crt", ignored)) return "";
  for (const char* file : {"/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"}) {
    if (std::filesystem::exists(file, ignored)) return file;
  }
  return "";
}

class Transfer {
 public:
  Transfer(const TransferRequest& request, const CurlLibrary& curl, const FetchOptions& options, PartFile* part)
      : request_(request), curl_(curl), options_(options), part_(*part), kept_(part->size()) {}

  std::string run() {
    const std::unique_ptr<void, void (*)(CurlLibrary::Handle)> handle(curl_.easy_init(), curl_.easy_cleanup);
    if (handle == nullptr) return "libcurl does not start";
    handle_ = handle.get();
    set_options();
    const int result = curl_.easy_perform(handle_);
    if (thrown_ != nullptr) std::rethrow_exception(thrown_);
    if (!refused_.empty()) return refused_;
    if (result == kCurlOk) return "";
    if (result == kCurlFileSizeExceeded) return too_large();
    if (result == kCurlHttpError) return http_problem();
    return error_[0] != '\0' ? error_.data() : curl_.easy_strerror(result);
  }

 private:
  void set_options() {
    set(kCurlUrl, request_.url.c_str());
    set(kCurlUserAgent, "trainer/" TRAINER_VERSION);
    const long protocols = request_.https_only ? kCurlHttps : kCurlHttp | kCurlHttps;
    set(kCurlProtocols, protocols);
    set(kCurlRedirectProtocols, protocols);
    set(kCurlFollowLocation, 1L);
    set(kCurlMaxRedirects, kMostRedirects);
    set(kCurlFailOnError, 1L);
    set(kCurlNoSignal, 1L);
    set(kCurlConnectTimeout, kConnectSeconds);
    set(kCurlLowSpeedLimit, 1L);
    set(kCurlLowSpeedTime, static_cast<long>(options_.stall_seconds));
    set(kCurlMaxFileSize, request_.most_bytes);
    const std::string authorities = authorities_file();
    if (!authorities.empty()) set(kCurlCaFile, authorities.c_str());
    const std::string range = std::to_string(kept_) + "-";
    if (kept_ > 0) set(kCurlRange, range.c_str());
    set(kCurlErrorBuffer, error_.data());
    set(kCurlHeaderFunction, &Transfer::take_header);
    set(kCurlHeaderData, this);
    set(kCurlWriteFunction, &Transfer::take_bytes);
    set(kCurlWriteData, this);
    set(kCurlNoProgress, 0L);
    set(kCurlProgressFunction, &Transfer::take_progress);
    set(kCurlProgressData, this);
  }

  template <typename Value>
  void set(int option, Value value) {
    curl_.easy_setopt(handle_, option, value);
  }

  long status() const {
    long status = 0;
    curl_.easy_getinfo(handle_, kCurlResponseCode, &status);
    return status;
  }

  std::string too_large() const {
    return fmt::format("the file has more than {}, the most that is accepted", format_bytes(request_.most_bytes));
  }

  // The part may be complete already: its checksum decides.
  std::string http_problem() const {
    if (status() == kRangeNotSatisfiable && kept_ > 0) return "";
    return fmt::format("the server answers {}", status());
  }

  // Callbacks of libcurl are C functions: exceptions wait until it returns.
  template <typename Action>
  bool guarded(const Action& action) {
    try {
      return action();
    } catch (...) {
      thrown_ = std::current_exception();
      return false;
    }
  }

  static size_t take_header(char* bytes, size_t size, size_t count, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    const std::string_view header(bytes, size * count);
    if (header.starts_with("HTTP/")) transfer.range_begin_.reset();  // of the next answer, after a redirection
    if (const std::optional<int64_t> first = first_byte(header)) transfer.range_begin_ = first;
    return size * count;
  }

  static size_t take_bytes(char* bytes, size_t size, size_t count, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    return transfer.guarded([&] { return transfer.append(bytes, size * count); }) ? size * count : 0;
  }

  static int take_progress(void* self, int64_t total, int64_t, int64_t, int64_t) {
    auto& transfer = *static_cast<Transfer*>(self);
    const bool goes_on = transfer.guarded([&] {
      const int64_t before = transfer.began_ ? transfer.begin_ : transfer.kept_;
      if (transfer.options_.progress) transfer.options_.progress(transfer.part_.size(), total > 0 ? total + before : 0);
      return true;
    });
    return goes_on ? 0 : 1;
  }

  bool append(const char* bytes, size_t count) {
    if (!began_ && !begin()) return false;
    if (part_.size() + static_cast<int64_t>(count) > request_.most_bytes) {
      refused_ = too_large();
      return false;
    }
    part_.append(bytes, count);
    return true;
  }

  bool begin() {
    began_ = true;
    if (kept_ > 0 && status() != kPartialContent) part_.clear();
    begin_ = part_.size();
    if (begin_ == 0 || range_begin_ == begin_) return true;
    refused_ = "the server continues at another byte than asked for";
    part_.clear();
    return false;
  }

  const TransferRequest& request_;
  const CurlLibrary& curl_;
  const FetchOptions& options_;
  PartFile& part_;
  const int64_t kept_;  // bytes of the part before
  int64_t begin_ = 0;   // those that stay
  bool began_ = false;
  CurlLibrary::Handle handle_ = nullptr;
  std::optional<int64_t> range_begin_;
  std::array<char, kCurlErrorBytes> error_{};
  std::string refused_;
  std::exception_ptr thrown_;
};

}  // namespace

std::string transfer(const TransferRequest& request, const CurlLibrary& curl, const FetchOptions& options,
                     PartFile* part) {
  return Transfer(request, curl, options, part).run();
}

}  // namespace trainer
