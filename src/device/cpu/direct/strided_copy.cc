// Plans and runs strided copies.
#include "device/cpu/direct/strided_copy.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "device/cpu/isa.h"
#include "device/cpu/isa/transpose.h"
#include "device/cpu/parallel.h"

namespace trainer::cpu {
namespace {

constexpr size_t kMaxAxes = 32;
constexpr int64_t kRunPartBytes = 16384;
constexpr int64_t kTransposePart = 64;  // a multiple of every block edge of isa/transpose.cc

// Sorts axes by the memory order of the result, drops axes of one element and merges axes that are contiguous on both
// sides.
std::vector<CopyAxis> merged(std::vector<CopyAxis> axes) {
  axes.erase(std::remove_if(axes.begin(), axes.end(), [](const CopyAxis& axis) { return axis.extent == 1; }),
             axes.end());
  std::stable_sort(axes.begin(), axes.end(), [](const CopyAxis& a, const CopyAxis& b) { return a.to > b.to; });
  std::vector<CopyAxis> joined;
  for (const CopyAxis& axis : axes) {
    CopyAxis* outer = joined.empty() ? nullptr : &joined.back();
    if (outer != nullptr && outer->from == axis.extent * axis.from && outer->to == axis.extent * axis.to) {
      *outer = {outer->extent * axis.extent, axis.from, axis.to};
    } else {
      joined.push_back(axis);
    }
  }
  return joined;
}

}  // namespace

StridedCopy::StridedCopy(std::vector<CopyAxis> axes, int64_t from, int64_t to, int64_t element_bytes, int threads)
    : outer_(merged(std::move(axes))),
      from_(from),
      to_(to),
      bytes_(element_bytes),
      threads_(threads),
      table_(for_isa(isa_v2::kTransposeTable, isa_v3::kTransposeTable, isa_v4::kTransposeTable)) {
  TRAINER_ASSERT(bytes_ == 1 || bytes_ == 2 || bytes_ == 4);
  TRAINER_ASSERT(outer_.size() <= kMaxAxes);
  if (!outer_.empty()) {
    inner_ = outer_.back();
    outer_.pop_back();
  }
  const auto dense_source =
      std::find_if(outer_.begin(), outer_.end(), [](const CopyAxis& axis) { return axis.from == 1; });
  int64_t split = inner_.extent;
  if (inner_.from == 1 && inner_.to == 1) {
    part_ = std::max<int64_t>(1, kRunPartBytes / bytes_);
  } else if (inner_.to == 1 && dense_source != outer_.end()) {
    form_ = Form::kTransposes;
    cross_ = *dense_source;
    outer_.erase(dense_source);
    split = cross_.extent;
    part_ = kTransposePart;
  } else {
    form_ = Form::kElements;
    part_ = kRunPartBytes / bytes_;
  }
  parts_ = (split + part_ - 1) / part_;
  items_ = parts_;
  for (const CopyAxis& axis : outer_) items_ *= axis.extent;
}

void StridedCopy::run(const void* from, void* to) const {
  const int64_t count = inner_.extent * cross_.extent;
  const int64_t work = parts_ == 0 ? 0 : std::max<int64_t>(1, count / parts_);
  parallel_ranges(threads_, items_, work, [&](int, int64_t begin, int64_t end) {
    run_items(static_cast<const char*>(from) + from_ * bytes_, static_cast<char*>(to) + to_ * bytes_, begin, end);
  });
}

void StridedCopy::run_items(const char* from, char* to, int64_t begin, int64_t end) const {
  int64_t at[kMaxAxes];
  int64_t part = begin % parts_, rest = begin / parts_;
  for (size_t i = outer_.size(); i-- > 0;) {
    at[i] = rest % outer_[i].extent;
    rest /= outer_[i].extent;
    from += at[i] * outer_[i].from * bytes_;
    to += at[i] * outer_[i].to * bytes_;
  }
  for (int64_t item = begin; item < end; ++item) {
    run_item(from, to, part);
    if (++part < parts_) continue;
    part = 0;
    for (size_t i = outer_.size(); i-- > 0;) {
      const CopyAxis& axis = outer_[i];
      from += axis.from * bytes_;
      to += axis.to * bytes_;
      if (++at[i] < axis.extent) break;
      from -= axis.extent * axis.from * bytes_;
      to -= axis.extent * axis.to * bytes_;
      at[i] = 0;
    }
  }
}

void StridedCopy::run_item(const char* from, char* to, int64_t part) const {
  const int64_t first = part * part_;
  if (form_ == Form::kTransposes) {
    const int64_t columns = std::min(part_, cross_.extent - first);
    from += first * bytes_;
    to += first * cross_.to * bytes_;
    if (bytes_ == 4) {
      table_.words(inner_.extent, columns, reinterpret_cast<const uint32_t*>(from), inner_.from,
                   reinterpret_cast<uint32_t*>(to), cross_.to);
    } else if (bytes_ == 2) {
      table_.halves(inner_.extent, columns, reinterpret_cast<const uint16_t*>(from), inner_.from,
                    reinterpret_cast<uint16_t*>(to), cross_.to);
    } else {
      table_.bytes(inner_.extent, columns, reinterpret_cast<const uint8_t*>(from), inner_.from,
                   reinterpret_cast<uint8_t*>(to), cross_.to);
    }
    return;
  }
  const int64_t count = std::min(part_, inner_.extent - first);
  from += first * inner_.from * bytes_;
  to += first * inner_.to * bytes_;
  if (form_ == Form::kRuns) {
    std::memcpy(to, from, static_cast<size_t>(count * bytes_));
  } else if (bytes_ == 4) {
    move_elements<uint32_t>(from, to, count);
  } else if (bytes_ == 2) {
    move_elements<uint16_t>(from, to, count);
  } else {
    move_elements<uint8_t>(from, to, count);
  }
}

template <typename T>
void StridedCopy::move_elements(const char* from, char* to, int64_t count) const {
  const T* source = reinterpret_cast<const T*>(from);
  T* target = reinterpret_cast<T*>(to);
  for (int64_t i = 0; i < count; ++i) target[i * inner_.to] = source[i * inner_.from];
}

bool reshape_axes(const TensorDesc& from, const TensorDesc& to, std::vector<CopyAxis>* axes) {
  const auto row_major = [](const TensorDesc& desc) {
    return desc.order == MemoryFormat::kRowMajor || orders_coincide(desc.shape);
  };
  if (row_major(from) && row_major(to)) {
    axes->push_back({from.shape.count(), 1, 1});
    return true;
  }
  const std::vector<int64_t> from_strides = from.strides(), to_strides = to.strides();
  int i = from.shape.rank() - 1, j = to.shape.rank() - 1;
  // The remaining extent of the current axis on each side, and its stride.
  int64_t left = 1, right = 1, from_step = 0, to_step = 0;
  for (;;) {
    for (; left == 1 && i >= 0; --i) left = from.shape[i], from_step = from_strides[static_cast<size_t>(i)];
    for (; right == 1 && j >= 0; --j) right = to.shape[j], to_step = to_strides[static_cast<size_t>(j)];
    if (left == 1 && right == 1) return true;
    const int64_t extent = std::min(left, right);
    if (extent <= 1 || left % extent != 0 || right % extent != 0) return false;
    axes->push_back({extent, from_step, to_step});
    left /= extent;
    right /= extent;
    from_step *= extent;
    to_step *= extent;
  }
}

}  // namespace trainer::cpu
