// The text of the live line: the current state of a run on one terminal line.
#pragma once

#include <cstdint>
#include <string>

namespace trainer {

// The content of the line. A negative number is unknown, and its part is omitted.
struct LiveState {
  int64_t iteration = 0;
  int64_t max_iteration = 0;
  double epoch = -1;
  double images_per_second = -1;
  double iterations_per_second = -1;  // shown if the image rate is unknown
  double learning_rate = -1;
  double loss = 0;
  bool has_loss = false;
  double data_wait_share = -1;
  double seconds_left = -1;
  std::string activity;  // "testing 40/100", shown after the iteration and the percent
};

// At most `width` columns. If parts must be omitted, the least important go first: data wait, epoch, rate, speed,
// percent.
std::string live_line_text(const LiveState& state, int width);

// "0:07", "12:34", "3:05:00", "2d 4h".
std::string duration_text(double seconds);

}  // namespace trainer
