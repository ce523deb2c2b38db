// libcurl, opened by name: the few of its functions and constants that a download needs, from curl/curl.h.
#pragma once

#include "base/dynamic_library.h"

namespace trainer {

struct CurlLibrary : DynamicLibrary {
  explicit CurlLibrary(const std::vector<const char*>& names = {"libcurl.so.4", "libcurl-gnutls.so.4"});

  using Handle = void*;
  int (*global_init)(long) = nullptr;
  Handle (*easy_init)() = nullptr;
  void (*easy_cleanup)(Handle) = nullptr;
  int (*easy_setopt)(Handle, int, ...) = nullptr;
  int (*easy_getinfo)(Handle, int, ...) = nullptr;
  int (*easy_perform)(Handle) = nullptr;
  const char* (*easy_strerror)(int) = nullptr;
};

// Results.
constexpr int kCurlOk = 0, kCurlHttpError = 22, kCurlFileSizeExceeded = 63;

// Options: the number says the type of the value, 0 long, 10000 pointer, 20000 function, 30000 int64_t.
constexpr int kCurlLowSpeedLimit = 19, kCurlLowSpeedTime = 20, kCurlNoProgress = 43, kCurlFailOnError = 45,
              kCurlFollowLocation = 52, kCurlMaxRedirects = 68, kCurlConnectTimeout = 78, kCurlNoSignal = 99,
              kCurlProtocols = 181, kCurlRedirectProtocols = 182, kCurlWriteData = 10001, kCurlUrl = 10002,
              kCurlRange = 10007, kCurlErrorBuffer = 10010, kCurlUserAgent = 10018, kCurlHeaderData = 10029,
              kCurlProgressData = 10057, kCurlCaFile = 10065, kCurlWriteFunction = 20011, kCurlHeaderFunction = 20079,
              kCurlProgressFunction = 20219, kCurlMaxFileSize = 30117;
constexpr long kCurlHttp = 1, kCurlHttps = 2;  // protocols
constexpr int kCurlErrorBytes = 256;           // of the error buffer
constexpr int kCurlResponseCode = 0x200002;    // of easy_getinfo: a long

}  // namespace trainer
