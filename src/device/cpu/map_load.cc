// Loads along the innermost dim of a pattern, with a counter for each other dim.
#include "device/cpu/map_load.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace trainer::cpu {
namespace {

// Calls visit(value, tile) for each row of n elements of a tile. `value`: the value of the stream at the row's start.
template <typename Float, typename Visit>
void each_row(const TilePattern& pattern, size_t outer, int64_t n, int64_t value, Float* tile, const Visit& visit) {
  int64_t counters[kMaxDims] = {};
  for (;;) {
    visit(value, tile);
    tile += n;
    size_t dim = outer;
    for (; dim > 0; --dim) {
      value += pattern[dim - 1].stride;
      if (++counters[dim - 1] < pattern[dim - 1].extent) break;
      value -= pattern[dim - 1].stride * pattern[dim - 1].extent;
      counters[dim - 1] = 0;
    }
    if (dim == 0) return;
  }
}

struct InnerRow {
  int64_t n = 1, stride = 1;
  size_t outer = 0;
  explicit InnerRow(const TilePattern& pattern) {
    if (pattern.empty()) return;
    n = pattern.back().extent;
    stride = pattern.back().stride;
    outer = pattern.size() - 1;
  }
};

void copy(const MapTable&, const float* from, int64_t n, float* to) {
  std::memcpy(to, from, static_cast<size_t>(n) * sizeof(float));
}
void copy(const MapTable& table, const uint8_t* from, int64_t n, float* to) { table.convert_u8(to, from, n); }
void copy(const MapTable& table, const int32_t* from, int64_t n, float* to) { table.convert_s32(to, from, n); }

void copy(const MapTable& table, const Bf16* from, int64_t n, float* to) { table.convert_bf16(to, from, n); }

template <typename T>
float as_float(T value) {
  if constexpr (std::is_same_v<T, Bf16>) {
    return to_float(value);
  } else {
    return static_cast<float>(value);
  }
}

template <typename T>
void gather(const MapTable& table, const T* from, const TilePattern& pattern, int64_t first, float* to) {
  const InnerRow row(pattern);
  if constexpr (std::is_same_v<T, float>) {
    if (row.stride == 0 && row.outer > 0) {
      const StridedDim rows = pattern[row.outer - 1];
      each_row(pattern, row.outer - 1, rows.extent * row.n, first, to,
               [&](int64_t at, float* tile) { table.fill_rows(tile, from + at, rows.stride, rows.extent, row.n); });
      return;
    }
  }
  each_row(pattern, row.outer, row.n, first, to, [&](int64_t at, float* tile) {
    if (row.stride == 1) {
      copy(table, from + at, row.n, tile);
    } else {
      for (int64_t i = 0; i < row.n; ++i) tile[i] = as_float(from[at + i * row.stride]);
    }
  });
}

void coordinates(const TilePattern& pattern, int64_t first, float* to) {
  const InnerRow row(pattern);
  each_row(pattern, row.outer, row.n, first, to, [&](int64_t at, float* tile) {
    for (int64_t i = 0; i < row.n; ++i) tile[i] = static_cast<float>(at + i * row.stride);
  });
}

void segment_values(const MapTable& primitives, const SegmentTable& table, const TilePattern& pattern, int64_t first,
                    float* to) {
  const TilePrimitive fill = primitives.primitives[static_cast<int>(TileOp::kCopy)][kScalarA];
  const InnerRow row(pattern);
  each_row(pattern, row.outer, row.n, first, to, [&](int64_t at, float* tile) {
    size_t segment =
        static_cast<size_t>(std::upper_bound(table.ends.begin(), table.ends.end(), at) - table.ends.begin());
    for (int64_t i = 0; i < row.n;) {
      while (table.ends[segment] <= at + i * row.stride) ++segment;
      const int64_t left =
          (table.ends[segment] - at + row.stride - 1) / row.stride;  // elements of the row up to the end of the segment
      const int64_t end = std::min(row.n, left);
      fill(tile + i, &table.values[segment], nullptr, nullptr, 0, end - i);
      i = end;
    }
  });
}

void draws(const LeafSource& source, const MapNode& leaf, const TilePattern& pattern, int64_t first, float* to) {
  const uint64_t key = source.body.keys[static_cast<size_t>(leaf.a)];
  const auto draw = leaf.fn == Fn::kUniform ? source.table.uniform : source.table.normal;
  const InnerRow row(pattern);
  // One call handles rows of neighboring elements.
  const bool joins = row.outer > 0 && pattern[row.outer - 1].stride == 1;
  const int64_t rows = joins ? pattern[row.outer - 1].extent : 1;
  each_row(pattern, row.outer - (joins ? 1 : 0), rows * row.n, first, to, [&](int64_t at, float* tile) {
    draw(tile, key, source.pass, static_cast<uint64_t>(at), static_cast<uint64_t>(row.stride), rows, row.n);
  });
}

}  // namespace

void load_leaf(const LeafSource& source, const MapNode& leaf, const TilePattern& pattern, int64_t first, float* to) {
  const MapTable& table = source.table;
  switch (leaf.fn) {
    case Fn::kInput:
      switch (source.dtype) {
        case DType::kU8: return gather(table, static_cast<const uint8_t*>(source.operand), pattern, first, to);
        case DType::kS32: return gather(table, static_cast<const int32_t*>(source.operand), pattern, first, to);
        case DType::kBF16: return gather(table, static_cast<const Bf16*>(source.operand), pattern, first, to);
        default: return gather(table, static_cast<const float*>(source.operand), pattern, first, to);
      }
    case Fn::kIndex: return coordinates(pattern, first, to);
    case Fn::kSegment:
      return segment_values(table, source.body.segments[static_cast<size_t>(leaf.a)], pattern, first, to);
    default: return draws(source, leaf, pattern, first, to);
  }
}

void scatter_tile(const MapTable& table, const float* tile, const TilePattern& pattern, int64_t first, DType dtype,
                  void* to) {
  const InnerRow row(pattern);
  each_row(pattern, row.outer, row.n, first, tile, [&](int64_t at, const float* from) {
    if (dtype == DType::kF32) {
      for (int64_t i = 0; i < row.n; ++i) static_cast<float*>(to)[at + i * row.stride] = from[i];
    } else if (row.stride == 1) {
      table.round_bf16(static_cast<Bf16*>(to) + at, from, row.n);
    } else {
      for (int64_t i = 0; i < row.n; ++i) static_cast<Bf16*>(to)[at + i * row.stride] = to_bf16(from[i]);
    }
  });
}

}  // namespace trainer::cpu
