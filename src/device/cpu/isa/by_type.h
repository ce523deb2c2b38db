// A table of functions for f32 tensors, and one for bf16 tensors.
#pragma once

#include "tensor/bf16.h"

namespace trainer::cpu {

template <template <typename> class Table>
struct ByType {
  Table<float> f32;
  Table<Bf16> bf16;

  template <typename T>
  const Table<T>& of() const {
    if constexpr (sizeof(T) == sizeof(float)) {
      return f32;
    } else {
      return bf16;
    }
  }
};

}  // namespace trainer::cpu
