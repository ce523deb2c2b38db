// The functions of ops/functions.def on a register of floats. The error is at most about 2 units in the last place;
// zeros, infinities and NaN are exact; denormals may be flushed to zero. Argument reductions and polynomials are those
// of S. Moshier's Cephes library. Only for files of isa/.
#pragma once

#include "device/cpu/isa/map_vector.h"

namespace trainer::cpu::TRAINER_ISA {

TRAINER_INLINE F is_nan_or(F x, F otherwise) { return is_nan(x) ? x : otherwise; }
TRAINER_INLINE F where(I condition, F then, F otherwise) { return condition ? then : otherwise; }
TRAINER_INLINE F one_where(I condition) { return (F)(condition & 0x3F800000); }
TRAINER_INLINE F infinity() { return set(__builtin_inff()); }

TRAINER_INLINE F negate(F x) { return -x; }
TRAINER_INLINE F abs(F x) { return (F)((I)x & 0x7FFFFFFF); }
TRAINER_INLINE F sign(F x) { return is_nan_or(x, one_where(x > 0.0f) - one_where(x < 0.0f)); }
TRAINER_INLINE F relu(F x, float k) { return k == 0 ? larger(set(0.0f), x) : where(x > 0.0f, x, x * k); }
TRAINER_INLINE F add(F a, F b) { return a + b; }
TRAINER_INLINE F subtract(F a, F b) { return a - b; }
TRAINER_INLINE F multiply(F a, F b) { return a * b; }
TRAINER_INLINE F divide(F a, F b) { return a / b; }
TRAINER_INLINE F maximum(F a, F b) { return is_nan_or(a, larger(a, b)); }
TRAINER_INLINE F minimum(F a, F b) { return -maximum(-a, -b); }
TRAINER_INLINE F greater(F a, F b) { return one_where(a > b); }
TRAINER_INLINE F greater_equal(F a, F b) { return one_where(a >= b); }
TRAINER_INLINE F equal(F a, F b) { return one_where(a == b); }
TRAINER_INLINE F relu_gradient(F a, F b, float k) { return where(a > 0.0f, b, b * k); }
TRAINER_INLINE F select(F a, F b, F c) { return where(a != 0.0f, b, c); }

// 2^n for -126 <= n <= 127.
TRAINER_INLINE F power_of_two(I n) { return (F)((n + 127) << 23); }

// The p and n of e^x = 2^n * (1 + p), |p| < 1/2.
struct Exponential {
  F p;
  I n;
};
TRAINER_INLINE Exponential split_exp(F x) {
  const F n = round_nearest(x * 1.44269504088896341f);
  F r = x - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  F p = set(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  return {p * (r * r) + r, __builtin_convertvector(n, I)};
}
// x * 2^n in two steps, because 2^n itself may be out of range.
TRAINER_INLINE F scale(F x, I n) {
  const I half = n >> 1;
  return x * power_of_two(half) * power_of_two(n - half);
}

TRAINER_INLINE F exp(F x) {
  x = x > 89.0f ? set(89.0f) : x;
  x = x < -104.0f ? set(-104.0f) : x;
  const Exponential e = split_exp(x);
  return scale(e.p + 1.0f, e.n);
}

// e^x - 1 = 2^n * (p + (1 - 2^-n)): accurate for n = 0, and -1 for x <= -20.
TRAINER_INLINE F expm1(F x) {
  x = x > 89.0f ? set(89.0f) : x;
  x = x < -20.0f ? set(-20.0f) : x;
  const Exponential e = split_exp(x);
  const I n = e.n > 126 ? set_int(126) : e.n;
  const I negative = (I)(-(U)n);  // unsigned: n of a NaN is INT_MIN
  return scale(e.p + (1.0f - power_of_two(negative)), e.n);
}

TRAINER_INLINE F log(F x) {
  // x = 2^e * m with m in [sqrt(1/2), sqrt(2)). Unsigned, because x may be negative.
  const I shifted = (I)((U)x - 0x3F3504F3u);
  const F e = __builtin_convertvector(shifted >> 23, F);
  const F m = (F)((shifted & 0x007FFFFF) + 0x3F3504F3) - 1.0f;
  const F z = m * m;
  F p = set(7.0376836292e-2f);
  p = p * m + -1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m + -1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m + -1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m + -2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  F y = p * m * z;
  y = y + e * -2.12194440e-4f;
  y = y - 0.5f * z;
  F result = m + y;
  result = result + e * 0.693359375f;
  result = x < 1.17549435e-38f ? (x < 0.0f ? set(__builtin_nanf("")) : -infinity()) : result;
  result = x == infinity() ? x : result;
  return is_nan_or(x, result);
}

TRAINER_INLINE F tanh(F x) {
  const F size = abs(x);
  const F z = x * x;
  F p = set(-5.70498872745e-3f);
  p = p * z + 2.06390887954e-2f;
  p = p * z + -5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z + -3.33332819422e-1f;
  const F small = p * z * x + x;
  F large = 1.0f - 2.0f / (exp(size + size) + 1.0f);
  large = (F)((I)large | ((I)x & static_cast<int32_t>(0x80000000u)));
  return is_nan_or(x, size < 0.625f ? small : large);
}

// Near 0 an odd polynomial; above 1, 1 - e^-x^2 / x * polynomial(1 / x^2); from 4 on, 1.
TRAINER_INLINE F erf(F x) {
  const F size = abs(x);
  const F z = x * x;
  F p = set(7.853861353153693e-5f);
  p = p * z + -8.010193625184903e-4f;
  p = p * z + 5.188327685732524e-3f;
  p = p * z + -2.685381193529856e-2f;
  p = p * z + 1.128358514861418e-1f;
  p = p * z + -3.761262582423300e-1f;
  p = p * z + 1.128379165726710f;
  const F small = x * p;
  const F s = size < 1.0f ? set(1.0f) : size > 4.0f ? set(4.0f) : size;
  const F q = 1.0f / s, y = q * q;
  F near = set(2.326819970068386e-2f);
  near = near * y + -1.387039388740657e-1f;
  near = near * y + 3.687424674597105e-1f;
  near = near * y + -5.824733027278666e-1f;
  near = near * y + 6.210004621745983e-1f;
  near = near * y + -4.944515323274145e-1f;
  near = near * y + 3.404879937665872e-1f;
  near = near * y + -2.741127028184656e-1f;
  near = near * y + 5.638259427386472e-1f;
  F far = set(-1.047766399936249e1f);
  far = far * y + 1.297719955372516e1f;
  far = far * y + -7.495518717768503f;
  far = far * y + 2.921019019210786f;
  far = far * y + -1.015265279202700f;
  far = far * y + 4.218463358204948e-1f;
  far = far * y + -2.820767439740514e-1f;
  far = far * y + 5.641895067754075e-1f;
  F large = 1.0f - exp(-(s * s)) * q * (s < 2.0f ? near : far);
  large = (F)((I)large | ((I)x & static_cast<int32_t>(0x80000000u)));
  return is_nan_or(x, size < 1.0f ? small : large);
}

TRAINER_INLINE F sigmoid(F x) { return 1.0f / (1.0f + exp(-x)); }

// log(1 + e^x) = max(x, 0) + log(1 + y), y = e^-|x|. The second term corrects the rounding error of 1 + y.
TRAINER_INLINE F softplus(F x) {
  const F y = exp(-abs(x));
  const F u = 1.0f + y;
  const F correction = (y - (u - 1.0f)) / u;
  return larger(set(0.0f), x) + (log(u) + correction);
}

// sin and cos of angles in [0, 2 pi].
TRAINER_INLINE void sine_cosine(F angle, F* sine, F* cosine) {
  const F q = round_nearest(angle * 0.636619772367581f);
  F r = angle - q * 1.5703125f;
  r = r - q * 4.837512969970703125e-4f;
  r = r - q * 7.54978995489188216e-8f;
  const F z = r * r;
  const F s = ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z + -1.6666654611e-1f) * z * r + r;
  const F c =
      ((2.443315711809948e-5f * z + -1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z * z - 0.5f * z + 1.0f;
  const I quadrant = __builtin_convertvector(q, I);
  const auto swap = (quadrant & 1) != 0;
  const F a = swap ? c : s, b = swap ? s : c;
  *sine = (quadrant & 2) != 0 ? -a : a;
  *cosine = ((quadrant + 1) & 2) != 0 ? -b : b;
}

// x^y for half a register of positive finite x and finite y, in double.
TRAINER_INLINE D power_of_positive(D x, D y) {
  typedef int64_t L __attribute__((vector_size(sizeof(D))));
  const L bits = (L)x;
  const L shifted = bits - 0x3FE6A09E667F3BCD;  // of sqrt(1/2)
  const L exponent = shifted >> 52;
  const D m = (D)(bits - (exponent << 52));
  // Adds an integer of at most 51 bits to the mantissa of 1.5 * 2^52.
  constexpr int64_t kMagic = 0x4338000000000000;
  const D e = (D)(exponent + kMagic) - 6755399441055744.0;
  const D t = (m - 1.0) / (m + 1.0), z = t * t;
  D p = D{} + 2.0 / 17;
#pragma GCC unroll 8
  for (int n = 15; n > 0; n -= 2) p = p * z + 2.0 / n;
  D power = y * (e + p * t * 1.4426950408889634);
  power = power > 200.0 ? D{} + 200.0 : power;
  power = power < -200.0 ? D{} - 200.0 : power;
  const D shift = power + 6755399441055744.0;
  const D r = (power - (shift - 6755399441055744.0)) * 0.6931471805599453;
  constexpr double kInverseFactorials[] = {1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120,
                                           1.0 / 24,      1.0 / 6,      0.5,         1.0,        1.0};
  D q = D{} + 1.0 / 39916800;
#pragma GCC unroll 11
  for (int i = 0; i < 11; ++i) q = q * r + kInverseFactorials[i];
  return q * (D)(((L)shift - kMagic + 1023) << 52);
}

// Equal to std::pow, which computes the lanes with special values.
TRAINER_INLINE F power(F x, F y) {
  typedef float H __attribute__((vector_size(kWidth * 2)));
  const auto plain = (x > 0.0f) & (x < infinity()) & (abs(y) < infinity());
  const F safe_x = plain ? x : set(1.0f), safe_y = plain ? y : set(1.0f);
  H xs[2], ys[2], out[2];
  store(reinterpret_cast<float*>(xs), safe_x);
  store(reinterpret_cast<float*>(ys), safe_y);
  for (int half = 0; half < 2; ++half) {
    const D value = power_of_positive(__builtin_convertvector(xs[half], D), __builtin_convertvector(ys[half], D));
    out[half] = __builtin_convertvector(value, H);
  }
  F result = load<F>(reinterpret_cast<const float*>(out));
  bool all = true;
  for (int i = 0; i < kWidth; ++i) all = all & (plain[i] != 0);
  if (__builtin_expect(!all, 0)) {
    for (int i = 0; i < kWidth; ++i) {
      if (plain[i] == 0) result[i] = __builtin_powf(x[i], y[i]);
    }
  }
  return result;
}
TRAINER_INLINE F power_constant(F x, float k) { return power(x, set(k)); }

}  // namespace trainer::cpu::TRAINER_ISA
