// TRAINER_VECTORIZED: functions whose loops the compiler turns into vectors. Each is also compiled for AVX2; the
// dynamic loader selects the version. TRAINER_AVX2: functions with AVX2 instructions, to be called only if has_avx2()
// is true. Not for the kernels of src/device/cpu/isa, which are compiled for each instruction set.
#pragma once

#ifdef __SANITIZE_THREAD__  // it starts after the loader has made its choice
#define TRAINER_VECTORIZED
#else
#define TRAINER_VECTORIZED __attribute__((target_clones("avx2", "default"), optimize("O3")))
#endif
#define TRAINER_INLINE inline __attribute__((always_inline))

namespace trainer {

#ifdef __x86_64__
#define TRAINER_AVX2 __attribute__((target("avx2")))
inline bool has_avx2() { return __builtin_cpu_supports("avx2"); }
#else
inline bool has_avx2() { return false; }
#endif

}  // namespace trainer
