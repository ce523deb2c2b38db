// Generates the source of a map's kernels.
#include "device/cuda/map_codegen.h"

#include <fmt/format.h>

#include <algorithm>

#include "device/cuda/map_arguments.h"
#include "device/cuda/map_expression.h"
#include "device/cuda/map_schedule.h"
#include "device/cuda/preludes.h"

namespace trainer::cuda {
namespace {

constexpr size_t kMaxDims = 8;

// Generates one launch. Names in its kernels: c<dim> coordinates, p<i> the offset of stream i (in reductions b<i> is
// the offset of the result), x<i> loaded operands, v<i> node values, s<i> the sums of a thread.
class Generator {
 public:
  Generator(const OpInstance& instance, const MapLayout& layout, const MapSchedule& schedule)
      : body_(instance.op->as<MapBody>()), instance_(instance), layout_(layout), schedule_(schedule) {}

  MapLaunch generate() {
    MapLaunch launch;
    std::string kernels;
    switch (schedule_.kind) {
      case MapSchedule::Kind::kElements: kernels = elements_kernel(); break;
      case MapSchedule::Kind::kRows: kernels = rows_kernel(); break;
      case MapSchedule::Kind::kColumns: kernels = columns_kernel(); break;
    }
    launch.source =
        fmt::format("{}{}{}{}{}{}using namespace trainer::cuda;\ntypedef {} Index;\n", preludes::numbers,
                    preludes::functions, functions_text(), preludes::map, schedule_.keys.empty() ? "" : preludes::draws,
                    schedule_.tables.empty() ? "" : preludes::segments, schedule_.needs_64_bits ? "long long" : "int");
    launch.source += fmt::format("enum {{ WIDTH = {}, RESULTS = {}, FLIGHT = {} }};\n", schedule_.width,
                                 schedule_.width_of_results(), schedule_.in_flight);
    launch.source += arguments_declaration(instance_, schedule_, constants_.size()) + "\n" + kernels;
    launch.lanes = schedule_.lanes;
    launch.rows = schedule_.rows;
    launch.blocks = schedule_.blocks;
    launch.combine_blocks = schedule_.combine_blocks;
    if (schedule_.parts > 1)
      launch.partial_floats = schedule_.parts * schedule_.kept_groups * schedule_.width_of_results() *
                              static_cast<int64_t>(schedule_.reduced.size());
    launch.arguments = packed_arguments(instance_, schedule_, constants_);
    launch.operands = schedule_.operands;
    launch.outputs.assign(schedule_.outputs.begin(), schedule_.outputs.end());
    launch.tables = schedule_.tables;
    return launch;
  }

 private:
  const MapNode& node(int i) const { return body_.nodes[static_cast<size_t>(i)]; }

  // The offset of a stream by the coordinates of some dims: "c0 * a.stride[2][0] + c1".
  std::string offset(int stream_number, const std::vector<size_t>& of) const {
    std::string text;
    for (size_t dim : of) {
      const int64_t by = schedule_.stride(stream_number, dim);
      if (by == 0) continue;
      text += text.empty() ? "" : " + ";
      text += by == 1
                  ? fmt::format("c{}", dim)
                  : fmt::format("c{} * (Index)a.stride[{}][{}]", dim, index_of(schedule_.streams, stream_number), dim);
    }
    return text.empty() ? "0" : text;
  }
  // Splits `from` into the coordinates of some dims. The innermost dim is counted in groups of neighbors.
  std::string coordinates(const std::string& from, const std::vector<size_t>& of, const std::string& indent) const {
    std::string text;
    const std::string rest = of.size() > 1 ? "rest_" + from : from;
    if (of.size() > 1) text += fmt::format("{}Index {} = {};\n", indent, rest, from);
    for (size_t i = of.size(); i-- > 0;) {
      const std::string groups =
          schedule_.width > 1 && of[i] == schedule_.innermost() ? fmt::format(" * {}", schedule_.width) : "";
      const std::string within = i == 0 ? "" : fmt::format(" % (Index)a.extent[{}]", of[i]);
      text += fmt::format("{}const Index c{} = {}{}{};\n", indent, of[i], rest, within, groups);
      if (i > 0) text += fmt::format("{}{} /= (Index)a.extent[{}];\n", indent, rest, of[i]);
    }
    return text;
  }

