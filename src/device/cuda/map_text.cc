// Writes the text of a map's kernels.
#include "device/cuda/map_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "ops/map_layout.h"

namespace trainer::cuda {
namespace {

constexpr int kLanes = 32, kRows = 8, kElementThreads = 256;
constexpr int64_t kMostDims = 8;
// A multiprocessor's share of a large map: blocks at a time. What a lane sums at least before a part ends.
constexpr int64_t kBlocksEach = 8, kLeastOfPart = 64;

const char* type_of(DType dtype) {
  switch (dtype) {
    case DType::kF32: return "float";
    case DType::kBF16: return "Bf16";
    case DType::kF16: return "F16";
    case DType::kS32: return "int";
    case DType::kU8: return "unsigned char";
  }
  return "?";
}

// What every text begins with: element types and how sums and maxima join. Rounding to bf16 is that of tensor/bf16.h,
// the draws behind it those of base/philox.h. Outside NVRTC, in tests, the compiler brings half_to_float and
// float_to_half.
const char* const kPrelude = R"(
#ifdef __CUDACC_RTC__
#define INFINITY __int_as_float(0x7f800000)
__device__ inline float half_to_float(unsigned short bits) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
  return x;
}
__device__ inline unsigned short float_to_half(float x) {
  unsigned short bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
  return bits;
}
#endif
enum { LANES = 32, ROWS = 8 };
struct Bf16 { unsigned short bits; };
struct F16 { unsigned short bits; };
__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(int x) { return (float)x; }
__device__ inline float to_float(unsigned char x) { return (float)x; }
__device__ inline float to_float(Bf16 x) { return __uint_as_float((unsigned)x.bits << 16); }
__device__ inline float to_float(F16 x) { return half_to_float(x.bits); }
__device__ inline void put(float* to, float x) { *to = x; }
__device__ inline void put(Bf16* to, float x) {
  const unsigned bits = __float_as_uint(x);
  to->bits = (unsigned short)(x != x ? bits >> 16 | 0x40 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
__device__ inline void put(F16* to, float x) { to->bits = float_to_half(x); }
template <int W, typename T> struct alignas(W * sizeof(T)) Pack { T at[W]; };
template <int W, typename T> __device__ inline void load(float (&x)[W], const T* from) {
  const Pack<W, T> pack = *(const Pack<W, T>*)from;
  for (int w = 0; w < W; ++w) x[w] = to_float(pack.at[w]);
}
template <int W, typename T> __device__ inline void store(T* to, const float (&x)[W]) {
  Pack<W, T> pack;
  for (int w = 0; w < W; ++w) put(&pack.at[w], x[w]);
  *(Pack<W, T>*)to = pack;
}
__device__ inline float join_max(float a, float b) { return a != a || a > b ? a : b; }
__device__ inline double join_max(double a, double b) { return a != a || a > b ? a : b; }
template <typename T> __device__ inline T join_sum(T a, T b) { return a + b; }
)";

const char* const kPhilox = R"(
struct Draws { unsigned at[4]; };
__device__ inline Draws philox(unsigned long long key, unsigned long long stream, unsigned long long counter) {
  unsigned c0 = (unsigned)counter, c1 = (unsigned)(counter >> 32), c2 = (unsigned)stream, c3 = (unsigned)(stream >> 32);
  unsigned k0 = (unsigned)key, k1 = (unsigned)(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const unsigned long long p0 = 0xD2511F53ull * c0, p1 = 0xCD9E8D57ull * c2;
    c0 = (unsigned)(p1 >> 32) ^ c1 ^ k0;
    c2 = (unsigned)(p0 >> 32) ^ c3 ^ k1;
    c1 = (unsigned)p1;
    c3 = (unsigned)p0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}
__device__ inline float uniform_of(unsigned bits) { return ((float)(bits >> 8) + 0.5f) * (1.0f / 16777216.0f); }
__device__ inline float uniform(unsigned long long key, unsigned long long stream, unsigned long long element) {
  return uniform_of(philox(key, stream, element / 4).at[element % 4]);
}
__device__ inline float normal(unsigned long long key, unsigned long long stream, unsigned long long element) {
  const Draws draws = philox(key, stream, element / 4);
  const int pair = element % 4 & ~1;
  const float radius = sqrtf(-2.0f * logf(uniform_of(draws.at[pair])));
  const float angle = 6.28318530718f * uniform_of(draws.at[pair + 1]);
  return radius * (element % 2 == 0 ? cosf(angle) : sinf(angle));
}
)";

const char* const kSegments = R"(
__device__ inline float segment(const long long* ends, const float* values, long long count, long long element) {
  long long low = 0;
  while (count > 0) {
    const long long half = count / 2;
    if (ends[low + half] <= element) {
      low += half + 1;
      count -= half + 1;
    } else {
      count = half;
    }
  }
  return values[low];
}
)";

// Numbers that are so common that texts with them written out are worth their number.
bool is_written_out(float k) { return k == 0 || k == 1 || k == -1 || k == 2 || k == 0.5f || k == -0.5f; }

int64_t ceiling(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Writes one launch: the stored outputs or none, and reduced outputs that keep the same dims.
class Writer {
 public:
  Writer(const OpInstance& instance, const MapLayout& layout, const std::vector<size_t>& outputs, int multiprocessors)
      : body_(instance.op->as<MapBody>()),
        instance_(instance),
        layout_(layout),
        dims_(body_.domain, layout.order, layout.strides),
        multiprocessors_(multiprocessors) {
    for (size_t output : outputs) (is_reduced(output) ? reduced_ : stored_).push_back(output);
    find_used_nodes(outputs);
    number_arguments(outputs);
    choose_walk();
  }

  MapLaunch write() {
    std::string body;
    switch (walk_) {
      case Walk::kElements: body = elements_text(); break;
      case Walk::kRows: body = rows_text(); break;
      case Walk::kColumns: body = columns_text(); break;
    }
    const bool draws = uses(Fn::kUniform) || uses(Fn::kNormal);
    launch_.text = fmt::format("{}{}{}\ntypedef {} Index;\n{}\n{}", kPrelude, draws ? kPhilox : "",
                               uses(Fn::kSegment) ? kSegments : "", wide_ ? "long long" : "int", arguments_text(), body);
    pack_arguments();
    return std::move(launch_);
  }

 private:
  enum class Walk { kElements, kRows, kColumns };

  bool is_reduced(size_t output) const { return body_.outputs[output].reduction != Reduction::kNone; }
  const MapNode& node(int i) const { return body_.nodes[static_cast<size_t>(i)]; }
  bool is_used(int i) const { return used_[static_cast<size_t>(i)]; }
  bool uses(Fn fn) const {
    for (size_t i = 0; i < used_.size(); ++i) {
      if (used_[i] && body_.nodes[i].fn == fn) return true;
    }
    return false;
  }
  int dims() const { return static_cast<int>(dims_.extents.size()); }
  int64_t extent(int dim) const { return dims_.extents[static_cast<size_t>(dim)]; }
  int64_t stride(int stream, int dim) const { return dims_.strides[static_cast<size_t>(stream)][static_cast<size_t>(dim)]; }

  void find_used_nodes(const std::vector<size_t>& outputs) {
    used_.assign(body_.nodes.size(), false);
    for (size_t output : outputs) used_[static_cast<size_t>(body_.outputs[output].node)] = true;
    for (size_t i = used_.size(); i-- > 0;) {
      if (!used_[i]) continue;
      const MapNode& n = body_.nodes[i];
      const int arguments[] = {n.a, n.b, n.c};
      for (int argument = 0; argument < arity_of(n.fn); ++argument) used_[static_cast<size_t>(arguments[argument])] = true;
    }
  }

  void number_arguments(const std::vector<size_t>& outputs) {
    auto number = [](std::vector<int>* list, int value) {
      if (std::find(list->begin(), list->end(), value) == list->end()) list->push_back(value);
    };
    for (size_t i = 0; i < used_.size(); ++i) {
      if (!used_[i]) continue;
      if (layout_.of_node[i] >= 0) number(&streams_, layout_.of_node[i]);
      if (body_.nodes[i].fn == Fn::kInput) number(&launch_.operands, body_.nodes[i].a);
      if (body_.nodes[i].fn == Fn::kSegment) number(&launch_.tables, body_.nodes[i].a);
      if (body_.nodes[i].fn == Fn::kUniform || body_.nodes[i].fn == Fn::kNormal) number(&keys_, body_.nodes[i].a);
    }
    for (size_t output : outputs) {
      number(&streams_, layout_.of_output(output));
      launch_.outputs.push_back(static_cast<int>(output));
    }
  }
  static size_t place(const std::vector<int>& list, int value) {
    return static_cast<size_t>(std::find(list.begin(), list.end(), value) - list.begin());
  }

  void choose_walk() {
    int64_t furthest = body_.domain.count();
    for (int s : streams_) {
      int64_t last = 0;
      for (int dim = 0; dim < dims(); ++dim) last += stride(s, dim) * (extent(dim) - 1);
      furthest = std::max(furthest, last);
    }
    wide_ = furthest > std::numeric_limits<int32_t>::max() / 2;
    if (reduced_.empty()) {
      walk_ = Walk::kElements;
      for (int dim = 0; dim < dims(); ++dim) kept_.push_back(dim);
      width_ = can_be_wide() ? 4 : 1;
      launch_.lanes = kElementThreads;
      units_ = body_.domain.count() / width_;
      launch_.blocks = ceiling(units_, kElementThreads);
      return;
    }
    const int any = layout_.of_output(reduced_[0]);
    for (int dim = 0; dim < dims(); ++dim) {
      const bool summed = stride(any, dim) == 0 && extent(dim) != 1;
      (summed ? summed_ : kept_).push_back(dim);
      (summed ? summed_count_ : kept_count_) *= extent(dim);
    }
    walk_ = !summed_.empty() && summed_.back() == dims() - 1 ? Walk::kRows : Walk::kColumns;
    launch_.lanes = kLanes;
    launch_.rows = kRows;
    // As many parts as keep the device busy, none of them small.
    const int64_t across = walk_ == Walk::kRows ? kLanes : kRows;
    const int64_t results = walk_ == Walk::kRows ? ceiling(kept_count_, kRows) : ceiling(kept_count_, kLanes);
    const int64_t wanted = ceiling(multiprocessors_ * kBlocksEach, std::max<int64_t>(results, 1));
    parts_ = std::max<int64_t>(1, std::min(wanted, summed_count_ / (across * kLeastOfPart)));
    chunk_ = std::max<int64_t>(ceiling(summed_count_, parts_), 1);
    parts_ = std::max<int64_t>(ceiling(summed_count_, chunk_), 1);
    units_ = (walk_ == Walk::kRows ? kept_count_ : ceiling(kept_count_, kLanes)) * parts_;
    launch_.blocks = walk_ == Walk::kRows ? ceiling(units_, kRows) : units_;
    if (parts_ > 1) {
      launch_.part_floats = parts_ * kept_count_ * static_cast<int64_t>(reduced_.size());
      launch_.finish_blocks = ceiling(kept_count_, kLanes * kRows);
    }
  }

  // Whether neighbours along the innermost dim can be read and written four at a time.
  bool can_be_wide() const {
    const int last = dims() - 1;
    if (extent(last) % 4 != 0) return false;
    for (int s : streams_) {
      if (s >= layout_.operands + static_cast<int>(body_.outputs.size())) continue;
      if (stride(s, last) == 0) continue;
      if (stride(s, last) != 1) return false;
      for (int dim = 0; dim < last; ++dim) {
        if (stride(s, dim) % 4 != 0) return false;
      }
    }
    return true;
  }

  // A stream's offset from the coordinates of some dims: "c0 * a.stride[2][0] + c1".
  std::string offset(int stream_number, const std::vector<int>& of) const {
    std::string text;
    for (int dim : of) {
      const int64_t by = stride(stream_number, dim);
      if (by == 0) continue;
      text += text.empty() ? "" : " + ";
      text += by == 1 ? fmt::format("c{}", dim)
                      : fmt::format("c{} * (Index)a.stride[{}][{}]", dim, place(streams_, stream_number), dim);
    }
    return text.empty() ? "0" : text;
  }
  // Splits `from` into the coordinates of some dims; that of the innermost dim counts groups of `width_` neighbours.
  std::string coordinates(const std::string& from, const std::vector<int>& of, const std::string& indent) const {
    std::string text;
    const std::string rest = of.size() > 1 ? "rest_" + from : from;
    if (of.size() > 1) text += fmt::format("{}Index {} = {};\n", indent, rest, from);
    for (size_t i = of.size(); i-- > 0;) {
      const std::string groups = width_ > 1 && of[i] == dims() - 1 ? fmt::format(" * {}", width_) : "";
      const std::string within = i == 0 ? "" : fmt::format(" % (Index)a.extent[{}]", of[i]);
      text += fmt::format("{}const Index c{} = {}{}{};\n", indent, of[i], rest, within, groups);
      if (i > 0) text += fmt::format("{}{} /= (Index)a.extent[{}];\n", indent, rest, of[i]);
    }
    return text;
  }

  std::string arguments_text() const {
    std::string text = "struct Arguments {\n";
    for (size_t i = 0; i < launch_.operands.size(); ++i) text += fmt::format("  const {}* in{};\n", input_type(i), i);
    for (size_t i = 0; i < launch_.outputs.size(); ++i) text += fmt::format("  {}* out{};\n", output_type(i), i);
    text += "  float* parts;\n  const unsigned long long* pass;\n";
    for (size_t i = 0; i < launch_.tables.size(); ++i) text += fmt::format("  const long long* ends{0};\n  const float* values{0};\n", i);
    text += fmt::format("  long long units, part_count, chunk, summed, kept;\n  long long extent[{}];\n  long long stride[{}][{}];\n", dims(),
                        streams_.size(), dims());
    if (!launch_.tables.empty()) text += fmt::format("  long long entries[{}];\n", launch_.tables.size());
    if (!keys_.empty()) text += fmt::format("  unsigned long long key[{}];\n", keys_.size());
    const size_t constants = std::max<size_t>(constants_.size(), 1);
    return text + fmt::format("  float k[{}];\n}};\n", constants);
  }
  const char* input_type(size_t i) const { return type_of(instance_.inputs[static_cast<size_t>(launch_.operands[i])].dtype); }
  const char* output_type(size_t i) const { return type_of(instance_.outputs[static_cast<size_t>(launch_.outputs[i])].dtype); }

  void pack_arguments() {
    std::vector<std::byte>& bytes = launch_.arguments;
    bytes.assign((launch_.operands.size() + launch_.outputs.size() + 2 + 2 * launch_.tables.size()) * 8, std::byte{0});
    auto append = [&](const auto& value) {
      const size_t at = bytes.size();
      bytes.resize(at + sizeof value);
      std::memcpy(bytes.data() + at, &value, sizeof value);
    };
    for (int64_t number : {units_, parts_, chunk_, summed_count_, kept_count_}) append(number);
    for (int dim = 0; dim < dims(); ++dim) append(extent(dim) / (dim == dims() - 1 ? width_ : 1));
    for (int s : streams_) {
      for (int dim = 0; dim < dims(); ++dim) append(stride(s, dim));
    }
    for (int table : launch_.tables) append(static_cast<int64_t>(body_.segments[static_cast<size_t>(table)].ends.size()));
    for (int key : keys_) append(body_.keys[static_cast<size_t>(key)]);
    if (constants_.empty()) constants_.push_back(0);
    for (float k : constants_) append(k);
    while (bytes.size() % 8 != 0) bytes.push_back(std::byte{0});
  }

  std::string number(float k) {
    if (is_written_out(k)) return fmt::format("{:.1f}f", k);
    constants_.push_back(k);
    return fmt::format("a.k[{}]", constants_.size() - 1);
  }

  std::string power_text(const std::string& a, float k) {
    if (k == 2) return fmt::format("{0} * {0}", a);
    if (k == 3) return fmt::format("{0} * {0} * {0}", a);
    if (k == 1) return a;
    if (k == -1) return fmt::format("1.0f / {}", a);
    // As std::pow: minus infinity gives infinity, and -0 is no different from 0.
    if (k == 0.5f) return fmt::format("({0} == -INFINITY ? INFINITY : sqrtf({0} + 0.0f))", a);
    if (k == -0.5f) return fmt::format("({0} == -INFINITY ? 0.0f : 1.0f / sqrtf({0} + 0.0f))", a);
    return fmt::format("powf({}, {})", a, number(k));
  }

  std::string function_text(const MapNode& n) {
    const std::string a = fmt::format("v{}", n.a), b = fmt::format("v{}", n.b), c = fmt::format("v{}", n.c);
    switch (n.fn) {
      case Fn::kNegate: return "-" + a;
      case Fn::kAbs: return fmt::format("fabsf({})", a);
      case Fn::kSign: return fmt::format("({0} != {0} ? {0} : (float)(({0} > 0.0f) - ({0} < 0.0f)))", a);
      case Fn::kExp: return fmt::format("expf({})", a);
      case Fn::kLog: return fmt::format("logf({})", a);
      case Fn::kSqrt: return fmt::format("sqrtf({})", a);
      case Fn::kErf: return fmt::format("erff({})", a);
      case Fn::kTanh: return fmt::format("tanhf({})", a);
      case Fn::kSigmoid: return fmt::format("1.0f / (1.0f + expf(-{}))", a);
      case Fn::kFloor: return fmt::format("floorf({})", a);
      case Fn::kSoftplus: return fmt::format("({0} != {0} ? {0} : fmaxf({0}, 0.0f) + log1pf(expf(-fabsf({0}))))", a);
      case Fn::kPowerConstant: return power_text(a, n.k);
      case Fn::kRelu:
        return n.k == 0 ? fmt::format("({0} > 0.0f || {0} != {0} ? {0} : 0.0f)", a)
                        : fmt::format("({0} > 0.0f ? {0} : {1} * {0})", a, number(n.k));
      case Fn::kAdd: return a + " + " + b;
      case Fn::kSubtract: return a + " - " + b;
      case Fn::kMultiply: return a + " * " + b;
      case Fn::kDivide: return a + " / " + b;
      case Fn::kMinimum: return fmt::format("({0} != {0} || {0} < {1} ? {0} : {1})", a, b);
      case Fn::kMaximum: return fmt::format("({0} != {0} || {0} > {1} ? {0} : {1})", a, b);
      case Fn::kPower: return fmt::format("powf({}, {})", a, b);
      case Fn::kGreater: return fmt::format("({} > {} ? 1.0f : 0.0f)", a, b);
      case Fn::kGreaterEqual: return fmt::format("({} >= {} ? 1.0f : 0.0f)", a, b);
      case Fn::kEqual: return fmt::format("({} == {} ? 1.0f : 0.0f)", a, b);
      case Fn::kReluGradient: return fmt::format("({} > 0.0f ? {} : {} * {})", a, b, number(n.k), b);
      case Fn::kSelect: return fmt::format("({} != 0.0f ? {} : {})", a, b, c);
      default: return "";
    }
  }

  // What is the same for all neighbours of a thread is computed before the loop over them.
  bool varies(int i) const {
    const MapNode& n = node(i);
    if (arity_of(n.fn) == 0)
      return n.fn != Fn::kConstant && stride(layout_.of_node[static_cast<size_t>(i)], dims() - 1) != 0;
    const int arguments[] = {n.a, n.b, n.c};
    for (int argument = 0; argument < arity_of(n.fn); ++argument) {
      if (varies_[static_cast<size_t>(arguments[argument])]) return true;
    }
    return false;
  }

  std::string leaf_text(int i, bool lane) {
    const MapNode& n = node(i);
    if (n.fn == Fn::kConstant) return number(n.k);
    const int s = layout_.of_node[static_cast<size_t>(i)];
    const size_t at = place(streams_, s);
    if (n.fn == Fn::kInput)
      return lane && width_ > 1 ? fmt::format("x{}[w]", place(launch_.operands, n.a))
                                : fmt::format("to_float(a.in{}[p{}])", place(launch_.operands, n.a), at);
    const int64_t by = stride(s, dims() - 1);
    std::string index = fmt::format("p{}", at);
    if (lane && width_ > 1) index += by == 1 ? " + w" : fmt::format(" + w * (Index)a.stride[{}][{}]", at, dims() - 1);
    if (n.fn == Fn::kIndex) return fmt::format("(float)({})", index);
    if (n.fn == Fn::kSegment) {
      const size_t table = place(launch_.tables, n.a);
      return fmt::format("segment(a.ends{0}, a.values{0}, a.entries[{0}], {1})", table, index);
    }
    return fmt::format("{}(a.key[{}], *a.pass, (unsigned long long)({}))", n.fn == Fn::kUniform ? "uniform" : "normal",
                       place(keys_, n.a), index);
  }

  // Loads, nodes and outputs at the offsets p0, p1, ...; each neighbour w of `width_`.
  std::string evaluation(const std::string& indent) {
    varies_.assign(body_.nodes.size(), false);
    std::string loads, before, inside, stores;
    for (int i = 0; i < static_cast<int>(body_.nodes.size()); ++i) {
      if (!is_used(i)) continue;
      varies_[static_cast<size_t>(i)] = width_ > 1 && varies(i);
      const bool lane = varies_[static_cast<size_t>(i)];
      const MapNode& n = node(i);
      if (lane && n.fn == Fn::kInput) {
        const size_t operand = place(launch_.operands, n.a), at = place(streams_, layout_.of_node[static_cast<size_t>(i)]);
        const std::string load = fmt::format("{0}float x{1}[{2}];\n{0}load(x{1}, a.in{1} + p{3});\n", indent, operand, width_, at);
        if (loads.find(load) == std::string::npos) loads += load;
      }
      const std::string value = arity_of(n.fn) == 0 ? leaf_text(i, lane) : function_text(n);
      (lane ? inside : before) += fmt::format("{}{}const float v{} = {};\n", indent, lane ? "  " : "", i, value);
    }
    for (size_t output : stored_) {
      const size_t number = place(launch_.outputs, static_cast<int>(output)), at = place(streams_, layout_.of_output(output));
      const int value = body_.outputs[output].node;
      if (width_ == 1) {
        stores += fmt::format("{}put(a.out{} + p{}, v{});\n", indent, number, at, value);
      } else {
        loads += fmt::format("{}float y{}[{}];\n", indent, number, width_);
        inside += fmt::format("{}  y{}[w] = v{};\n", indent, number, value);
        stores += fmt::format("{0}store(a.out{1} + p{2}, y{1});\n", indent, number, at);
      }
    }
    for (size_t i = 0; i < reduced_.size(); ++i) {
      stores += fmt::format("{0}s{1} = {2}(s{1}, v{3});\n", indent, i, join_of(reduced_[i]), body_.outputs[reduced_[i]].node);
    }
    if (width_ == 1) return loads + before + inside + stores;
    return fmt::format("{0}{1}{2}#pragma unroll\n{2}for (int w = 0; w < {3}; ++w) {{\n{4}{2}}}\n{5}", loads, before, indent, width_,
                       inside, stores);
  }
  const char* join_of(size_t output) const {
    return body_.outputs[output].reduction == Reduction::kSum ? "join_sum" : "join_max";
  }
  const char* start_of(size_t output) const {
    return body_.outputs[output].reduction == Reduction::kSum ? "0.0f" : "-INFINITY";
  }

  std::string elements_text() {
    std::string text =
        "extern \"C\" __global__ void __launch_bounds__(256) map(const __grid_constant__ Arguments a) {\n"
        "  for (Index i = (Index)blockIdx.x * blockDim.x + threadIdx.x; i < (Index)a.units; i += (Index)gridDim.x * blockDim.x) {\n";
    text += coordinates("i", kept_, "    ");
    for (size_t s = 0; s < streams_.size(); ++s)
      text += fmt::format("    const Index p{} = {};\n", s, offset(streams_[s], kept_));
    return text + evaluation("    ") + "  }\n}\n";
  }

  // Base offsets from the kept dims, then a loop over the summed ones from `first` by `step`.
  std::string sum_loop(const std::string& first, const std::string& step, const std::string& indent) {
    std::string text;
    for (size_t s = 0; s < streams_.size(); ++s)
      text += fmt::format("{}const Index b{} = {};\n", indent, s, offset(streams_[s], kept_));
    text += fmt::format("{0}const Index first = part * (Index)a.chunk, end = first + (Index)a.chunk < (Index)a.summed ? first + (Index)a.chunk : "
                        "(Index)a.summed;\n{0}for (Index r = first + {1}; r < end; r += {2}) {{\n",
                        indent, first, step);
    text += coordinates("r", summed_, indent + "  ");
    for (size_t s = 0; s < streams_.size(); ++s) {
      const std::string along = offset(streams_[s], summed_);
      text += fmt::format("{}  const Index p{} = b{}{};\n", indent, s, s, along == "0" ? "" : " + " + along);
    }
    return text + evaluation(indent + "  ") + indent + "}\n";
  }
  std::string declare_sums(const std::string& indent) const {
    std::string text;
    for (size_t i = 0; i < reduced_.size(); ++i) text += fmt::format("{}float s{} = {};\n", indent, i, start_of(reduced_[i]));
    return text;
  }
  // Stores the sums of result k, or of its part.
  std::string store_sums(const std::string& indent) const {
    std::string text = fmt::format("{}if (a.part_count == 1) {{\n", indent);
    for (size_t i = 0; i < reduced_.size(); ++i) text += fmt::format("{}  put({}, s{});\n", indent, result_at(reduced_[i]), i);
    text += fmt::format("{}}} else {{\n", indent);
    for (size_t i = 0; i < reduced_.size(); ++i)
      text += fmt::format("{}  a.parts[({} * a.part_count + part) * a.kept + k] = s{};\n", indent, i, i);
    return text + indent + "}\n";
  }
  std::string result_at(size_t output) const {
    return fmt::format("a.out{} + b{}", place(launch_.outputs, static_cast<int>(output)),
                       place(streams_, layout_.of_output(output)));
  }

  std::string rows_text() {
    std::string text =
        "extern \"C\" __global__ void __launch_bounds__(256) map(const __grid_constant__ Arguments a) {\n"
        "  for (Index unit = (Index)blockIdx.x * blockDim.y + threadIdx.y; unit < (Index)a.units; unit += (Index)gridDim.x * blockDim.y) {\n"
        "    const Index k = unit / (Index)a.part_count, part = unit % (Index)a.part_count;\n";
    text += coordinates("k", kept_, "    ") + declare_sums("    ") + sum_loop("threadIdx.x", "LANES", "    ");
    text += "    for (int lane = LANES / 2; lane > 0; lane /= 2) {\n";
    for (size_t i = 0; i < reduced_.size(); ++i)
      text += fmt::format("      s{0} = {1}(s{0}, __shfl_xor_sync(~0u, s{0}, lane));\n", i, join_of(reduced_[i]));
    text += "    }\n    if (threadIdx.x == 0) {\n" + store_sums("      ") + "    }\n  }\n}\n";
    return text + finish_text();
  }

  std::string columns_text() {
    std::string text = fmt::format(
        "extern \"C\" __global__ void __launch_bounds__(256) map(const __grid_constant__ Arguments a) {{\n"
        "  __shared__ float sums[{}][ROWS][LANES];\n"
        "  for (Index unit = blockIdx.x; unit < (Index)a.units; unit += gridDim.x) {{\n"
        "    const Index k = unit / (Index)a.part_count * LANES + threadIdx.x, part = unit % (Index)a.part_count;\n{}"
        "    if (k < (Index)a.kept) {{\n",
        reduced_.size(), declare_sums("    "));
    text += coordinates("k", kept_, "      ") + sum_loop("threadIdx.y", "ROWS", "      ") + "    }\n";
    for (size_t i = 0; i < reduced_.size(); ++i) text += fmt::format("    sums[{0}][threadIdx.y][threadIdx.x] = s{0};\n", i);
    text += "    __syncthreads();\n    if (threadIdx.y == 0 && k < (Index)a.kept) {\n      for (int y = 1; y < ROWS; ++y) {\n";
    for (size_t i = 0; i < reduced_.size(); ++i)
      text += fmt::format("        s{0} = {1}(s{0}, sums[{0}][y][threadIdx.x]);\n", i, join_of(reduced_[i]));
    text += "      }\n" + coordinates("k", kept_, "      ");
    for (size_t output : reduced_) {
      const int s = layout_.of_output(output);
      text += fmt::format("      const Index b{} = {};\n", place(streams_, s), offset(s, kept_));
    }
    text += store_sums("      ") + "    }\n    __syncthreads();\n  }\n}\n";
    return text + finish_text();
  }

  std::string finish_text() const {
    std::string text =
        "extern \"C\" __global__ void __launch_bounds__(256) finish(const __grid_constant__ Arguments a) {\n"
        "  for (Index k = ((Index)blockIdx.x * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x; k < (Index)a.kept;\n"
        "       k += (Index)gridDim.x * blockDim.y * blockDim.x) {\n";
    text += coordinates("k", kept_, "    ");
    for (size_t i = 0; i < reduced_.size(); ++i) {
      const int s = layout_.of_output(reduced_[i]);
      text += fmt::format("    const Index b{} = {};\n    double t{} = {};\n", place(streams_, s), offset(s, kept_), i,
                          start_of(reduced_[i]));
    }
    text += "    for (Index part = 0; part < (Index)a.part_count; ++part) {\n";
    for (size_t i = 0; i < reduced_.size(); ++i)
      text += fmt::format("      t{0} = {1}(t{0}, (double)a.parts[({0} * a.part_count + part) * a.kept + k]);\n", i, join_of(reduced_[i]));
    text += "    }\n";
    for (size_t i = 0; i < reduced_.size(); ++i) text += fmt::format("    put({}, (float)t{});\n", result_at(reduced_[i]), i);
    return text + "  }\n}\n";
  }

  const MapBody& body_;
  const OpInstance& instance_;
  const MapLayout& layout_;
  const MapDims dims_;
  const int multiprocessors_;
  MapLaunch launch_;
  std::vector<size_t> stored_, reduced_;
  std::vector<bool> used_, varies_;  // by node
  std::vector<int> streams_, keys_;  // in the sequence of the arguments
  std::vector<float> constants_;
  Walk walk_ = Walk::kElements;
  std::vector<int> kept_, summed_;  // dims
  int64_t kept_count_ = 1, summed_count_ = 1;
  int64_t units_ = 0, parts_ = 1, chunk_ = 0;
  int width_ = 1;
  bool wide_ = false;
};

}  // namespace

std::vector<MapLaunch> map_launches(const OpInstance& instance, int multiprocessors) {
  const MapBody& body = instance.op->as<MapBody>();
  const MapLayout layout(body, instance.inputs, instance.outputs);
  // Outputs that keep the same axes are made together; the stored ones last, since they may overwrite operands.
  std::vector<std::vector<size_t>> groups;
  std::vector<size_t> stored;
  for (size_t i = 0; i < body.outputs.size(); ++i) {
    if (body.outputs[i].reduction == Reduction::kNone) {
      stored.push_back(i);
      continue;
    }
    const auto same = std::find_if(groups.begin(), groups.end(), [&](const std::vector<size_t>& group) {
      return instance.outputs[group[0]].shape == instance.outputs[i].shape;
    });
    if (same == groups.end()) {
      groups.push_back({i});
    } else {
      same->push_back(i);
    }
  }
  if (groups.empty()) {
    groups.push_back(stored);
  } else {
    groups.back().insert(groups.back().end(), stored.begin(), stored.end());
  }
  std::vector<MapLaunch> launches;
  for (const std::vector<size_t>& group : groups) launches.push_back(Writer(instance, layout, group, multiprocessors).write());
  return launches;
}

std::string refuse_map_text(const OpInstance& instance) {
  const MapBody& body = instance.op->as<MapBody>();
  const MapLayout layout(body, instance.inputs, instance.outputs);
  if (static_cast<int64_t>(MapDims(body.domain, layout.order, layout.strides).extents.size()) > kMostDims)
    return fmt::format("more than {} axes that cannot be joined", kMostDims);
  for (size_t i = 0; i < instance.outputs.size(); ++i) {
    const DType dtype = instance.outputs[i].dtype;
    const bool floats = dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16;
    if (!floats) return fmt::format("a result is {}; maps write floats", name_of(dtype));
  }
  return "";
}

}  // namespace trainer::cuda
