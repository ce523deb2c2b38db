// Max and sum pooling and their gradients by the definition.
//
// The first maximum of a window in row-major order is the winner; NaN never is. For a window without an element above
// -FLT_MAX the result is -FLT_MAX and there is no winner.
#include <cfloat>

#include "base/error.h"
#include "device/cpu/cpu_kernel.h"
#include "device/cpu/reference/reference.h"
#include "runtime/windows.h"

namespace trainer::cpu {
namespace {

class PoolKernel : public CpuKernel {
 public:
  explicit PoolKernel(const OpInstance& instance) : CpuKernel(instance), g_(pool_geometry(instance)), w_(g_.windows) {}

 protected:
  static int64_t offset(const Strides& steps, int64_t n, int64_t c, int64_t d, int64_t h, int64_t w) {
    return n * steps.n + c * steps.c + d * steps.spatial[0] + h * steps.spatial[1] + w * steps.spatial[2];
  }

  // Calls body(n, c, d, h, w) for every element of a tensor with these spatial extents.
  template <typename Body>
  void each(const int64_t (&extents)[3], const Body& body) const {
    const int64_t planes = g_.batch * g_.channels;
#pragma omp parallel for num_threads(threads())
    for (int64_t plane = 0; plane < planes; ++plane) {
      const int64_t n = plane / g_.channels, c = plane % g_.channels;
      for (int64_t d = 0; d < extents[0]; ++d) {
        for (int64_t h = 0; h < extents[1]; ++h) {
          for (int64_t w = 0; w < extents[2]; ++w) body(n, c, d, h, w);
        }
      }
    }
  }

  // Calls body(d, h, w, tap) for every input (d, h, w) in the window of output (od, oh, ow).
  template <typename Body>
  void window(int64_t od, int64_t oh, int64_t ow, const Body& body) const {
    int64_t tap = 0;
    for (int64_t kd = 0; kd < w_.kernel[0]; ++kd) {
      for (int64_t kh = 0; kh < w_.kernel[1]; ++kh) {
        for (int64_t kw = 0; kw < w_.kernel[2]; ++kw, ++tap) {
          const int64_t d = od * w_.stride[0] - w_.pad[0] + kd, h = oh * w_.stride[1] - w_.pad[1] + kh,
                        w = ow * w_.stride[2] - w_.pad[2] + kw;
          const bool inside = d >= 0 && d < w_.in[0] && h >= 0 && h < w_.in[1] && w >= 0 && w < w_.in[2];
          if (inside) body(d, h, w, tap);
        }
      }
    }
  }

  // Calls body(d, h, w, tap) for every output (d, h, w) whose window contains input (id, ih, iw).
  template <typename Body>
  void windows_over(int64_t id, int64_t ih, int64_t iw, const Body& body) const {
    const int64_t at[3] = {id, ih, iw};
    int64_t tap = 0, o[3];
    int64_t k[3];
    for (k[0] = 0; k[0] < w_.kernel[0]; ++k[0]) {
      for (k[1] = 0; k[1] < w_.kernel[1]; ++k[1]) {
        for (k[2] = 0; k[2] < w_.kernel[2]; ++k[2], ++tap) {
          bool met = true;
          for (int i = 0; i < 3; ++i) {
            const int64_t start = at[i] + w_.pad[i] - k[i];
            met = met && start >= 0 && start % w_.stride[i] == 0 && start / w_.stride[i] < w_.out[i];
            o[i] = start / w_.stride[i];
          }
          if (met) body(o[0], o[1], o[2], tap);
        }
      }
    }
  }

  PoolGeometry g_;
  Windows w_;
};

template <typename Winner>
class MaxPool : public PoolKernel {
 public:
  explicit MaxPool(const OpInstance& instance)
      : PoolKernel(instance),
        x_(strides_of(instance.inputs[0])),
        y_(strides_of(instance.outputs[0])),
        winner_(strides_of(instance.outputs[1])) {}

