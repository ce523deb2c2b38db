// The GPUs of a process among several on its host.
#include "gpus/choose_gpu.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"

namespace trainer {
namespace {

using Kind = GpuRequest::Kind;
using Numbers = std::vector<int>;

std::string refusal_of(const GpuRequest& request, size_t count) {
  try {
    named_gpus(request, count);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(ChooseGpu, ProcessesDivideAllGpusEvenly) {
  EXPECT_EQ(named_gpus({Kind::kAll, {}}, 4), (Numbers{0, 1, 2, 3}));
  EXPECT_EQ(named_gpus({Kind::kAll, {}, 0, 2}, 4), (Numbers{0, 1}));
  EXPECT_EQ(named_gpus({Kind::kAll, {}, 1, 2}, 4), (Numbers{2, 3}));
  EXPECT_EQ(named_gpus({Kind::kAll, {}, 2, 4}, 4), (Numbers{2}));
  EXPECT_EQ(named_gpus({Kind::kAll, {}, 1, 2}, 1), (Numbers{0}));
  EXPECT_NE(refusal_of({Kind::kAll, {}, 1, 3}, 4), "");
  EXPECT_NE(refusal_of({Kind::kAll, {}, 1, 4}, 2), "");
}

TEST(ChooseGpu, AProcessHasTheGpuWithItsNumber) {
  EXPECT_EQ(named_gpus({Kind::kOwn, {}, 1, 3}, 4), (Numbers{1}));
  EXPECT_EQ(named_gpus({Kind::kOwn, {}, 2, 3}, 1), (Numbers{0}));
  EXPECT_NE(refusal_of({Kind::kOwn, {}, 2, 3}, 2).find("no GPU 2 for process 2 of 3"), std::string::npos);
  EXPECT_EQ(named_gpus({Kind::kNumbers, {3, 1}, 1, 2}, 4), (Numbers{3, 1}));
}

}  // namespace
}  // namespace trainer
