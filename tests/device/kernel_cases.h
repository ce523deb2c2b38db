// Ops for the comparison of a device's implementations with the reference: sizes that select each implementation, and
// sizes at the edges of vectors and blocks.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "device/op_case.h"

namespace trainer::cpu {
constexpr MemoryFormat kBothOrders[] = {MemoryFormat::kRowMajor, MemoryFormat::kChannelsLast};

struct WindowAxis {  // a spatial axis of a convolution or pool
  int64_t in, kernel, stride = 1, pad = 0, dilation = 1;
  int64_t out() const { return (in + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1; }
};

inline Shape with_channels(int64_t n, int64_t c, const std::vector<int64_t>& spatial) {
  std::vector<int64_t> dims{n, c};
  dims.insert(dims.end(), spatial.begin(), spatial.end());
  return Shape(dims);
}

inline void add_convolution(std::vector<OpCase>* cases, int64_t n, int64_t c, int64_t o, int64_t group,
                            const std::vector<WindowAxis>& axes, Epilogue epilogue = {}) {
  ConvolutionAttributes a;
  a.group = group;
  std::vector<int64_t> in, out, kernel;
  std::string name = fmt::format("n{} c{} o{} g{}", n, c, o, group);
  for (const WindowAxis& axis : axes) {
    a.stride.push_back(axis.stride);
    a.pad.push_back(axis.pad);
    a.dilation.push_back(axis.dilation);
    in.push_back(axis.in);
    out.push_back(axis.out());
    kernel.push_back(axis.kernel);
    name += fmt::format(" [{} k{} s{} p{} d{}]", axis.in, axis.kernel, axis.stride, axis.pad, axis.dilation);
  }
  for (MemoryFormat order : kBothOrders) {
    const TensorDesc x = tensor(with_channels(n, c, in), order), y = tensor(with_channels(n, o, out), order);
    const TensorDesc w = tensor(with_channels(o, c / group, kernel));
    const std::string label = name + " " + name_of(order);
    ConvolutionAttributes plain = a, fused = a;
    fused.epilogue = epilogue;
    cases->push_back(op_case(label + " bias", OpKind::kConvolution, fused, {x, w, tensor({o})}, {y}));
    cases->push_back(op_case(label, OpKind::kConvolution, plain, {x, w}, {y}));
    cases->push_back(op_case(label + " bias", OpKind::kConvolutionInputGradient, fused, {y, w, tensor({c})}, {x}));
    cases->push_back(op_case(label, OpKind::kConvolutionInputGradient, plain, {y, w}, {x}));
    cases->push_back(op_case(label, OpKind::kConvolutionWeightGradient, plain, {x, y}, {w}));
  }
}

inline void add_pool(std::vector<OpCase>* cases, int64_t n, int64_t c, const std::vector<WindowAxis>& axes,
                     const std::vector<int64_t>& out, DType winner) {
  PoolAttributes a;
  std::vector<int64_t> in;
  int64_t taps = 1;
  std::string name = fmt::format("n{} c{} {}", n, c, name_of(winner));
  for (const WindowAxis& axis : axes) {
    a.kernel.push_back(axis.kernel);
    a.stride.push_back(axis.stride);
    a.pad.push_back(axis.pad);
    in.push_back(axis.in);
    taps *= axis.kernel;
    name += fmt::format(" [{} k{} s{} p{}]", axis.in, axis.kernel, axis.stride, axis.pad);
  }
  for (MemoryFormat order : kBothOrders) {
    const TensorDesc x = tensor(with_channels(n, c, in), order), y = tensor(with_channels(n, c, out), order);
    const TensorDesc w = tensor(y.shape, order, winner);
    const std::string label = name + " " + name_of(order);
    const size_t first = cases->size();
    cases->push_back(op_case(label, OpKind::kMaxPool, a, {x}, {y, w}));
    cases->push_back(op_case(label, OpKind::kMaxPoolGradient, a, {y, w}, {x}));
    cases->push_back(op_case(label, OpKind::kSumPool, a, {x}, {y}));
    cases->push_back(op_case(label, OpKind::kSumPoolGradient, a, {y}, {x}));
    for (size_t i = first; i < cases->size(); ++i) (*cases)[i].taps = taps;
  }
}

inline void add_convolutions(std::vector<OpCase>* cases) {
  // Channels at the edges of vectors and of oneDNN's blocks; odd image sizes.
  for (int64_t c : {1, 3, 15, 16, 17, 64}) {
    add_convolution(cases, 2, c, 17, 1, {{7, 3, 1, 1}, {9, 3, 1, 1}}, {true, 0});
    add_convolution(cases, 3, c, 16, 1, {{5, 1}, {7, 1}}, {true, 0.1f});
    add_convolution(cases, 2, c, c, c, {{9, 3, 2, 1}, {7, 3, 2, 1}}, {true, 0});
  }
  for (int64_t o : {1, 3, 15, 16, 64}) add_convolution(cases, 2, 20, o, 1, {{8, 5}, {8, 5}});
  add_convolution(cases, 2, 32, 48, 2, {{9, 5, 1, 2}, {9, 5, 1, 2}});  // groups
  add_convolution(cases, 2, 6, 9, 3, {{9, 3, 2}, {8, 2, 3}});
  add_convolution(cases, 1, 8, 16, 8, {{6, 3}, {6, 3}});                       // several outputs per input channel
  add_convolution(cases, 2, 16, 16, 1, {{11, 3, 1, 2, 2}, {12, 3, 1, 3, 3}});  // dilation
  add_convolution(cases, 2, 16, 16, 16, {{11, 3, 1, 2, 2}, {12, 3, 2, 3, 3}});
  add_convolution(cases, 2, 32, 32, 32, {{12, 3, 1, 1}, {19, 3, 1, 1}}, {true, 0.1f});  // depthwise by rows
  add_convolution(cases, 3, 48, 48, 48, {{9, 3, 1, 2}, {10, 3, 1, 0}}, {true, 0});
  add_convolution(cases, 2, 16, 16, 16, {{2, 3, 1, 1}, {1, 3, 1, 1}});
  add_convolution(cases, 1, 256, 256, 256, {{130, 3, 1, 1}, {130, 3, 1, 1}});  // larger than the caches
  add_convolution(cases, 2, 24, 24, 24, {{11, 5, 2, 2}, {9, 5, 1, 2}}, {true, 0.1f});
  add_convolution(cases, 2, 20, 20, 20, {{7, 2, 3, 1}, {8, 4, 1}}, {true, 0});
  add_convolution(cases, 1, 264, 264, 264, {{5, 3, 2, 1}, {4, 3, 1, 1}}, {true, 0});  // two blocks of channels
  add_convolution(cases, 1, 8, 8, 8, {{14, 13, 1, 6}, {15, 15, 1, 7}});               // one pack fits
  add_convolution(cases, 1, 8, 8, 8, {{4, 3, 1, 1}, {5, 2, 2}, {10, 9, 3, 4}}, {true, 0});
  add_convolution(cases, 2, 16, 8, 1, {{13, 2, 4}, {13, 3, 5}});  // stride larger than the kernel
  add_convolution(cases, 2, 3, 64, 1, {{23, 7, 2, 3}, {21, 7, 2, 3}}, {true, 0});
  add_convolution(cases, 1, 4, 6, 2, {});                                         // no spatial axis
  add_convolution(cases, 2, 5, 16, 1, {{12, 3, 2, 1}});                           // one
  add_convolution(cases, 2, 16, 32, 1, {{5, 3, 1, 1}, {6, 2, 2}, {7, 3, 1, 1}});  // three
  add_convolution(cases, 2, 16, 16, 16, {{5, 3, 1, 1}, {6, 2, 2}, {7, 3, 1, 1}});
  add_convolution(cases, 5, 64, 64, 1, {{14, 3, 1, 1}, {14, 3, 1, 1}}, {true, 0});
  add_convolution(cases, 3, 40, 70, 1, {{9, 1}, {11, 1}}, {true, 0.1f});  // 1x1 filters
  add_convolution(cases, 2, 64, 36, 2, {{9, 1, 2}, {12, 1, 3}}, {true, 0});
  add_convolution(cases, 2, 1024, 48, 1, {{7, 1}, {6, 1}}, {true, 0});
  add_convolution(cases, 1, 160, 1024, 1, {{9, 1}, {9, 1}});
  add_convolution(cases, 2, 256, 520, 1, {{13, 1, 2}, {15, 1, 2}}, {true, 0});  // sums that threads share
  add_convolution(cases, 4, 16, 96, 1, {{105, 1}, {105, 1}}, {true, 0});        // larger than the caches
  add_convolution(cases, 2, 17, 16, 1, {{5, 1}, {4, 1}, {6, 1}});
  add_convolution(cases, 3, 96, 80, 1, {{21, 3, 1, 1}, {18, 3}}, {true, 0.1f});          // several blocks of tiles
  add_convolution(cases, 2, 144, 176, 1, {{11, 3, 1, 1}, {12, 3, 1, 1}}, {true, 0.1f});  // more filters than tiles
  add_convolution(cases, 1, 192, 256, 2, {{12, 3, 1, 1}, {12, 3, 1, 1}}, {true, 0});
  add_convolution(cases, 1, 160, 128, 1, {{10, 5, 1, 2}, {10, 5, 1, 2}});
  add_convolution(cases, 4, 40, 33, 1, {{15, 5, 1, 4}, {16, 5, 1, 1}}, {true, 0});
}

inline void add_pools(std::vector<OpCase>* cases) {
  for (int64_t c : {1, 2, 3, 7, 15, 16, 17, 20, 64}) {
    add_pool(cases, 2, c, {{7, 3, 2}, {9, 3, 2}}, {3, 4}, DType::kU8);
    // Windows that extend past the end, because Caffe rounds up.
    add_pool(cases, 2, c, {{8, 3, 2}, {6, 3, 2}}, {4, 3}, DType::kS32);
  }
  add_pool(cases, 3, 33, {{11, 3, 2, 1}, {12, 3, 2, 1}}, {6, 7}, DType::kU8);
  add_pool(cases, 3, 32, {{9, 2, 3, 1}, {10, 2, 4}}, {4, 3}, DType::kU8);  // stride larger than the kernel
  for (int64_t c : {3, 4, 8, 24}) {
    add_pool(cases, 2, c, {{7, 3, 1, 1}, {5, 3, 1, 1}}, {7, 5}, DType::kU8);  // three windows over an input
    add_pool(cases, 2, c, {{9, 2, 2}, {7, 2, 2}}, {5, 4}, DType::kU8);
    add_pool(cases, 1, c, {{11, 5, 3}, {14, 5, 3}}, {3, 4}, DType::kU8);
    add_pool(cases, 1, c, {{6, 5, 1, 2}, {7, 4, 1, 1}}, {6, 6}, DType::kU8);
    add_pool(cases, 1, c, {{4, 3, 2}, {5, 3, 1, 1}, {6, 3, 3}}, {2, 5, 2}, DType::kU8);
    add_pool(cases, 1, c, {{3, 7, 2, 3}, {2, 6, 1, 5}}, {2, 7}, DType::kU8);  // windows larger than the input
  }
  add_pool(cases, 2, 130, {{7, 7}, {7, 7}}, {1, 1}, DType::kU8);
  add_pool(cases, 2, 24, {{17, 17}, {17, 17}}, {1, 1}, DType::kS32);
  add_pool(cases, 2, 24, {{19, 3, 2}}, {9}, DType::kU8);
  add_pool(cases, 2, 24, {{5, 2, 2, 1}, {6, 3, 2}, {7, 3, 1, 1}}, {3, 3, 7}, DType::kU8);
  add_pool(cases, 8, 64, {{28, 3, 2}, {28, 3, 2}}, {14, 14}, DType::kU8);  // enough work for two threads
}

inline void add_lrns(std::vector<OpCase>* cases) {
  for (int64_t c : {1, 3, 8, 12, 15, 16, 17, 24, 64}) {
    for (float beta : {0.75f, 0.5f, 1.0f, 0.6f}) {
      LrnAttributes a;
      a.beta = beta;
      a.alpha = 0.5f;
      a.k = beta == 0.6f ? 2.0f : 1.0f;
      a.size = c == 16 ? 3 : c == 17 ? 9 : 5;
      for (MemoryFormat order : kBothOrders) {
        const TensorDesc x = tensor({2, c, 11, 13}, order);
        const std::string label = fmt::format("c{} beta {} size {} {}", c, beta, a.size, name_of(order));
        cases->push_back(op_case(label, OpKind::kLrn, a, {x}, {x}));
        cases->push_back(op_case(label, OpKind::kLrnGradient, a, {x, x}, {x}));
      }
    }
  }
}

inline void add_matmuls(std::vector<OpCase>* cases) {
  struct Sizes {
    int64_t m, n, k;
  };
  for (const Sizes& s : {Sizes{1, 1, 1}, {3, 5, 7}, {64, 10, 500}, {17, 33, 65}, {64, 500, 800}, {500, 80, 64}}) {
    for (int form = 0; form < 4; ++form) {
      MatmulAttributes a;
      a.transpose_a = form % 2 == 1;
      a.transpose_b = form / 2 == 1;
      const TensorDesc left = tensor(a.transpose_a ? Shape{s.k, s.m} : Shape{s.m, s.k});
      const TensorDesc right = tensor(a.transpose_b ? Shape{s.n, s.k} : Shape{s.k, s.n});
      const TensorDesc y = tensor({s.m, s.n});
      const std::string label = fmt::format("{}x{}x{} form {}", s.m, s.n, s.k, form);
      cases->push_back(op_case(label, OpKind::kMatmul, a, {left, right}, {y}));
      a.epilogue = {true, form == 1 ? 0.2f : 0.0f};
      cases->push_back(op_case(label + " bias relu", OpKind::kMatmul, a, {left, right, tensor({s.n})}, {y}));
      const auto several = [](const TensorDesc& matrix) { return tensor({5, matrix.shape[0], matrix.shape[1]}); };
      a.epilogue = {};
      if (s.m * s.n * s.k < 100000)
        cases->push_back(
            op_case(label + " batch of 5", OpKind::kMatmul, a, {several(left), several(right)}, {several(y)}));
    }
  }
}

// The epilogue of a case with a bias and a relu, or nullptr.
inline const Epilogue* relu_after_bias(const OpCase& c) {
  const OpKind kind = c.op->kind;
  const Epilogue* epilogue = nullptr;
  if (kind == OpKind::kConvolution || kind == OpKind::kConvolutionInputGradient)
    epilogue = &c.op->as<ConvolutionAttributes>().epilogue;
  if (kind == OpKind::kMatmul) epilogue = &c.op->as<MatmulAttributes>().epilogue;
  return epilogue != nullptr && epilogue->relu && c.instance.inputs.size() > 2 ? epilogue : nullptr;
}

inline void add_recurrences(std::vector<OpCase>* cases) {
  struct Sizes {
    int64_t steps, items, hidden;
  };
  for (const Sizes& s : {Sizes{1, 1, 1}, {3, 2, 5}, {4, 13, 16}, {5, 3, 33}, {3, 30, 70}}) {
    for (Cell cell : {Cell::kTanh, Cell::kLstm}) {
      const bool lstm = cell == Cell::kLstm;
      const int64_t sums = (lstm ? 4 : 1) * s.hidden;
      const TensorDesc p = tensor({s.steps, s.items, sums}), w = tensor({sums, s.hidden}),
                       cont = tensor({s.steps, s.items}), first = tensor({s.items, s.hidden}),
                       all = tensor({s.steps, s.items, s.hidden});
      std::vector<TensorDesc> inputs{p, w, cont, first}, outputs{all}, back{all, w, cont, all};
      if (lstm) inputs.push_back(first), outputs = {all, all, p}, back = {all, w, cont, first, all, p};
      const std::string label = fmt::format("{} {}x{}x{}", lstm ? "lstm" : "tanh", s.steps, s.items, s.hidden);
      cases->push_back(op_case(label, OpKind::kRecurrence, RecurrenceAttributes{cell}, inputs, outputs));
      cases->push_back(op_case(label, OpKind::kRecurrenceGradient, RecurrenceAttributes{cell}, back, {p}));
    }
  }
}

inline void add_copies(std::vector<OpCase>* cases) {
  struct Pictures {
    int64_t n, c, h, w;
  };
  for (const Pictures& p : {Pictures{2, 1, 5, 7},
                            {2, 2, 5, 7},
                            {2, 3, 33, 31},
                            {3, 4, 9, 9},
                            {2, 15, 7, 9},
                            {2, 16, 8, 8},
                            {1, 17, 13, 11},
                            {2, 64, 24, 23},
                            {3, 130, 1, 1}}) {
    const Shape shape{p.n, p.c, p.h, p.w};
    for (DType dtype : {DType::kF32, DType::kU8, DType::kBF16}) {
      for (MemoryFormat order : kBothOrders) {
        const MemoryFormat other =
            order == MemoryFormat::kRowMajor ? MemoryFormat::kChannelsLast : MemoryFormat::kRowMajor;
        cases->push_back(op_case(fmt::format("{} {} from {}", shape.text(), name_of(dtype), name_of(order)),
                                 OpKind::kReorder, NoAttributes{}, {tensor(shape, order, dtype)},
                                 {tensor(shape, other, dtype)}));
      }
    }
    for (MemoryFormat from : kBothOrders) {
      for (MemoryFormat to : kBothOrders) {
        const std::string label = fmt::format("{} {} to {}", shape.text(), name_of(from), name_of(to));
        const auto add = [&](OpKind kind, Attributes attributes, const Shape& result) {
          cases->push_back(op_case(label + " " + result.text(), kind, std::move(attributes), {tensor(shape, from)},
                                   {tensor(result, result.rank() >= 3 ? to : MemoryFormat::kRowMajor)}));
        };
        add(OpKind::kReshape, NoAttributes{}, {p.n, p.c * p.h * p.w});
        add(OpKind::kReshape, NoAttributes{}, {p.n, p.c, p.h * p.w});
        add(OpKind::kReshape, NoAttributes{}, {p.w, p.n, p.c * p.h});
        add(OpKind::kReshape, NoAttributes{}, {1, p.n * p.c, p.h, p.w});
        add(OpKind::kPermute, PermuteAttributes{{0, 2, 3, 1}}, {p.n, p.h, p.w, p.c});
        add(OpKind::kPermute, PermuteAttributes{{3, 1, 0, 2}}, {p.w, p.c, p.n, p.h});
        for (int axis = 0; axis < 4; ++axis) {
          const int64_t begin = shape[axis] / 3, end = shape[axis] - shape[axis] / 4;
          Shape slice = shape, padded = shape;
          slice[axis] = end - begin;
          padded[axis] = shape[axis] + 5;
          add(OpKind::kSlice, SliceAttributes{axis, begin, end, shape[axis]}, slice);
          add(OpKind::kPad, SliceAttributes{axis, 2, 2 + shape[axis], padded[axis]}, padded);
          Shape joined = shape, second = shape;
          second[axis] = 3;
          joined[axis] = shape[axis] * 2 + 3;
          cases->push_back(op_case(fmt::format("{} axis {}", label, axis), OpKind::kConcat, ConcatAttributes{axis},
                                   {tensor(shape, from), tensor(second, from), tensor(shape, from)},
                                   {tensor(joined, to)}));
          cases->push_back(op_case(fmt::format("{} axis {} in parts", label, axis), OpKind::kSlice,
                                   SliceAttributes{axis, shape[axis], joined[axis], joined[axis]},
                                   {tensor(joined, from)}, {tensor(second, to), tensor(shape, to)}));
        }
      }
    }
  }
  // More parts than one launch of a GPU copies.
  const std::vector<TensorDesc> parts(20, tensor({2, 3, 4, 5}));
  const TensorDesc whole = tensor({2, 60, 4, 5});
  cases->push_back(op_case("of many parts", OpKind::kConcat, ConcatAttributes{1}, parts, {whole}));
  cases->push_back(op_case("of many parts", OpKind::kSlice, SliceAttributes{1, 0, 60, 60}, {whole}, parts));
  cases->push_back(op_case("axes without a common division", OpKind::kReshape, NoAttributes{},
                           {tensor({2, 6, 5, 2}, MemoryFormat::kChannelsLast)},
                           {tensor({2, 4, 15}, MemoryFormat::kRowMajor)}));
}

// Pads of the channels of images to 16 bytes, which may change order and type. Only GPUs have them.
inline void add_pixel_pads(std::vector<OpCase>* cases) {
  const DType f32 = DType::kF32, bf16 = DType::kBF16, f16 = DType::kF16;
  for (const auto& [from, to] :
       std::vector<std::pair<DType, DType>>{{f32, f32}, {f32, bf16}, {f32, f16}, {bf16, bf16}, {f16, f16}}) {
    for (MemoryFormat order : kBothOrders) {
      for (const Shape& shape : {Shape{2, 3, 33, 31}, Shape{3, 1, 17}, Shape{1, 2, 5, 6, 7}}) {
        Shape padded = shape;
        padded[1] = 16 / size_of(to);
        cases->push_back(
            op_case(fmt::format("{} {} {} to {}", shape.text(), name_of(order), name_of(from), name_of(to)),
                    OpKind::kPad, SliceAttributes{1, 0, shape[1], padded[1]}, {tensor(shape, order, from)},
                    {tensor(padded, MemoryFormat::kChannelsLast, to)}));
      }
    }
  }
}

inline std::vector<OpCase> kernel_cases() {
  std::vector<OpCase> cases;
  add_convolutions(&cases);
  add_pools(&cases);
  add_lrns(&cases);
  add_matmuls(&cases);
  add_recurrences(&cases);
  add_copies(&cases);
  return cases;
}

}  // namespace trainer::cpu
