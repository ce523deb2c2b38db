// Opens libcurl.
#include "hub/curl_library.h"

namespace trainer {

CurlLibrary::CurlLibrary(const std::vector<const char*>& names) : DynamicLibrary(names) {
  find(global_init, "curl_global_init");
  find(easy_init, "curl_easy_init");
  find(easy_cleanup, "curl_easy_cleanup");
  find(easy_setopt, "curl_easy_setopt");
  find(easy_getinfo, "curl_easy_getinfo");
  find(easy_perform, "curl_easy_perform");
  find(easy_strerror, "curl_easy_strerror");
  constexpr long kDefault = 3;
  // After a failure easy_init returns none.
  if (problem().empty()) global_init(kDefault);
}

}  // namespace trainer
