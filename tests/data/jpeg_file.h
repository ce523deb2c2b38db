// JPEG files for tests, by TurboJPEG.
#pragma once

#include <gtest/gtest.h>
#include <turbojpeg.h>

#include <cstdint>
#include <string>
#include <vector>

namespace trainer::test {

struct JpegForm {
  int format = TJPF_BGR;
  int subsampling = TJSAMP_420;
  int quality = 90;
  int flags = 0;
};

inline std::string jpeg_file(const std::vector<uint8_t>& pixels, int height, int width, const JpegForm& form) {
  tjhandle jpeg = tjInitCompress();
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  EXPECT_EQ(tjCompress2(jpeg, pixels.data(), width, 0, height, form.format, &bytes, &size, form.subsampling,
                        form.quality, form.flags),
            0);
  std::string file(reinterpret_cast<char*>(bytes), size);
  tjFree(bytes);
  tjDestroy(jpeg);
  return file;
}

}  // namespace trainer::test
