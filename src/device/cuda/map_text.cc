// Writes the text of a map's kernels.
#include "device/cuda/map_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "device/cuda/map_arguments.h"
#include "device/cuda/map_expression.h"
#include "device/cuda/map_walk.h"
#include "device/cuda/preludes.h"

namespace trainer::cuda {
namespace {

constexpr size_t kMostDims = 8;

// Writes one launch. In its kernels, stream i of the walk lies at offset p<i>, in sums counted from b<i>;
// c<dim> are coordinates, x<i> what was loaded of an operand, v<i> node values, s<i> sums of a thread.
class Writer {
 public:
  Writer(const OpInstance& instance, const MapLayout& layout, const MapWalk& walk)
      : body_(instance.op->as<MapBody>()), instance_(instance), layout_(layout), walk_(walk) {}

  MapLaunch write() {
    MapLaunch launch;
    std::string kernels;
    switch (walk_.kind) {
      case MapWalk::Kind::kElements: kernels = elements_text(); break;
      case MapWalk::Kind::kRows: kernels = rows_text(); break;
      case MapWalk::Kind::kColumns: kernels = columns_text(); break;
    }
    launch.text =
        fmt::format("{}{}{}{}{}{}using namespace trainer::cuda;\ntypedef {} Index;\n", preludes::numbers,
                    preludes::functions, functions_text(), preludes::map, walk_.keys.empty() ? "" : preludes::draws,
                    walk_.tables.empty() ? "" : preludes::segments, walk_.has_far ? "long long" : "int");
    launch.text += fmt::format("enum {{ WIDTH = {}, RESULTS = {}, FLIGHT = {} }};\n", walk_.width,
                               walk_.width_of_results(), walk_.in_flight);
    launch.text += arguments_text(instance_, walk_, constants_.size()) + "\n" + kernels;
    launch.lanes = walk_.lanes;
    launch.rows = walk_.rows;
    launch.blocks = walk_.blocks;
    launch.finish_blocks = walk_.finish_blocks;
    if (walk_.parts > 1)
      launch.part_floats =
          walk_.parts * walk_.kept_groups * walk_.width_of_results() * static_cast<int64_t>(walk_.reduced.size());
    launch.arguments = packed_arguments(instance_, walk_, constants_);
    launch.operands = walk_.operands;
    launch.outputs.assign(walk_.outputs.begin(), walk_.outputs.end());
    launch.tables = walk_.tables;
    return launch;
  }

 private:
  const MapNode& node(int i) const { return body_.nodes[static_cast<size_t>(i)]; }

  // A stream's offset from the coordinates of some dims: "c0 * a.stride[2][0] + c1".
  std::string offset(int stream_number, const std::vector<size_t>& of) const {
    std::string text;
    for (size_t dim : of) {
      const int64_t by = walk_.stride(stream_number, dim);
      if (by == 0) continue;
      text += text.empty() ? "" : " + ";
      text += by == 1 ? fmt::format("c{}", dim)
                      : fmt::format("c{} * (Index)a.stride[{}][{}]", dim, place(walk_.streams, stream_number), dim);
    }
    return text.empty() ? "0" : text;
  }
  // Splits `from` into the coordinates of some dims; that of the innermost dim counts groups of neighbours.
  std::string coordinates(const std::string& from, const std::vector<size_t>& of, const std::string& indent) const {
    std::string text;
    const std::string rest = of.size() > 1 ? "rest_" + from : from;
    if (of.size() > 1) text += fmt::format("{}Index {} = {};\n", indent, rest, from);
    for (size_t i = of.size(); i-- > 0;) {
      const std::string groups = walk_.width > 1 && of[i] == walk_.innermost() ? fmt::format(" * {}", walk_.width) : "";
      const std::string within = i == 0 ? "" : fmt::format(" % (Index)a.extent[{}]", of[i]);
      text += fmt::format("{}const Index c{} = {}{}{};\n", indent, of[i], rest, within, groups);
      if (i > 0) text += fmt::format("{}{} /= (Index)a.extent[{}];\n", indent, rest, of[i]);
    }
    return text;
  }

