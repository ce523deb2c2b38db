// Local response normalization across channels, and its gradient, by the definition.
//
// s_c = k + alpha/n * sum of x^2 over the n channels around c; y = x * s^-beta;
// dx_c = g_c * s_c^-beta - 2 alpha beta / n * x_c * sum of g * x * s^(-beta - 1) over the channels whose window
// contains c.
#include <algorithm>
#include <cmath>

#include "device/cpu/cpu_kernel.h"
#include "device/cpu/reference/reference.h"
#include "runtime/windows.h"

namespace trainer::cpu {
namespace {

class LrnKernel : public CpuKernel {
 public:
  explicit LrnKernel(const OpInstance& instance)
      : CpuKernel(instance), a_(instance.op->as<LrnAttributes>()), x_(strides_of(instance.inputs[0])) {
    const Shape& shape = instance.inputs[0].shape;
    batch_ = shape[0];
    channels_ = shape[1];
    set_extents(shape, extents_);
    before_ = (a_.size - 1) / 2;
    after_ = a_.size - 1 - before_;
  }

 protected:
  // s of channel c; `pixel` is the address of channel 0.
  double denominator(const float* pixel, int64_t c) const {
    double sum = 0;
    for (int64_t i = std::max<int64_t>(0, c - before_); i <= std::min(channels_ - 1, c + after_); ++i) {
      sum += double{pixel[i * x_.c]} * pixel[i * x_.c];
    }
    return a_.k + double{a_.alpha} / static_cast<double>(a_.size) * sum;
  }

  // Calls body(n, d, h, w) for every pixel.
  template <typename Body>
  void each_place(const Body& body) const {
#pragma omp parallel for collapse(3) num_threads(threads())
    for (int64_t n = 0; n < batch_; ++n) {
      for (int64_t d = 0; d < extents_[0]; ++d) {
        for (int64_t h = 0; h < extents_[1]; ++h) {
          for (int64_t w = 0; w < extents_[2]; ++w) body(n, d, h, w);
        }
      }
    }
  }
  static int64_t offset(const Strides& steps, int64_t n, int64_t d, int64_t h, int64_t w) {
    return n * steps.n + d * steps.spatial[0] + h * steps.spatial[1] + w * steps.spatial[2];
  }

  LrnAttributes a_;
  Strides x_;
  int64_t batch_ = 0, channels_ = 0, before_ = 0, after_ = 0;
  int64_t extents_[3] = {1, 1, 1};
};

class Lrn : public LrnKernel {
 public:
  explicit Lrn(const OpInstance& instance) : LrnKernel(instance), y_(strides_of(instance.outputs[0])) {}

  void run(const RunContext&) override {
    each_place([&](int64_t n, int64_t d, int64_t h, int64_t w) {
      const float* x = input(0) + offset(x_, n, d, h, w);
      float* y = output(0) + offset(y_, n, d, h, w);
      for (int64_t c = 0; c < channels_; ++c) {
        y[c * y_.c] = static_cast<float>(x[c * x_.c] * std::pow(denominator(x, c), -double{a_.beta}));
      }
    });
  }

 private:
  Strides y_;
};

class LrnGradient : public LrnKernel {
 public:
  explicit LrnGradient(const OpInstance& instance)
      : LrnKernel(instance), g_(strides_of(instance.inputs[1])), dx_(strides_of(instance.outputs[0])) {}

  void run(const RunContext&) override {
    const double beta = a_.beta, factor = 2 * double{a_.alpha} * beta / static_cast<double>(a_.size);
    each_place([&](int64_t n, int64_t d, int64_t h, int64_t w) {
      const float* x = input(0) + offset(x_, n, d, h, w);
      const float* g = input(1) + offset(g_, n, d, h, w);
      float* dx = output(0) + offset(dx_, n, d, h, w);
      for (int64_t c = 0; c < channels_; ++c) {
        double sum = 0;
        for (int64_t i = std::max<int64_t>(0, c - after_); i <= std::min(channels_ - 1, c + before_); ++i) {
          sum += double{g[i * g_.c]} * x[i * x_.c] * std::pow(denominator(x, i), -beta - 1);
        }
        dx[c * dx_.c] =
            static_cast<float>(g[c * g_.c] * std::pow(denominator(x, c), -beta) - factor * x[c * x_.c] * sum);
      }
    });
  }

 private:
  Strides g_, dx_;
};

}  // namespace

std::unique_ptr<Kernel> create_lrn_reference(const OpInstance& instance) { return std::make_unique<Lrn>(instance); }
std::unique_ptr<Kernel> create_lrn_gradient_reference(const OpInstance& instance) {
  return std::make_unique<LrnGradient>(instance);
}

}  // namespace trainer::cpu
