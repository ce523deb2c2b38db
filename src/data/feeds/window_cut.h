// Where a window is cut out of its picture and where it goes in the item: Caffe's arithmetic, with its
// rounding.
//
// Without context and square mode the window itself is stretched to crop x crop. Otherwise it is first grown
// about its centre by crop / (crop - 2 context_pad), in square mode after its shorter side was made as long
// as the longer one; what lies outside the picture is cut off, the rest is stretched by the same factors, and
// what was cut off stays 0.
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
  int to_width = 0, to_height = 0;          // 0: nothing of the window is left
};

// The place in the item is that of a cut that is flipped left to right (`flip_x`) or top to bottom (`flip_y`). Throws
// data_error where the window lies outside the picture or, without context and square mode, leaves it.
WindowCut cut_window(const Window& window, const WindowShape& shape, int picture_height, int picture_width, bool flip_x,
                     bool flip_y);

}  // namespace trainer
