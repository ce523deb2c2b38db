// The position of a window in its picture and in the item: Caffe's arithmetic, with its rounding.
//
// Without context and square mode the window itself is stretched to crop x crop. Otherwise it grows about its centre by
// crop / (crop - 2 context_pad); in square mode its shorter side first becomes as long as the longer one. The part
// outside the picture is cut off, the rest is stretched by the same factors, and the area of the part that was cut off
// stays 0.
#pragma once

#include <cstdint>

#include "data/feeds/window_list.h"

namespace trainer {

struct WindowShape {
  int crop = 0;         // side of an item
  int context_pad = 0;  // 2 * context_pad < crop
  bool square = false;
};

struct WindowCut {
  int x = 0, y = 0, width = 0, height = 0;  // in the picture
  int to_x = 0, to_y = 0;                   // in the item
  int to_width = 0, to_height = 0;          // 0: no part of the window is left
};

// The position in the item is that of a cut that is flipped left to right (`flip_x`) or top to bottom (`flip_y`).
// Throws data_error if the window is outside the picture or, without context and square mode, partly outside.
WindowCut cut_window(const Window& window, const WindowShape& shape, int picture_height, int picture_width, bool flip_x,
                     bool flip_y);

}  // namespace trainer