  // The offset of stream s. In a reduction, a stream that varies along reduced dims has one offset per group in flight;
  // the others have the offset of the result.
  std::string offset_name(int s) const {
    const size_t at = index_of(schedule_.streams, s);
    if (schedule_.reduced.empty()) return fmt::format("p{}", at);
    return schedule_.moves(s) ? fmt::format("p{}[u]", at) : fmt::format("b{}", at);
  }
  int load_width(int operand) const {
    return schedule_.stride(operand, schedule_.innermost()) == 0 ? 1 : schedule_.width;
  }
  // The loaded vector of an operand. The stream of an operand has the operand's number.
  std::string loaded(int operand) const {
    return fmt::format("x{}{}", index_of(schedule_.operands, operand), schedule_.moves(operand) ? "[u]" : "");
  }
  // Loads the operands that vary along reduced dims, or the others.
  std::string loads(bool moving, const std::string& indent) const {
    std::string text;
    for (int operand : schedule_.operands) {
      if (schedule_.moves(operand) != moving) continue;
      text += fmt::format("{}{}{} = load<{}>(a.in{} + {});\n", indent, moving ? "" : "const auto ", loaded(operand),
                          load_width(operand), index_of(schedule_.operands, operand), offset_name(operand));
    }
    return text;
  }

  // Whether a node differs among the neighbors of a group. The others are computed before the loop over neighbors.
  bool varies(int i) const {
    const MapNode& n = node(i);
    if (arity_of(n.fn) == 0)
      return n.fn != Fn::kConstant &&
             schedule_.stride(layout_.of_node[static_cast<size_t>(i)], schedule_.innermost()) != 0;
    const int arguments[] = {n.a, n.b, n.c};
    for (int argument = 0; argument < arity_of(n.fn); ++argument) {
      if (varies_[static_cast<size_t>(arguments[argument])]) return true;
    }
    return false;
  }

  std::string leaf_expression(int i) {
    const MapNode& n = node(i);
    if (n.fn == Fn::kConstant) return number_text(n.k, &constants_);
    if (n.fn == Fn::kInput) return fmt::format("to_float({}.at[{}])", loaded(n.a), load_width(n.a) > 1 ? "w" : "0");
    const int s = layout_.of_node[static_cast<size_t>(i)];
    const int64_t by = schedule_.stride(s, schedule_.innermost());
    std::string index = offset_name(s);
    if (schedule_.width > 1 && by == 1) index += " + w";
    if (schedule_.width > 1 && by > 1)
      index += fmt::format(" + w * (Index)a.stride[{}][{}]", index_of(schedule_.streams, s), schedule_.innermost());
    if (n.fn == Fn::kIndex) return fmt::format("(float)({})", index);
    if (n.fn == Fn::kSegment) {
      const size_t table = index_of(schedule_.tables, n.a);
      return fmt::format("segment(a.ends{0}, a.values{0}, a.entries[{0}], {1})", table, index);
    }
    return fmt::format("{}(a.key[{}], *a.pass, (unsigned long long)({}))", n.fn == Fn::kUniform ? "uniform" : "normal",
                       index_of(schedule_.keys, n.a), index);
  }

  // Evaluates the nodes, stores outputs and updates sums, for each neighbor w of a group.
  std::string evaluation(const std::string& indent) {
    varies_.assign(body_.nodes.size(), false);
    std::string before, inside, stores;
    for (int i = 0; i < static_cast<int>(body_.nodes.size()); ++i) {
      if (!schedule_.used[static_cast<size_t>(i)]) continue;
      const bool lane = varies(i);
      varies_[static_cast<size_t>(i)] = lane;
      const std::string value = arity_of(node(i).fn) == 0 ? leaf_expression(i) : expression_text(node(i), &constants_);
      (lane ? inside : before) += fmt::format("{}{}const float v{} = {};\n", indent, lane ? "  " : "", i, value);
    }
    for (size_t output : schedule_.stored) {
      const size_t number = index_of(schedule_.outputs, output);
      before += fmt::format("{}float y{}[WIDTH];\n", indent, number);
      inside += fmt::format("{}  y{}[w] = v{};\n", indent, number, body_.outputs[output].node);
      stores +=
          fmt::format("{0}store(a.out{1} + {2}, y{1});\n", indent, number, offset_name(layout_.of_output(output)));
    }
    for (size_t i = 0; i < schedule_.reduced.size(); ++i) {
      inside += fmt::format("{0}  s{1}[w] = {2}::join(s{1}[w], v{3});\n", indent, i, join_of(schedule_.reduced[i]),
                            body_.outputs[schedule_.reduced[i]].node);
    }
    return fmt::format("{0}{1}#pragma unroll\n{1}for (int w = 0; w < WIDTH; ++w) {{\n{2}{1}}}\n{3}", before, indent,
                       inside, stores);
  }
  const char* join_of(size_t output) const {
    return body_.outputs[output].reduction == Reduction::kSum ? "Sum" : "Max";
  }

