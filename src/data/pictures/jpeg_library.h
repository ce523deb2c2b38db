// libjpeg-turbo, with its errors by longjmp. The only file that includes its header.
#pragma once

// The header of the library needs size_t and FILE.
#include <csetjmp>
#include <cstdio>
#include <cstring>

#include <jpeglib.h>

namespace trainer {

// The library calls its functions. An error jumps to the last run().
struct JpegMessages : jpeg_error_mgr {
  char reason[JMSG_LENGTH_MAX] = "";

  JpegMessages() {
    jpeg_std_error(this);
    error_exit = [](j_common_ptr jpeg) {
      JpegMessages& messages = of(jpeg);
      messages.format_message(jpeg, messages.reason);
      std::longjmp(messages.escape_, 1);
    };
    // Stray bytes between markers are common and harmless; a truncated file is not.
    emit_message = [](j_common_ptr jpeg, int level) {
      if (level >= 0) return;
      JpegMessages& messages = of(jpeg);
      messages.format_message(jpeg, messages.reason);
      if (std::strstr(messages.reason, "remature end") != nullptr) std::longjmp(messages.escape_, 1);
    };
  }

  // Calls `use`, which may call the library and has no objects to destroy. Returns false after an error of the library.
  template <typename Use>
  bool run(const Use& use) {
    if (setjmp(escape_) != 0) return false;
    use();
    return true;
  }

 private:
  static JpegMessages& of(j_common_ptr jpeg) { return *static_cast<JpegMessages*>(jpeg->err); }

  std::jmp_buf escape_;
};

}  // namespace trainer
