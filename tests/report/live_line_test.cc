// The live line at several widths.
#include "report/live_line.h"

#include <gtest/gtest.h>

namespace trainer {
namespace {

LiveState whole() {
  LiveState state;
  state.iteration = 1200;
  state.max_iteration = 9380;
  state.epoch = 1.28;
  state.images_per_second = 8421.4;
  state.learning_rate = 0.01;
  state.loss = 0.342111;
  state.has_loss = true;
  state.data_wait_share = 0.004;
  state.seconds_left = 62;
  return state;
}

TEST(LiveLine, EveryPart) {
  EXPECT_EQ(live_line_text(whole(), 200),
            "1,200/9,380  12.8%  epoch 1.28  8,421 images/s  lr 0.01  loss 0.3421  data wait 0.4%  ETA 1:02");
}

TEST(LiveLine, NarrowTerminalsOmitTheLeastImportantFirst) {
  EXPECT_EQ(live_line_text(whole(), 85),
            "1,200/9,380  12.8%  epoch 1.28  8,421 images/s  lr 0.01  loss 0.3421  ETA 1:02");
  EXPECT_EQ(live_line_text(whole(), 41), "1,200/9,380  12.8%  loss 0.3421  ETA 1:02");
  EXPECT_EQ(live_line_text(whole(), 30), "1,200/9,380  loss 0.3421");
  EXPECT_EQ(live_line_text(whole(), 5), "1,200");
  EXPECT_EQ(live_line_text(whole(), 0), "");
  for (int width = 0; width < 120; ++width)
    EXPECT_LE(live_line_text(whole(), width).size(), static_cast<size_t>(width));
}

TEST(LiveLine, OmitsUnknownValues) {
  LiveState state;
  state.iteration = 7;
  state.iterations_per_second = 2.5;
  EXPECT_EQ(live_line_text(state, 80), "7  2.5 iter/s");
  state.activity = "testing 3/100";
  EXPECT_EQ(live_line_text(state, 80), "7  testing 3/100  2.5 iter/s");
}

TEST(LiveLine, Durations) {
  EXPECT_EQ(duration_text(0.4), "0:00");
  EXPECT_EQ(duration_text(59.6), "1:00");
  EXPECT_EQ(duration_text(3661), "1:01:01");
  EXPECT_EQ(duration_text(49 * 3600), "2d 1h");
}

}  // namespace
}  // namespace trainer
