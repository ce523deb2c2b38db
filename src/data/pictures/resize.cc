// The only file that includes OpenCV.
#include "data/pictures/resize.h"

#include <opencv2/imgproc.hpp>

#include "base/error.h"

namespace trainer {

void resize_bilinear(const PixelWindow& window, int height, int width, std::vector<uint8_t>& out) {
  TRAINER_ASSERT(window.channels >= 1 && window.channels <= 4 && window.height > 0 && window.width > 0);
  TRAINER_ASSERT(height > 0 && width > 0);
  // The workers are the only threads.
  static const bool one_thread = (cv::setNumThreads(0), true);
  static_cast<void>(one_thread);
  out.resize(static_cast<size_t>(height) * static_cast<size_t>(width) * static_cast<size_t>(window.channels));
  const int type = CV_MAKETYPE(CV_8U, window.channels);
  const cv::Mat from(window.height, window.width, type, const_cast<uint8_t*>(window.pixels),
                     static_cast<size_t>(window.row_bytes));
  cv::Mat to(height, width, type, out.data());
  try {
    cv::resize(from, to, to.size(), 0, 0, cv::INTER_LINEAR);
  } catch (const cv::Exception& error) {
    throw data_error("an image of {}x{} cannot be resized to {}x{}: {}", window.height, window.width, height, width,
                     error.err);
  }
  TRAINER_ASSERT(to.data == out.data());
}

}  // namespace trainer
