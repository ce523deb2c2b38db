// Convolution and its two gradients by the definition.
#include "device/cpu/cpu_kernel.h"
#include "device/cpu/epilogue.h"
#include "device/cpu/reference/reference.h"
#include "runtime/windows.h"

namespace trainer::cpu {
namespace {

class ConvolutionKernel : public CpuKernel {
 public:
  explicit ConvolutionKernel(const OpInstance& instance)
      : CpuKernel(instance),
        g_(convolution_geometry(instance)),
        w_(g_.windows),
        epilogue_(instance.op->as<ConvolutionAttributes>().epilogue) {
    const ConvolutionOperands operands = convolution_operands(instance);
    x_ = strides_of(*operands.x);
    f_ = strides_of(*operands.weights);
    y_ = strides_of(*operands.y);
  }

 protected:
  struct Position {
    int64_t at[3];
  };
  static Position position(int64_t index, const int64_t (&extents)[3]) {
    return {{index / (extents[1] * extents[2]), index / extents[2] % extents[1], index % extents[2]}};
  }
  // Visits all positions within the extents in row-major order.
  template <typename Visit>
  static void each_position(const int64_t (&extents)[3], Visit visit) {
    Position p;
    for (p.at[0] = 0; p.at[0] < extents[0]; ++p.at[0]) {
      for (p.at[1] = 0; p.at[1] < extents[1]; ++p.at[1]) {
        for (p.at[2] = 0; p.at[2] < extents[2]; ++p.at[2]) visit(p);
      }
    }
  }
  static int64_t offset(const Strides& steps, int64_t n, int64_t c, const Position& p) {
    return n * steps.n + c * steps.c + p.at[0] * steps.spatial[0] + p.at[1] * steps.spatial[1] +
           p.at[2] * steps.spatial[2];
  }
  // The input position that output `o` reads at tap `k`; false if that is padding.
  bool input_of(const Position& o, const Position& k, Position* i) const {
    for (int d = 0; d < 3; ++d) {
      i->at[d] = o.at[d] * w_.stride[d] - w_.pad[d] + k.at[d] * w_.dilation[d];
      if (i->at[d] < 0 || i->at[d] >= w_.in[d]) return false;
    }
    return true;
  }
  // The output that reads input `i` at tap `k`; false if there is none.
  bool output_of(const Position& i, const Position& k, Position* o) const {
    for (int d = 0; d < 3; ++d) {
      const int64_t at = i.at[d] + w_.pad[d] - k.at[d] * w_.dilation[d];
      if (at < 0 || at % w_.stride[d] != 0 || at / w_.stride[d] >= w_.out[d]) return false;
      o->at[d] = at / w_.stride[d];
    }
    return true;
  }

  ConvolutionGeometry g_;
  Windows w_;
  Epilogue epilogue_;
  Strides x_, f_, y_;
};

class Forward : public ConvolutionKernel {
 public:
  using ConvolutionKernel::ConvolutionKernel;
  void run(const RunContext&) override {
    const float *x = input(0), *weights = input(1), *bias = optional_input(2);
    float* y = output(0);
#pragma omp parallel for collapse(3) num_threads(threads())
    for (int64_t n = 0; n < g_.batch; ++n) {
      for (int64_t o = 0; o < g_.out_channels(); ++o) {
        for (int64_t t = 0; t < w_.out_count(); ++t) {
          const Position out = position(t, w_.out);
          const int64_t first = o / g_.outputs * g_.inputs;
          double sum = bias == nullptr ? 0 : bias[o];
          each_position(w_.kernel, [&](const Position& k) {
            Position in;
            if (!input_of(out, k, &in)) return;
            for (int64_t c = 0; c < g_.inputs; ++c) {
              sum += double{x[offset(x_, n, first + c, in)]} * weights[offset(f_, o, c, k)];
            }
          });
          y[offset(y_, n, o, out)] = with_relu(epilogue_, static_cast<float>(sum));
        }
      }
    }
  }
};

class InputGradient : public ConvolutionKernel {
 public:
  using ConvolutionKernel::ConvolutionKernel;
  void run(const RunContext&) override {
    const float *gradient = input(0), *weights = input(1), *bias = optional_input(2);
    float* x = output(0);
#pragma omp parallel for collapse(3) num_threads(threads())
    for (int64_t n = 0; n < g_.batch; ++n) {
      for (int64_t c = 0; c < g_.in_channels(); ++c) {
        for (int64_t s = 0; s < w_.in_count(); ++s) {
          const Position in = position(s, w_.in);
          const int64_t first = c / g_.inputs * g_.outputs;
          double sum = bias == nullptr ? 0 : bias[c];
          each_position(w_.kernel, [&](const Position& k) {
            Position out;
            if (!output_of(in, k, &out)) return;
            for (int64_t o = first; o < first + g_.outputs; ++o) {
              sum += double{gradient[offset(y_, n, o, out)]} * weights[offset(f_, o, c % g_.inputs, k)];
            }
          });
          x[offset(x_, n, c, in)] = with_relu(epilogue_, static_cast<float>(sum));
        }
      }
    }
  }
};

class WeightGradient : public ConvolutionKernel {
 public:
  using ConvolutionKernel::ConvolutionKernel;
  void run(const RunContext&) override {
    const float *x = input(0), *gradient = input(1);
    float* weights = output(0);
#pragma omp parallel for collapse(3) num_threads(threads())
    for (int64_t o = 0; o < g_.out_channels(); ++o) {
      for (int64_t c = 0; c < g_.inputs; ++c) {
        for (int64_t tap = 0; tap < w_.taps(); ++tap) {
          const Position k = position(tap, w_.kernel);
          const int64_t channel = o / g_.outputs * g_.inputs + c;
          double sum = 0;
          for (int64_t n = 0; n < g_.batch; ++n) {
            each_position(w_.out, [&](const Position& out) {
              Position in;
              if (!input_of(out, k, &in)) return;
              sum += double{x[offset(x_, n, channel, in)]} * gradient[offset(y_, n, o, out)];
            });
          }
          weights[offset(f_, o, c, k)] = static_cast<float>(sum);
        }
      }
    }
  }
};

}  // namespace

std::unique_ptr<Kernel> create_convolution_reference(const OpInstance& instance) {
  return std::make_unique<Forward>(instance);
}
std::unique_ptr<Kernel> create_convolution_input_gradient_reference(const OpInstance& instance) {
  return std::make_unique<InputGradient>(instance);
}
std::unique_ptr<Kernel> create_convolution_weight_gradient_reference(const OpInstance& instance) {
  return std::make_unique<WeightGradient>(instance);
}

}  // namespace trainer::cpu