  // Where stream s is: at one place in a walk over elements; in a sum at one of several in flight, or, where
  // it does not move, with the result.
  std::string place_of(int s) const {
    const size_t at = place(walk_.streams, s);
    if (walk_.reduced.empty()) return fmt::format("p{}", at);
    return walk_.moves(s) ? fmt::format("p{}[u]", at) : fmt::format("b{}", at);
  }
  int neighbours(int operand) const { return walk_.stride(operand, walk_.innermost()) == 0 ? 1 : walk_.width; }
  // What was loaded of an operand: neighbours as they lie. An operand's stream has its number.
  std::string loaded(int operand) const {
    return fmt::format("x{}{}", place(walk_.operands, operand), walk_.moves(operand) ? "[u]" : "");
  }
  // Loads the operands that move along what is summed, or the others.
  std::string loads(bool moving, const std::string& indent) const {
    std::string text;
    for (int operand : walk_.operands) {
      if (walk_.moves(operand) != moving) continue;
      text += fmt::format("{}{}{} = load<{}>(a.in{} + {});\n", indent, moving ? "" : "const auto ", loaded(operand),
                          neighbours(operand), place(walk_.operands, operand), place_of(operand));
    }
    return text;
  }

  // What is the same for all neighbours of a thread is computed before the loop over them.
  bool varies(int i) const {
    const MapNode& n = node(i);
    if (arity_of(n.fn) == 0)
      return n.fn != Fn::kConstant && walk_.stride(layout_.of_node[static_cast<size_t>(i)], walk_.innermost()) != 0;
    const int arguments[] = {n.a, n.b, n.c};
    for (int argument = 0; argument < arity_of(n.fn); ++argument) {
      if (varies_[static_cast<size_t>(arguments[argument])]) return true;
    }
    return false;
  }

  std::string leaf_text(int i) {
    const MapNode& n = node(i);
    if (n.fn == Fn::kConstant) return number_text(n.k, &constants_);
    if (n.fn == Fn::kInput) return fmt::format("to_float({}.at[{}])", loaded(n.a), neighbours(n.a) > 1 ? "w" : "0");
    const int s = layout_.of_node[static_cast<size_t>(i)];
    const int64_t by = walk_.stride(s, walk_.innermost());
    std::string index = place_of(s);
    if (walk_.width > 1 && by == 1) index += " + w";
    if (walk_.width > 1 && by > 1)
      index += fmt::format(" + w * (Index)a.stride[{}][{}]", place(walk_.streams, s), walk_.innermost());
    if (n.fn == Fn::kIndex) return fmt::format("(float)({})", index);
    if (n.fn == Fn::kSegment) {
      const size_t table = place(walk_.tables, n.a);
      return fmt::format("segment(a.ends{0}, a.values{0}, a.entries[{0}], {1})", table, index);
    }
    return fmt::format("{}(a.key[{}], *a.pass, (unsigned long long)({}))", n.fn == Fn::kUniform ? "uniform" : "normal",
                       place(walk_.keys, n.a), index);
  }

  // Nodes and outputs, from what was loaded: each neighbour w of a thread's.
  std::string evaluation(const std::string& indent) {
    varies_.assign(body_.nodes.size(), false);
    std::string before, inside, stores;
    for (int i = 0; i < static_cast<int>(body_.nodes.size()); ++i) {
      if (!walk_.used[static_cast<size_t>(i)]) continue;
      const bool lane = varies(i);
      varies_[static_cast<size_t>(i)] = lane;
      const std::string value = arity_of(node(i).fn) == 0 ? leaf_text(i) : expression_text(node(i), &constants_);
      (lane ? inside : before) += fmt::format("{}{}const float v{} = {};\n", indent, lane ? "  " : "", i, value);
    }
    for (size_t output : walk_.stored) {
      const size_t number = place(walk_.outputs, output);
      before += fmt::format("{}float y{}[WIDTH];\n", indent, number);
      inside += fmt::format("{}  y{}[w] = v{};\n", indent, number, body_.outputs[output].node);
      stores += fmt::format("{0}store(a.out{1} + {2}, y{1});\n", indent, number, place_of(layout_.of_output(output)));
    }
    for (size_t i = 0; i < walk_.reduced.size(); ++i) {
      inside += fmt::format("{0}  s{1}[w] = {2}::join(s{1}[w], v{3});\n", indent, i, join_of(walk_.reduced[i]),
                            body_.outputs[walk_.reduced[i]].node);
    }
    return fmt::format("{0}{1}#pragma unroll\n{1}for (int w = 0; w < WIDTH; ++w) {{\n{2}{1}}}\n{3}", before, indent,
                       inside, stores);
  }
  const char* join_of(size_t output) const {
    return body_.outputs[output].reduction == Reduction::kSum ? "Sum" : "Max";
  }

