// The failure path of TRAINER_ASSERT.
#include "base/error.h"

namespace trainer {

void assertion_failed(const char* condition, const char* file, int line) {
  throw Error(ExitCode::kInternal, fmt::format("internal error: {} does not hold at {}:{} (this is a bug in trainer)",
                                               condition, file, line));
}

}  // namespace trainer
