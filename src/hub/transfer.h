// One HTTP transfer into the file of a download.
#pragma once

#include <cstdint>
#include <string>

#include "hub/curl_library.h"
#include "hub/fetch.h"
#include "hub/part_file.h"

namespace trainer {

struct TransferRequest {
  std::string url;
  bool https_only = true;
  int64_t most_bytes = 0;  // of the whole file
};

// Appends what the file lacks to the part; a server that does not continue a file sends it from its beginning. Returns
// why the transfer failed, or "". Exceptions of options.progress and of the part leave this function.
std::string transfer(const TransferRequest& request, const CurlLibrary& curl, const FetchOptions& options,
                     PartFile* part);

}  // namespace trainer
