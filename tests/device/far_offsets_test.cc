// The CPU's kernels on operands with byte offsets that exceed 31 and 32 bits.
#include "device/far_cases.h"
#include "device/narrow_cases.h"

namespace trainer::cpu {
namespace {

void check_far(const FarCase& far, const Implementation& implementation) {
  SCOPED_TRACE(far.c.name + " by " + implementation.name);
  check_far(far, [&](const std::vector<void*>& in, const std::vector<void*>& out) {
    const std::unique_ptr<Kernel> kernel = implementation.create(far.c.instance);
    const SparseMemory workspace(kernel->workspace_bytes() + 64);
    ASSERT_TRUE(workspace.is_there());
    kernel->bind(in, out, workspace.data());
    kernel->run({});
  });
}

TEST(FarOffsets, AreRightInEveryKernel) {
  for (const FarCase& far : far_reads()) {
    for (const Implementation& implementation : implementations_of(far.c.op->kind)) {
      if (implementation.refuse(far.c.instance).empty()) check_far(far, implementation);
      if (HasFatalFailure()) return;
    }
  }
}

// The distance of taps in a window exceeds 31 bits, and so does the padding.
TEST(FarOffsets, AreRightBetweenTaps) {
  constexpr int64_t kFar = int64_t{1} << 30;
  std::vector<OpCase> cases;
  add_convolution(&cases, 2, 16, 16, 1, {{5, 3, 1, kFar, kFar}, {4, 1}});
  for (const OpCase& c : cases) {
    const std::vector<Bytes> operands = random_operands(c);
    const std::vector<Bytes> expected = expected_of(c, operands);
    for (const Implementation& implementation : implementations_of(c.op->kind)) {
      if (!implementation.refuse(c.instance).empty()) continue;
      SCOPED_TRACE(c.name + " by " + implementation.name);
      OpRun run(c, operands);
      run.outputs = run_kernel(implementation, c.instance, operands, 1);
      expect_same(run, expected, 1e-5f);
    }
  }
}

TEST(FarOffsets, AreRightInSums) { check_far(far_sum(), implementations_of(OpKind::kMap).front()); }

}  // namespace
}  // namespace trainer::cpu
