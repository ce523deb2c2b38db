// Reads the image at the place of each pixel of the result.
#include "data/pictures/warp.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace trainer {

namespace {

struct Source {
  const PixelWindow& window;
  uint8_t fill;

  float at(int64_t y, int64_t x, int c) const {
    if (y < 0 || x < 0 || y >= window.height || x >= window.width) return fill;
    return window.pixels[y * window.row_bytes + x * window.channels + c];
  }
};

// Coordinates of far places, which a product may turn into infinities, stay in the range of integers.
double bounded(double place) { return std::clamp(place, -1e6, 1e6); }

void write_nearest(const Source& source, double u, double v, uint8_t* out) {
  const auto x = static_cast<int64_t>(std::nearbyint(bounded(u - 0.5)));
  const auto y = static_cast<int64_t>(std::nearbyint(bounded(v - 0.5)));
  for (int c = 0; c < source.window.channels; ++c) out[c] = static_cast<uint8_t>(source.at(y, x, c));
}

void write_bilinear(const Source& source, double u, double v, uint8_t* out) {
  const double left = std::floor(bounded(u - 0.5)), top = std::floor(bounded(v - 0.5));
  const auto fx = static_cast<float>(bounded(u - 0.5) - left), fy = static_cast<float>(bounded(v - 0.5) - top);
  const auto x = static_cast<int64_t>(left), y = static_cast<int64_t>(top);
  for (int c = 0; c < source.window.channels; ++c) {
    const float upper = source.at(y, x, c) * (1 - fx) + source.at(y, x + 1, c) * fx;
    const float lower = source.at(y + 1, x, c) * (1 - fx) + source.at(y + 1, x + 1, c) * fx;
    out[c] = static_cast<uint8_t>(std::nearbyint(upper * (1 - fy) + lower * fy));
  }
}

// Solves a system of eight equations by elimination with pivots.
std::array<double, 8> solved(std::array<std::array<double, 9>, 8> rows) {
  for (size_t i = 0; i < 8; ++i) {
    const auto pivot =
        std::max_element(rows.begin() + static_cast<std::ptrdiff_t>(i), rows.end(),
                         [i](const auto& a, const auto& b) { return std::fabs(a[i]) < std::fabs(b[i]); });
    std::swap(rows[i], *pivot);
    for (size_t r = 0; r < 8; ++r) {
      if (r == i) continue;
      const double factor = rows[r][i] / rows[i][i];
      for (size_t c = i; c < 9; ++c) rows[r][c] -= factor * rows[i][c];
    }
  }
  std::array<double, 8> values;
  for (size_t i = 0; i < 8; ++i) values[i] = rows[i][8] / rows[i][i];
  return values;
}

}  // namespace

WarpMap warp_of(const AffineMap& map) {
  constexpr double kRadians = 3.14159265358979323846 / 180;
  const double turn = map.angle * kRadians, sx = map.shear_x * kRadians, sy = map.shear_y * kRadians;
  const double a = std::cos(turn - sy) / std::cos(sy);
  const double b = -std::cos(turn - sy) * std::tan(sx) / std::cos(sy) - std::sin(turn);
  const double c = std::sin(turn - sy) / std::cos(sy);
  const double d = -std::sin(turn - sy) * std::tan(sx) / std::cos(sy) + std::cos(turn);
  // The inverse of the map from the image to the result.
  const double m0 = d / map.scale, m1 = -b / map.scale, m3 = -c / map.scale, m4 = a / map.scale;
  const double x = -map.centre_x - map.translate_x, y = -map.centre_y - map.translate_y;
  return {{m0, m1, m0 * x + m1 * y + map.centre_x, m3, m4, m3 * x + m4 * y + map.centre_y, 0, 0, 1}};
}

WarpMap warp_of(const std::array<Point, 4>& from, const std::array<Point, 4>& to) {
  std::array<std::array<double, 9>, 8> rows;
  for (size_t i = 0; i < 4; ++i) {
    const auto [x, y] = to[i];
    const auto [u, v] = from[i];
    rows[2 * i] = {x, y, 1, 0, 0, 0, -u * x, -u * y, u};
    rows[2 * i + 1] = {0, 0, 0, x, y, 1, -v * x, -v * y, v};
  }
  const std::array<double, 8> m = solved(rows);
  return {{m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7], 1}};
}

void warp(const PixelWindow& window, const WarpMap& map, bool bilinear, uint8_t fill, uint8_t* out) {
  const Source source{window, fill};
  const auto& m = map.m;
  for (int row = 0; row < window.height; ++row) {
    for (int column = 0; column < window.width; ++column, out += window.channels) {
      const double x = column + 0.5, y = row + 0.5;
      const double w = m[6] * x + m[7] * y + m[8];
      const double u = (m[0] * x + m[1] * y + m[2]) / w, v = (m[3] * x + m[4] * y + m[5]) / w;
      if (bilinear) {
        write_bilinear(source, u, v, out);
      } else {
        write_nearest(source, u, v, out);
      }
    }
  }
}

}  // namespace trainer
