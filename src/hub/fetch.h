// Downloads published weights over HTTPS, with libcurl.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "hub/curl_library.h"
#include "hub/manifest.h"

namespace trainer {

struct FetchOptions {
  // Called several times per second; the total is 0 if it is unknown. May throw to end the download.
  std::function<void(int64_t done, int64_t total)> progress;
  // A transfer without a byte in this time is broken.
  int stall_seconds = 30;
};

// Downloads the weights to `path`, whose folder it makes if needed. The file appears complete and, as far as the
// manifest has a checksum, checked. A broken transfer leaves a part, which the next one continues. If another process
// downloads the file, waits for it. A failure is a data_error that names the address and the path.
void fetch(const hub::Weights& weights, const std::string& path, const CurlLibrary& curl, const FetchOptions& options);

// The problem of a file whose SHA-256 does not begin with the digits of the manifest; "" if it is right, or if the
// manifest has no digits. Throws a data_error if the file cannot be read.
std::string checksum_problem(const std::string& path, const hub::Weights& weights);

}  // namespace trainer
