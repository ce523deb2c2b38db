// The pointwise primitives of the map interpreter: one loop for each op and choice of scalar operands.
#include "device/cpu/isa/map_functions.h"
#include "device/cpu/isa/map_rows.h"
#include "device/cpu/isa/map_table.h"
#include "ops/fn.h"

namespace trainer::cpu::TRAINER_ISA {
namespace {

// Processes `kUnroll` registers at a time, for independent chains of arithmetic.
template <typename Op, int kMode, int kUnroll>
void apply(float* out, const float* a, const float* b, const float* c, float k, int64_t n) {
  constexpr bool kUsesB = Op::kArity > 1, kUsesC = Op::kArity > 2;
  constexpr bool kLoadA = !(kMode & kScalarA), kLoadB = kUsesB && !(kMode & kScalarB);
  constexpr bool kLoadC = kUsesC && !(kMode & kScalarC);
  F fixed_a = {}, fixed_b = {}, fixed_c = {};
  if constexpr (!kLoadA) fixed_a = set(*a);
  if constexpr (kUsesB && !kLoadB) fixed_b = set(*b);
  if constexpr (kUsesC && !kLoadC) fixed_c = set(*c);
  int64_t i = 0;
  for (; i + kUnroll * kWidth <= n; i += kUnroll * kWidth) {
    F result[kUnroll];
#pragma GCC unroll 4
    for (int u = 0; u < kUnroll; ++u) {
      const int64_t at = i + u * kWidth;
      const F x = kLoadA ? load<F>(a + at) : fixed_a;
      const F y = kLoadB ? load<F>(b + at) : fixed_b;
      const F z = kLoadC ? load<F>(c + at) : fixed_c;
      result[u] = Op::run(x, y, z, k);
    }
#pragma GCC unroll 4
    for (int u = 0; u < kUnroll; ++u) store(out + i + u * kWidth, result[u]);
  }
  for (; i < n; i += kWidth) {
    const int64_t left = n - i;
    if (left >= kWidth) {
      const F x = kLoadA ? load<F>(a + i) : fixed_a;
      const F y = kLoadB ? load<F>(b + i) : fixed_b;
      const F z = kLoadC ? load<F>(c + i) : fixed_c;
      store(out + i, Op::run(x, y, z, k));
    } else {
      const F x = kLoadA ? load_first(a + i, left) : fixed_a;
      const F y = kLoadB ? load_first(b + i, left) : fixed_b;
      const F z = kLoadC ? load_first(c + i, left) : fixed_c;
      store_first(out + i, Op::run(x, y, z, k), left);
    }
  }
}

#define TRAINER_OP(name, arity, expression)               \
  struct name {                                           \
    static constexpr int kArity = arity;                  \
    static TRAINER_INLINE F run(F a, F b, F c, float k) { \
      (void)a, (void)b, (void)c, (void)k;                 \
      return expression;                                  \
    }                                                     \
  };

TRAINER_INLINE F root_of(F a) { return where(a == -infinity(), infinity(), sqrt(a + 0.0f)); }
TRAINER_INLINE F three_quarters_of(F a) {
  const F root = root_of(a);
  return root * sqrt(root);
}
TRAINER_INLINE F small_power_of(F a, float k) {
  const int exponent = static_cast<int>(k), times = exponent < 0 ? -exponent : exponent;
  F result = a;
  if (times == 2) result = a * a;
  if (times == 3) result = a * a * a;
  if (times == 4) result = (a * a) * (a * a);
  return exponent < 0 ? 1.0f / result : result;
}

#define TRAINER_FUNCTION(name, function, text, arguments, ...) \
  TRAINER_OP(name, arity_of(#arguments), function(TRAINER_ARGUMENTS_##arguments))
#include "ops/functions.def"
TRAINER_OP(Copy, 1, a)
TRAINER_OP(SquareRootPower, 1, root_of(a))
TRAINER_OP(InverseSquareRoot, 1, 1.0f / root_of(a))
TRAINER_OP(ThreeQuarters, 1, three_quarters_of(a))
TRAINER_OP(InverseThreeQuarters, 1, 1.0f / three_quarters_of(a))
TRAINER_OP(SmallPower, 1, small_power_of(a, k))
TRAINER_OP(AddAdd, 3, a + b + c)
TRAINER_OP(AddSubtract, 3, a + b - c)
TRAINER_OP(AddMultiply, 3, (a + b) * c)
TRAINER_OP(SubtractAdd, 3, a - b + c)
TRAINER_OP(SubtractSubtract, 3, a - b - c)
TRAINER_OP(SubtractMultiply, 3, (a - b) * c)
TRAINER_OP(MultiplyAdd, 3, a* b + c)
TRAINER_OP(MultiplySubtract, 3, a* b - c)
TRAINER_OP(MultiplyMultiply, 3, a* b* c)
TRAINER_OP(AddSubtractFrom, 3, c - (a + b))
TRAINER_OP(SubtractSubtractFrom, 3, c - (a - b))
TRAINER_OP(MultiplySubtractFrom, 3, c - a * b)
TRAINER_OP(AddRelu, 2, relu(a + b, k))
TRAINER_OP(MultiplyAddRelu, 3, relu(a* b + c, k))

// A costly function has independent chains itself, and unrolled it would not fit in the registers.
constexpr int unroll_of(int cost) { return cost < 10 ? 4 : cost < 20 ? 2 : 1; }

template <typename Op, int kUnroll = 4>
constexpr void place(MapTable& table, TileOp op) {
  TilePrimitive* modes = table.primitives[static_cast<int>(op)];
  modes[0] = apply<Op, 0, kUnroll>;
  if constexpr (Op::kArity > 1) {
    modes[1] = apply<Op, 1, kUnroll>;
    modes[2] = apply<Op, 2, kUnroll>;
  }
  if constexpr (Op::kArity > 2) {
    modes[3] = apply<Op, 3, kUnroll>;
    modes[4] = apply<Op, 4, kUnroll>;
    modes[5] = apply<Op, 5, kUnroll>;
    modes[6] = apply<Op, 6, kUnroll>;
  }
}

constexpr MapTable make_table() {
  MapTable t = {};
#define TRAINER_FUNCTION(name, function, text, arguments, cost, ...) place<name, unroll_of(cost)>(t, TileOp::k##name);
#include "ops/functions.def"
  place<Copy>(t, TileOp::kCopy);
  t.primitives[static_cast<int>(TileOp::kCopy)][kScalarA] = apply<Copy, kScalarA, 4>;
  place<SquareRootPower>(t, TileOp::kSquareRootPower);
  place<InverseSquareRoot>(t, TileOp::kInverseSquareRoot);
  place<ThreeQuarters, 2>(t, TileOp::kThreeQuarters);
  place<InverseThreeQuarters, 2>(t, TileOp::kInverseThreeQuarters);
  place<SmallPower, 1>(t, TileOp::kSmallPower);
  place<AddAdd>(t, TileOp::kAddAdd);
  place<AddSubtract>(t, TileOp::kAddSubtract);
  place<AddMultiply>(t, TileOp::kAddMultiply);
  place<SubtractAdd>(t, TileOp::kSubtractAdd);
  place<SubtractSubtract>(t, TileOp::kSubtractSubtract);
  place<SubtractMultiply>(t, TileOp::kSubtractMultiply);
  place<MultiplyAdd>(t, TileOp::kMultiplyAdd);
  place<MultiplySubtract>(t, TileOp::kMultiplySubtract);
  place<MultiplyMultiply>(t, TileOp::kMultiplyMultiply);
  place<AddSubtractFrom>(t, TileOp::kAddSubtractFrom);
  place<SubtractSubtractFrom>(t, TileOp::kSubtractSubtractFrom);
  place<MultiplySubtractFrom>(t, TileOp::kMultiplySubtractFrom);
  place<AddRelu>(t, TileOp::kAddRelu);
  place<MultiplyAddRelu>(t, TileOp::kMultiplyAddRelu);
  t.sum_each_row = sum_each_row;
  t.sum_rows = sum_rows;
  t.max_each_row = max_each_row;
  t.max_rows = max_rows;
  t.dot = dot;
  t.fill_rows = fill_rows;
  t.convert_u8 = convert_u8;
  t.convert_s32 = convert_s32;
  t.convert_bf16 = convert_bf16;
  t.round_bf16 = round_bf16;
  t.uniform = uniform;
  t.normal = normal;
  return t;
}

}  // namespace

constexpr MapTable kTable = make_table();
const MapTable kMapTable = kTable;

}  // namespace trainer::cpu::TRAINER_ISA