  std::string elements_text() {
    std::string text =
        "extern \"C\" __global__ void __launch_bounds__(256) map(const __grid_constant__ Arguments a) {\n"
        "  for (Index i = (Index)blockIdx.x * blockDim.x + threadIdx.x; i < (Index)a.units; i += "
        "(Index)gridDim.x * blockDim.x) {\n";
    text += coordinates("i", walk_.kept, "    ");
    for (size_t s = 0; s < walk_.streams.size(); ++s)
      text += fmt::format("    const Index p{} = {};\n", s, offset(walk_.streams[s], walk_.kept));
    return text + loads(false, "    ") + evaluation("    ") + "  }\n}\n";
  }

  // Makes the sums s<i> of a thread: what all elements of a result share, then a loop over a part's groups
  // from `first` in steps of `step`, the loads of several groups before the values of the first. Stores might
  // overwrite what later loads read, for all that the compiler knows: it would not change their sequence by
  // itself.
  std::string sum_loop(const std::string& first, const std::string& step, const std::string& indent) {
    std::string text, places, offsets;
    for (size_t s = 0; s < walk_.streams.size(); ++s) {
      const int stream = walk_.streams[s];
      text += fmt::format("{}const Index b{} = {};\n", indent, s, offset(stream, walk_.kept));
      if (!walk_.moves(stream)) continue;
      places += fmt::format("{}  Index p{}[FLIGHT];\n", indent, s);
      offsets += fmt::format("{0}      p{1}[u] = b{1} + {2};\n", indent, s, offset(stream, walk_.summed));
    }
    text += loads(false, indent);
    text += fmt::format(
        "{0}const Index begin = part * (Index)a.chunk, after = begin + (Index)a.chunk;\n"
        "{0}const Index end = after < (Index)a.summed ? after : (Index)a.summed;\n"
        "{0}for (Index group = begin + (Index){1}; group < end; group += FLIGHT * (Index){2}) {{\n",
        indent, first, step);
    const std::string each = fmt::format(
        "{0}  #pragma unroll\n{0}  for (int u = 0; u < FLIGHT; ++u) {{\n"
        "{0}    const Index r = group + u * (Index){1};\n{0}    if (r < end) {{\n",
        indent, step);
    const std::string close = fmt::format("{0}    }}\n{0}  }}\n", indent);
    const std::string inner = indent + "      ";
    for (int operand : walk_.operands) {
      if (!walk_.moves(operand)) continue;
      const size_t number = place(walk_.operands, operand);
      places +=
          fmt::format("{}  decltype(load<{}>(a.in{})) x{}[FLIGHT];\n", indent, neighbours(operand), number, number);
    }
    text += places;
    text += each + coordinates("r", walk_.summed, inner) + offsets + loads(true, inner) + close;
    return text + each + evaluation(inner) + close + indent + "}\n";
  }
  std::string declare_sums() const {
    std::string text;
    for (size_t i = 0; i < walk_.reduced.size(); ++i)
      text += fmt::format("    float s{0}[WIDTH];\n    begin<{1}>(s{0});\n", i, join_of(walk_.reduced[i]));
    return text;
  }
  // Joins the sums of a block's threads by a function of preludes/map.h.
  std::string join_sums(const char* function) const {
    std::string text;
    for (size_t i = 0; i < walk_.reduced.size(); ++i)
      text += fmt::format("    {}<{}>(s{}, shared);\n", function, join_of(walk_.reduced[i]), i);
    return text;
  }
  // The places b<s> of group k of results.
  std::string places_of_results(const std::string& indent) const {
    std::string text = coordinates("k", walk_.kept, indent);
    for (size_t output : walk_.reduced) {
      const int s = layout_.of_output(output);
      text += fmt::format("{}const Index b{} = {};\n", indent, place(walk_.streams, s), offset(s, walk_.kept));
    }
    return text;
  }
  // Of neighbour w in a group.
  std::string result_at(size_t output) const {
    return fmt::format("a.out{} + b{} + w", place(walk_.outputs, output),
                       place(walk_.streams, layout_.of_output(output)));
  }
  // Stores the sums of group k of results, or of its part.
  std::string store_sums() const {
    std::string text = places_of_results("      ") +
                       "      #pragma unroll\n      for (int w = 0; w < RESULTS; ++w) {\n"
                       "        if (a.part_count == 1) {\n";
    for (size_t i = 0; i < walk_.reduced.size(); ++i)
      text += fmt::format("          put({}, s{}[w]);\n", result_at(walk_.reduced[i]), i);
    text += "        } else {\n";
    for (size_t i = 0; i < walk_.reduced.size(); ++i)
      text +=
          fmt::format("          a.parts[(({0} * a.kept + k) * RESULTS + w) * a.part_count + part] = s{0}[w];\n", i);
    return text + "        }\n      }\n";
  }

