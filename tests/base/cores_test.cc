// Number of cores of this process.
#include "base/cores.h"

#include <gtest/gtest.h>
#include <stdlib.h>

namespace trainer {
namespace {

TEST(Cores, AtLeastOneAndOmpNumThreadsWins) {
  unsetenv("OMP_NUM_THREADS");
  const CoreGrant grant = granted_cores();
  EXPECT_GE(grant.usable, 1);
  EXPECT_LE(grant.usable, grant.machine);
  setenv("OMP_NUM_THREADS", "3,2", 1);
  EXPECT_EQ(granted_cores().usable, 3);
  setenv("OMP_NUM_THREADS", "many", 1);
  EXPECT_EQ(granted_cores().usable, grant.usable);
  unsetenv("OMP_NUM_THREADS");
}

}  // namespace
}  // namespace trainer
