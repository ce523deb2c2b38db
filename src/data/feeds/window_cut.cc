// Computes in float, as Caffe does for float nets.
#include "data/feeds/window_cut.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace trainer {

WindowCut cut_window(const Window& window, const WindowShape& shape, int picture_height, int picture_width, bool flip_x,
                     bool flip_y) {
  int x1 = window.x1, y1 = window.y1, x2 = window.x2, y2 = window.y2;
  WindowCut cut;
  cut.to_width = cut.to_height = shape.crop;
  if (shape.context_pad > 0 || shape.square) {
    const auto crop = static_cast<float>(shape.crop);
    const float grow = crop / static_cast<float>(shape.crop - 2 * shape.context_pad);
    float half_height = static_cast<float>(static_cast<float>(y2 - y1 + 1) / 2.0);
    float half_width = static_cast<float>(static_cast<float>(x2 - x1 + 1) / 2.0);
    const float center_x = static_cast<float>(x1) + half_width, center_y = static_cast<float>(y1) + half_height;
    if (shape.square) half_width = half_height = std::max(half_width, half_height);
    x1 = static_cast<int>(std::round(center_x - half_width * grow));
    x2 = static_cast<int>(std::round(center_x + half_width * grow));
    y1 = static_cast<int>(std::round(center_y - half_height * grow));
    y2 = static_cast<int>(std::round(center_y + half_height * grow));
    const int left = std::max(0, -x1), above = std::max(0, -y1);
    const int right = std::max(0, x2 - picture_width + 1), below = std::max(0, y2 - picture_height + 1);
    const float scale_x = crop / static_cast<float>(x2 - x1 + 1), scale_y = crop / static_cast<float>(y2 - y1 + 1);
    x1 += left;
    x2 -= right;
    y1 += above;
    y2 -= below;
    const auto scaled = [](int extent, float scale) {
      return static_cast<int>(std::round(static_cast<float>(extent) * scale));
    };
    cut.to_y = scaled(flip_y ? below : above, scale_y);
    cut.to_x = scaled(flip_x ? right : left, scale_x);
    // Rounding must stay inside the item.
    cut.to_width = std::max(0, std::min(scaled(x2 - x1 + 1, scale_x), shape.crop - cut.to_x));
    cut.to_height = std::max(0, std::min(scaled(y2 - y1 + 1, scale_y), shape.crop - cut.to_y));
  }
  if (x1 < 0 || y1 < 0 || x2 >= picture_width || y2 >= picture_height || x2 < x1 || y2 < y1) {
    throw data_error("its window from ({}, {}) to ({}, {}) leaves the image, which is {} high and {} wide", window.x1,
                     window.y1, window.x2, window.y2, picture_height, picture_width);
  }
  cut.x = x1;
  cut.y = y1;
  cut.width = x2 - x1 + 1;
  cut.height = y2 - y1 + 1;
  return cut;
}

}  // namespace trainer
