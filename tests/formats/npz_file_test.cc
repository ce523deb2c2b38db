// Archives of NumPy arrays.
#include "formats/npz_file.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "formats/temp_folder.h"

namespace trainer {
namespace {

TEST(NpzFile, IsAZipArchive) {
  const TempFolder folder;
  const std::vector<float> values{1, 2, 3, 4, 5, 6}, one{7};
  AtomicFile file(folder / "a.npz");
  write_npz(file, {{"ip/0", Shape{2, 3}, values.data()}, {"scale", Shape{}, one.data()}});
  file.commit();
  EXPECT_EQ(read_npz(folder / "a.npz"), (std::map<std::string, std::vector<float>>{{"ip/0", values}, {"scale", one}}));
  // zlib's checksums and the directory, read by another program.
  const std::string test = "unzip -qq -t " + (folder / "a.npz") + " >" + (folder / "log") + " 2>&1";
  if (std::system("command -v unzip >/dev/null") == 0) {
    EXPECT_EQ(std::system(test.c_str()), 0);
  }
}

}  // namespace
}  // namespace trainer
