// Window files: pictures and rectangles in them, for WindowData. Format:
//
//   # index
//   path
//   channels height width
//   number_of_windows
//   class overlap x1 y1 x2 y2      one line per window
//
// White space separates all values. Corners are pixels counted from 0; both are inside the window.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace trainer {

struct Window {
  uint32_t picture = 0;
  int32_t label = 0;  // 0: background
  int32_t x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  int64_t line = 0;  // in the file, from 1
};

struct WindowList {
  std::string file;
  std::vector<std::string> pictures;
  std::vector<Window> foreground;  // overlap >= fg_threshold
  std::vector<Window> background;  // overlap < bg_threshold and not foreground
};

// Throws data_error with file and line: no such file, wrong format, no pictures, a foreground window without a class, a
// window with swapped corners.
WindowList read_window_list(const std::string& file, float fg_threshold, float bg_threshold);

}  // namespace trainer
