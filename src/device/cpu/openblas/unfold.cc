// Threads share the elements that are written.
#include "device/cpu/openblas/unfold.h"

#include <cstring>

#include "device/cpu/parallel.h"

namespace trainer::cpu {
namespace {

// A position in a tensor with the spatial extents `extents`, from its row-major index over [n, d, h, w].
struct WindowPosition {
  int64_t n, at[3];
  WindowPosition(int64_t index, const int64_t (&extents)[3]) {
    for (int d = 2; d >= 0; --d) {
      at[d] = index % extents[d];
      index /= extents[d];
    }
    n = index;
  }
};

// Calls body(tap, input pixel within the image, or -1 for padding) for every tap of output `p`.
template <typename Body>
void each_tap(const Windows& w, const WindowPosition& p, const Body& body) {
  int64_t tap = 0;
  for (int64_t kd = 0; kd < w.kernel[0]; ++kd) {
    const int64_t d = p.at[0] * w.stride[0] - w.pad[0] + kd * w.dilation[0];
    for (int64_t kh = 0; kh < w.kernel[1]; ++kh) {
      const int64_t h = p.at[1] * w.stride[1] - w.pad[1] + kh * w.dilation[1];
      const bool inside = d >= 0 && d < w.in[0] && h >= 0 && h < w.in[1];
      for (int64_t kw = 0; kw < w.kernel[2]; ++kw, ++tap) {
        const int64_t column = p.at[2] * w.stride[2] - w.pad[2] + kw * w.dilation[2];
        body(tap, inside && column >= 0 && column < w.in[2] ? (d * w.in[1] + h) * w.in[2] + column : -1);
      }
    }
  }
}

// Calls body(tap, output within the image) for every output that reads input `p` at `tap`.
template <typename Body>
void each_use(const Windows& w, const WindowPosition& p, const Body& body) {
  const auto met = [&w, &p](int axis, int64_t k) {
    const int64_t at = p.at[axis] + w.pad[axis] - k * w.dilation[axis];
    return at < 0 || at % w.stride[axis] != 0 || at / w.stride[axis] >= w.out[axis] ? -1 : at / w.stride[axis];
  };
  int64_t tap = 0;
  for (int64_t kd = 0; kd < w.kernel[0]; ++kd) {
    const int64_t d = met(0, kd);
    for (int64_t kh = 0; kh < w.kernel[1]; ++kh) {
      const int64_t h = met(1, kh);
      for (int64_t kw = 0; kw < w.kernel[2]; ++kw, ++tap) {
        const int64_t column = d < 0 || h < 0 ? -1 : met(2, kw);
        if (column >= 0) body(tap, (d * w.out[1] + h) * w.out[2] + column);
      }
    }
  }
}

// Calls body(output, input pixel, count) for every run of `count` outputs in a row whose tap `tap` is not padding. The
// distance of their input pixels is stride[2].
template <typename Body>
void each_stretch(const Windows& w, int64_t tap, const Body& body) {
  const int64_t k[3] = {tap / (w.kernel[1] * w.kernel[2]), tap / w.kernel[2] % w.kernel[1], tap % w.kernel[2]};
  int64_t shift[3], begin[3], end[3];  // outputs o of [begin, end) read the input at o * stride + shift
  for (int d = 0; d < 3; ++d) {
    shift[d] = k[d] * w.dilation[d] - w.pad[d];
    begin[d] = shift[d] >= 0 ? 0 : (-shift[d] + w.stride[d] - 1) / w.stride[d];
    const int64_t room = w.in[d] - 1 - shift[d];
    end[d] = room < 0 ? 0 : std::min(w.out[d], room / w.stride[d] + 1);
  }
  if (begin[2] >= end[2]) return;
  for (int64_t od = begin[0]; od < end[0]; ++od) {
    for (int64_t oh = begin[1]; oh < end[1]; ++oh) {
      const int64_t row = (od * w.stride[0] + shift[0]) * w.in[1] + oh * w.stride[1] + shift[1];
      body((od * w.out[1] + oh) * w.out[2] + begin[2], row * w.in[2] + begin[2] * w.stride[2] + shift[2],
           end[2] - begin[2]);
    }
  }
}

}  // namespace

void unfold_channels_last(int threads, const Windows& w, int64_t images, int64_t channels, int64_t pixel_step,
                          const float* x, float* columns) {
  const int64_t row = w.taps() * channels, pixels = w.in_count();
  const size_t bytes = static_cast<size_t>(channels) * sizeof(float);
  parallel_ranges(threads, images * w.out_count(), row, [&](int, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const WindowPosition p(i, w.out);
      each_tap(w, p, [&](int64_t tap, int64_t pixel) {
        float* to = columns + i * row + tap * channels;
        if (pixel < 0) {
          std::memset(to, 0, bytes);
        } else {
          std::memcpy(to, x + (p.n * pixels + pixel) * pixel_step, bytes);
        }
      });
    }
  });
}

void fold_channels_last(int threads, const Windows& w, int64_t images, int64_t channels, int64_t pixel_step,
                        const float* columns, float* x) {
  const int64_t row = w.taps() * channels, places = w.out_count();
  parallel_ranges(threads, images * w.in_count(), row, [&](int, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const WindowPosition p(i, w.in);
      float* to = x + i * pixel_step;
      std::memset(to, 0, static_cast<size_t>(channels) * sizeof(float));
      each_use(w, p, [&](int64_t tap, int64_t place) {
        const float* from = columns + (p.n * places + place) * row + tap * channels;
        for (int64_t c = 0; c < channels; ++c) to[c] += from[c];
      });
    }
  });
}

void unfold_row_major(int threads, const Windows& w, int64_t channels, const float* x, float* columns) {
  const int64_t places = w.out_count(), taps = w.taps(), pixels = w.in_count();
  parallel_ranges(threads, channels * taps, places, [&](int, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* plane = x + row / taps * pixels;
      float* to = columns + row * places;
      std::memset(to, 0, static_cast<size_t>(places) * sizeof(float));
      each_stretch(w, row % taps, [&](int64_t place, int64_t pixel, int64_t count) {
        for (int64_t i = 0; i < count; ++i) to[place + i] = plane[pixel + i * w.stride[2]];
      });
    }
  });
}

void fold_row_major(int threads, const Windows& w, int64_t channels, const float* columns, float* x) {
  const int64_t places = w.out_count(), taps = w.taps(), pixels = w.in_count();
  parallel_ranges(threads, channels, places * taps, [&](int, int64_t begin, int64_t end) {
    std::memset(x + begin * pixels, 0, static_cast<size_t>((end - begin) * pixels) * sizeof(float));
    for (int64_t row = begin * taps; row < end * taps; ++row) {
      float* plane = x + row / taps * pixels;
      const float* from = columns + row * places;
      each_stretch(w, row % taps, [&](int64_t place, int64_t pixel, int64_t count) {
        for (int64_t i = 0; i < count; ++i) plane[pixel + i * w.stride[2]] += from[place + i];
      });
    }
  });
}

}  // namespace trainer::cpu
