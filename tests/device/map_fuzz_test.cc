// The tile interpreter against the reference: random maps with every instruction set of the processor, and with one and
// several threads.
#include "device/map_generator.h"

namespace trainer::cpu {
namespace {

void compare(uint64_t seed) {
  MapGenerator generator(seed);
  const MapCase c = generator.make();
  ASSERT_EQ(refuse_map_tiles(c.instance()), "");
  std::vector<TestTensor> operands;
  for (size_t i = 0; i < c.inputs.size(); ++i) operands.push_back(random_tensor(c.inputs[i], seed + i));
  const auto expected = run_reference(c, operands, seed);
  for (IsaLevel level : available_levels()) {
    for (int threads : {1, 2, 3}) {
      const auto kernel = create_map_tiles(c.instance(), table_of(level), threads);
      const auto got = run_map(*kernel, c, operands, {}, seed);
      expect_close(c, generator, expected, got, fmt::format("seed {} {} threads {}", seed, name_of(level), threads));
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(MapFuzz, TilesAgreeWithTheReference) {
  for (uint64_t seed = 0; seed < 120; ++seed) {
    compare(seed);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace trainer::cpu
