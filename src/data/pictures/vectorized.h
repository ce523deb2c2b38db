// Functions whose loops the compiler turns into vectors. Each is also compiled for AVX2; the dynamic loader selects the
// version. Not for functions of a room that is compiled for each instruction set.
#pragma once

#ifdef __SANITIZE_THREAD__  // it starts after the loader has made its choice
#define TRAINER_VECTORIZED
#else
#define TRAINER_VECTORIZED __attribute__((target_clones("avx2", "default"), optimize("O3")))
#endif
#define TRAINER_INLINE inline __attribute__((always_inline))
