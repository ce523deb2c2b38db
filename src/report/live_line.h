// The one live line of a run on a terminal, as text.
#pragma once

#include <cstdint>
#include <string>

namespace trainer {

// What the line shows; a negative number means not known, and its part is left out.
struct LiveState {
  int64_t iteration = 0;
  int64_t max_iteration = 0;
  double epoch = -1;
  double images_per_second = -1;
  double iterations_per_second = -1;  // shown where images are not known
  double learning_rate = -1;
  double loss = 0;
  bool has_loss = false;
  double data_wait_share = -1;
  double seconds_left = -1;
  std::string activity;  // "testing 40/100", shown in front of everything but the iteration
};

// At most `width` columns. Where that is too narrow, parts are left out, the least telling first: data wait,
// epoch, rate, speed, percent.
std::string live_line_text(const LiveState& state, int width);

// "0:07", "12:34", "3:05:00", "2d 4h".
std::string duration_text(double seconds);

}  // namespace trainer