  std::string rows_text() {
    std::string text =
        "extern \"C\" __global__ void __launch_bounds__(256) map(const __grid_constant__ Arguments a) {\n"
        "  __shared__ float shared[LANES];\n"
        "  for (Index unit = (Index)blockIdx.x * blockDim.y + threadIdx.y; unit < (Index)a.units; unit += "
        "(Index)gridDim.x * blockDim.y) {\n"
        "    const Index k = unit / (Index)a.part_count, part = unit % (Index)a.part_count;\n";
    text += declare_sums() + "    {\n" + coordinates("k", walk_.kept, "      ") +
            sum_loop("threadIdx.x", "blockDim.x", "      ") + "    }\n" + join_sums("join_lanes");
    return text + "    if (threadIdx.x == 0) {\n" + store_sums() + "    }\n  }\n}\n" + finish_text();
  }

  std::string columns_text() {
    std::string text =
        "extern \"C\" __global__ void __launch_bounds__(256) map(const __grid_constant__ Arguments a) {\n"
        "  __shared__ float shared[WIDTH][THREADS];\n"
        "  for (Index unit = blockIdx.x; unit < (Index)a.units; unit += gridDim.x) {\n"
        "    const Index k = unit / (Index)a.part_count * blockDim.x + threadIdx.x, part = unit % "
        "(Index)a.part_count;\n";
    text += declare_sums() + "    if (k < (Index)a.kept) {\n" + coordinates("k", walk_.kept, "      ") +
            sum_loop("threadIdx.y", "blockDim.y", "      ") + "    }\n" + join_sums("join_rows");
    return text + "    if (threadIdx.y == 0 && k < (Index)a.kept) {\n" + store_sums() + "    }\n  }\n}\n" +
           finish_text();
  }

  // Joins the parts of each result, a warp's work.
  std::string finish_text() const {
    std::string text =
        "extern \"C\" __global__ void __launch_bounds__(256) finish(const __grid_constant__ Arguments a) {\n"
        "  const Index results = (Index)a.kept * RESULTS, warps = THREADS / LANES;\n"
        "  for (Index result = blockIdx.x * warps + thread_of_block() / LANES; result < results; result += "
        "gridDim.x * warps) {\n"
        "    const Index k = result / RESULTS, w = result % RESULTS;\n";
    text += places_of_results("    ");
    for (size_t i = 0; i < walk_.reduced.size(); ++i) {
      text += fmt::format(
          "    const float t{0} = join_parts<{1}>(a.parts + ({0} * a.kept * RESULTS + result) * "
          "a.part_count, "
          "a.part_count);\n    if (thread_of_block() % LANES == 0) put({2}, t{0});\n",
          i, join_of(walk_.reduced[i]), result_at(walk_.reduced[i]));
    }
    return text + "  }\n}\n";
  }

  const MapBody& body_;
  const OpInstance& instance_;
  const MapLayout& layout_;
  const MapWalk& walk_;
  std::vector<float> constants_;  // of the arguments
  std::vector<bool> varies_;      // by node
};

}  // namespace

std::vector<MapLaunch> map_launches(const OpInstance& instance, int multiprocessors) {
  const MapLayout layout(instance.op->as<MapBody>(), instance.inputs, instance.outputs);
  std::vector<MapLaunch> launches;
  for (const MapWalk& walk : map_walks(instance, layout, multiprocessors))
    launches.push_back(Writer(instance, layout, walk).write());
  return launches;
}

std::string refuse_map_text(const OpInstance& instance) {
  const MapBody& body = instance.op->as<MapBody>();
  const MapLayout layout(body, instance.inputs, instance.outputs);
  if (MapDims(body.domain, layout.order, layout.strides).extents.size() > kMostDims)
    return fmt::format("more than {} axes that cannot be joined", kMostDims);
  for (size_t i = 0; i < instance.outputs.size(); ++i) {
    const DType dtype = instance.outputs[i].dtype;
    const bool floats = dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16;
    if (!floats) return fmt::format("a result is {}; maps write floats", name_of(dtype));
  }
  return "";
}

}  // namespace trainer::cuda