  void run(const RunContext&) override {
    const float* x = input(0);
    float* y = output(0);
    Winner* winner = output<Winner>(1);
    each(w_.out, [&](int64_t n, int64_t c, int64_t od, int64_t oh, int64_t ow) {
      float best = -FLT_MAX;
      Winner first = static_cast<Winner>(-1);
      window(od, oh, ow, [&](int64_t d, int64_t h, int64_t w, int64_t tap) {
        const float value = x[offset(x_, n, c, d, h, w)];
        if (value > best) {
          best = value;
          first = static_cast<Winner>(tap);
        }
      });
      y[offset(y_, n, c, od, oh, ow)] = best;
      winner[offset(winner_, n, c, od, oh, ow)] = first;
    });
  }

 private:
  Strides x_, y_, winner_;
};

template <typename Winner>
class MaxPoolGradient : public PoolKernel {
 public:
  explicit MaxPoolGradient(const OpInstance& instance)
      : PoolKernel(instance),
        g_steps_(strides_of(instance.inputs[0])),
        winner_(strides_of(instance.inputs[1])),
        x_(strides_of(instance.outputs[0])) {}

  void run(const RunContext&) override {
    const float* gradient = input(0);
    const Winner* winner = input<Winner>(1);
    float* x = output(0);
    each(w_.in, [&](int64_t n, int64_t c, int64_t d, int64_t h, int64_t w) {
      double sum = 0;
      windows_over(d, h, w, [&](int64_t od, int64_t oh, int64_t ow, int64_t tap) {
        if (winner[offset(winner_, n, c, od, oh, ow)] == static_cast<Winner>(tap)) {
          sum += gradient[offset(g_steps_, n, c, od, oh, ow)];
        }
      });
      x[offset(x_, n, c, d, h, w)] = static_cast<float>(sum);
    });
  }

 private:
  Strides g_steps_, winner_, x_;
};

class SumPool : public PoolKernel {
 public:
  explicit SumPool(const OpInstance& instance)
      : PoolKernel(instance), x_(strides_of(instance.inputs[0])), y_(strides_of(instance.outputs[0])) {}

  void run(const RunContext&) override {
    const float* x = input(0);
    float* y = output(0);
    each(w_.out, [&](int64_t n, int64_t c, int64_t od, int64_t oh, int64_t ow) {
      double sum = 0;
      window(od, oh, ow, [&](int64_t d, int64_t h, int64_t w, int64_t) { sum += x[offset(x_, n, c, d, h, w)]; });
      y[offset(y_, n, c, od, oh, ow)] = static_cast<float>(sum);
    });
  }

 private:
  Strides x_, y_;
};

class SumPoolGradient : public PoolKernel {
 public:
  explicit SumPoolGradient(const OpInstance& instance)
      : PoolKernel(instance), y_(strides_of(instance.inputs[0])), x_(strides_of(instance.outputs[0])) {}

  void run(const RunContext&) override {
    const float* gradient = input(0);
    float* x = output(0);
    each(w_.in, [&](int64_t n, int64_t c, int64_t d, int64_t h, int64_t w) {
      double sum = 0;
      windows_over(d, h, w,
                   [&](int64_t od, int64_t oh, int64_t ow, int64_t) { sum += gradient[offset(y_, n, c, od, oh, ow)]; });
      x[offset(x_, n, c, d, h, w)] = static_cast<float>(sum);
    });
  }

 private:
  Strides y_, x_;
};

}  // namespace

std::unique_ptr<Kernel> create_max_pool_reference(const OpInstance& instance) {
  if (instance.outputs[1].dtype == DType::kU8) return std::make_unique<MaxPool<uint8_t>>(instance);
  TRAINER_ASSERT(instance.outputs[1].dtype == DType::kS32);
  return std::make_unique<MaxPool<int32_t>>(instance);
}
std::unique_ptr<Kernel> create_max_pool_gradient_reference(const OpInstance& instance) {
  if (instance.inputs[1].dtype == DType::kU8) return std::make_unique<MaxPoolGradient<uint8_t>>(instance);
  TRAINER_ASSERT(instance.inputs[1].dtype == DType::kS32);
  return std::make_unique<MaxPoolGradient<int32_t>>(instance);
}
std::unique_ptr<Kernel> create_sum_pool_reference(const OpInstance& instance) {
  return std::make_unique<SumPool>(instance);
}
std::unique_ptr<Kernel> create_sum_pool_gradient_reference(const OpInstance& instance) {
  return std::make_unique<SumPoolGradient>(instance);
}

}  // namespace trainer::cpu