  std::string elements_kernel() {
    std::string text =
        "extern \"C\" __global__ void __launch_bounds__(256) map(const __grid_constant__ Arguments a) {\n"
        "  for (Index i = (Index)blockIdx.x * blockDim.x + threadIdx.x; i < (Index)a.units; i += "
        "(Index)gridDim.x * blockDim.x) {\n";
    text += coordinates("i", schedule_.kept, "    ");
    for (size_t s = 0; s < schedule_.streams.size(); ++s)
      text += fmt::format("    const Index p{} = {};\n", s, offset(schedule_.streams[s], schedule_.kept));
    return text + loads(false, "    ") + evaluation("    ") + "  }\n}\n";
  }

  // Computes the sums s<i> of a thread: a loop over the groups of a part, from `first` in steps of `step`. It loads
  // several groups before it evaluates the first: the compiler cannot reorder loads and stores that may alias.
  std::string sum_loop(const std::string& first, const std::string& step, const std::string& indent) {
    std::string text, arrays, offsets;
    for (size_t s = 0; s < schedule_.streams.size(); ++s) {
      const int stream = schedule_.streams[s];
      text += fmt::format("{}const Index b{} = {};\n", indent, s, offset(stream, schedule_.kept));
      if (!schedule_.moves(stream)) continue;
      arrays += fmt::format("{}  Index p{}[FLIGHT];\n", indent, s);
      offsets += fmt::format("{0}      p{1}[u] = b{1} + {2};\n", indent, s, offset(stream, schedule_.summed));
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
    for (int operand : schedule_.operands) {
      if (!schedule_.moves(operand)) continue;
      const size_t number = index_of(schedule_.operands, operand);
      arrays +=
          fmt::format("{}  decltype(load<{}>(a.in{})) x{}[FLIGHT];\n", indent, load_width(operand), number, number);
    }
    text += arrays;
    text += each + coordinates("r", schedule_.summed, inner) + offsets + loads(true, inner) + close;
    return text + each + evaluation(inner) + close + indent + "}\n";
  }
  std::string declare_sums() const {
    std::string text;
    for (size_t i = 0; i < schedule_.reduced.size(); ++i)
      text += fmt::format("    float s{0}[WIDTH];\n    begin<{1}>(s{0});\n", i, join_of(schedule_.reduced[i]));
    return text;
  }
  // Reduces the sums of a block's threads with a function of preludes/map.h.
  std::string join_sums(const char* function) const {
    std::string text;
    for (size_t i = 0; i < schedule_.reduced.size(); ++i)
      text += fmt::format("    {}<{}>(s{}, shared);\n", function, join_of(schedule_.reduced[i]), i);
    return text;
  }
  // The offsets b<s> of group k of results.
  std::string offsets_of_results(const std::string& indent) const {
    std::string text = coordinates("k", schedule_.kept, indent);
    for (size_t output : schedule_.reduced) {
      const int s = layout_.of_output(output);
      text +=
          fmt::format("{}const Index b{} = {};\n", indent, index_of(schedule_.streams, s), offset(s, schedule_.kept));
    }
    return text;
  }
  // The address of neighbor w in a group.
  std::string result_at(size_t output) const {
    return fmt::format("a.out{} + b{} + w", index_of(schedule_.outputs, output),
                       index_of(schedule_.streams, layout_.of_output(output)));
  }
  // Stores the results of group k, or its partial results.
  std::string store_sums() const {
    std::string text = offsets_of_results("      ") +
                       "      #pragma unroll\n      for (int w = 0; w < RESULTS; ++w) {\n"
                       "        if (a.part_count == 1) {\n";
    for (size_t i = 0; i < schedule_.reduced.size(); ++i)
      text += fmt::format("          put({}, s{}[w]);\n", result_at(schedule_.reduced[i]), i);
    text += "        } else {\n";
    for (size_t i = 0; i < schedule_.reduced.size(); ++i)
      text +=
          fmt::format("          a.parts[(({0} * a.kept + k) * RESULTS + w) * a.part_count + part] = s{0}[w];\n", i);
    return text + "        }\n      }\n";
  }

  std::string rows_kernel() {
    std::string text =
        "extern \"C\" __global__ void __launch_bounds__(256) map(const __grid_constant__ Arguments a) {\n"
        "  __shared__ float shared[LANES];\n"
        "  for (Index unit = (Index)blockIdx.x * blockDim.y + threadIdx.y; unit < (Index)a.units; unit += "
        "(Index)gridDim.x * blockDim.y) {\n"
        "    const Index k = unit / (Index)a.part_count, part = unit % (Index)a.part_count;\n";
    text += declare_sums() + "    {\n" + coordinates("k", schedule_.kept, "      ") +
            sum_loop("threadIdx.x", "blockDim.x", "      ") + "    }\n" + join_sums("join_lanes");
    return text + "    if (threadIdx.x == 0) {\n" + store_sums() + "    }\n  }\n}\n" + combine_kernel();
  }

  std::string columns_kernel() {
    std::string text =
        "extern \"C\" __global__ void __launch_bounds__(256) map(const __grid_constant__ Arguments a) {\n"
        "  __shared__ float shared[WIDTH][THREADS];\n"
        "  for (Index unit = blockIdx.x; unit < (Index)a.units; unit += gridDim.x) {\n"
        "    const Index k = unit / (Index)a.part_count * blockDim.x + threadIdx.x, part = unit % "
        "(Index)a.part_count;\n";
    text += declare_sums() + "    if (k < (Index)a.kept) {\n" + coordinates("k", schedule_.kept, "      ") +
            sum_loop("threadIdx.y", "blockDim.y", "      ") + "    }\n" + join_sums("join_rows");
    return text + "    if (threadIdx.y == 0 && k < (Index)a.kept) {\n" + store_sums() + "    }\n  }\n}\n" +
           combine_kernel();
  }

  // Reduces the partial results: one warp per result.
  std::string combine_kernel() const {
    std::string text =
        "extern \"C\" __global__ void __launch_bounds__(256) combine(const __grid_constant__ Arguments a) {\n"
        "  const Index results = (Index)a.kept * RESULTS, warps = THREADS / LANES;\n"
        "  for (Index result = blockIdx.x * warps + thread_of_block() / LANES; result < results; result += "
        "gridDim.x * warps) {\n"
        "    const Index k = result / RESULTS, w = result % RESULTS;\n";
    text += offsets_of_results("    ");
    for (size_t i = 0; i < schedule_.reduced.size(); ++i) {
      text += fmt::format(
          "    const float t{0} = join_parts<{1}>(a.parts + ({0} * a.kept * RESULTS + result) * "
          "a.part_count, "
          "a.part_count);\n    if (thread_of_block() % LANES == 0) put({2}, t{0});\n",
          i, join_of(schedule_.reduced[i]), result_at(schedule_.reduced[i]));
    }
    return text + "  }\n}\n";
  }

  const MapBody& body_;
  const OpInstance& instance_;
  const MapLayout& layout_;
  const MapSchedule& schedule_;
  std::vector<float> constants_;  // of the argument
  std::vector<bool> varies_;      // by node
};

}  // namespace

std::vector<MapLaunch> map_launches(const OpInstance& instance, int multiprocessors) {
  const MapLayout layout(instance.op->as<MapBody>(), instance.inputs, instance.outputs);
  std::vector<MapLaunch> launches;
  for (const MapSchedule& schedule : map_schedules(instance, layout, multiprocessors))
    launches.push_back(Generator(instance, layout, schedule).generate());
  return launches;
}

std::string refuse_generated_map(const OpInstance& instance) {
  const MapBody& body = instance.op->as<MapBody>();
  const MapLayout layout(body, instance.inputs, instance.outputs);
  if (MapDims(body.domain, layout.order, layout.strides).extents.size() > kMaxDims)
    return fmt::format("more than {} axes that cannot be joined", kMaxDims);
  for (size_t i = 0; i < instance.outputs.size(); ++i) {
    const DType dtype = instance.outputs[i].dtype;
    const bool floats = dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16;
    if (!floats) return fmt::format("a result is {}; maps write floats", name_of(dtype));
  }
  return "";
}

}  // namespace trainer::cuda
