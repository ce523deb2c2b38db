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

template <typename T>
size_t place(const std::vector<T>& list, T value) {
  return static_cast<size_t>(std::find(list.begin(), list.end(), value) - list.begin());
}

// Writes one launch. In its kernels, stream i of the walk lies at offset p<i>, c<dim> are coordinates, v<i>
// node values.
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
        fmt::format("{}{}{}{}{}using namespace trainer::cuda;\ntypedef {} Index;\n{}\n{}", preludes::numbers,
                    preludes::functions, preludes::map, walk_.keys.empty() ? "" : preludes::draws,
                    walk_.tables.empty() ? "" : preludes::segments, walk_.has_far ? "long long" : "int",
                    arguments_text(instance_, walk_, constants_.size()), kernels);
    launch.lanes = walk_.lanes;
    launch.rows = walk_.rows;
    launch.blocks = walk_.blocks;
    launch.finish_blocks = walk_.finish_blocks;
    if (walk_.parts > 1)
      launch.part_floats = walk_.parts * walk_.kept_count * static_cast<int64_t>(walk_.reduced.size());
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
                      : fmt::format("c{} * (Index)a.stride[{}][{}]", dim, place(walk_.streams, stream_number),
                                    dim);
    }
    return text.empty() ? "0" : text;
  }
  // Splits `from` into the coordinates of some dims; that of the innermost dim counts groups of neighbours.
  std::string coordinates(const std::string& from, const std::vector<size_t>& of,
                          const std::string& indent) const {
    std::string text;
    const std::string rest = of.size() > 1 ? "rest_" + from : from;
    if (of.size() > 1) text += fmt::format("{}Index {} = {};\n", indent, rest, from);
    for (size_t i = of.size(); i-- > 0;) {
      const std::string groups =
          walk_.width > 1 && of[i] == walk_.innermost() ? fmt::format(" * {}", walk_.width) : "";
      const std::string within = i == 0 ? "" : fmt::format(" % (Index)a.extent[{}]", of[i]);
      text += fmt::format("{}const Index c{} = {}{}{};\n", indent, of[i], rest, within, groups);
      if (i > 0) text += fmt::format("{}{} /= (Index)a.extent[{}];\n", indent, rest, of[i]);
    }
    return text;
  }

  // What is the same for all neighbours of a thread is computed before the loop over them.
  bool varies(int i) const {
    const MapNode& n = node(i);
    if (arity_of(n.fn) == 0)
      return n.fn != Fn::kConstant &&
             walk_.stride(layout_.of_node[static_cast<size_t>(i)], walk_.innermost()) != 0;
    const int arguments[] = {n.a, n.b, n.c};
    for (int argument = 0; argument < arity_of(n.fn); ++argument) {
      if (varies_[static_cast<size_t>(arguments[argument])]) return true;
    }
    return false;
  }

  std::string leaf_text(int i, bool lane) {
    const MapNode& n = node(i);
    if (n.fn == Fn::kConstant) return number_text(n.k, &constants_);
    const int s = layout_.of_node[static_cast<size_t>(i)];
    const size_t at = place(walk_.streams, s);
    if (n.fn == Fn::kInput)
      return lane && walk_.width > 1 ? fmt::format("x{}[w]", place(walk_.operands, n.a))
                                     : fmt::format("to_float(a.in{}[p{}])", place(walk_.operands, n.a), at);
    const int64_t by = walk_.stride(s, walk_.innermost());
    std::string index = fmt::format("p{}", at);
    if (lane && walk_.width > 1)
      index += by == 1 ? " + w" : fmt::format(" + w * (Index)a.stride[{}][{}]", at, walk_.innermost());
    if (n.fn == Fn::kIndex) return fmt::format("(float)({})", index);
    if (n.fn == Fn::kSegment) {
      const size_t table = place(walk_.tables, n.a);
      return fmt::format("segment(a.ends{0}, a.values{0}, a.entries[{0}], {1})", table, index);
    }
    return fmt::format("{}(a.key[{}], *a.pass, (unsigned long long)({}))",
                       n.fn == Fn::kUniform ? "uniform" : "normal", place(walk_.keys, n.a), index);
  }

  // Loads, nodes and outputs at the offsets p0, p1, ...; each neighbour w of a thread's.
  std::string evaluation(const std::string& indent) {
    varies_.assign(body_.nodes.size(), false);
    std::string loads, before, inside, stores;
    for (int i = 0; i < static_cast<int>(body_.nodes.size()); ++i) {
      if (!walk_.used[static_cast<size_t>(i)]) continue;
      varies_[static_cast<size_t>(i)] = walk_.width > 1 && varies(i);
      const bool lane = varies_[static_cast<size_t>(i)];
      const MapNode& n = node(i);
      if (lane && n.fn == Fn::kInput) {
        const size_t operand = place(walk_.operands, n.a),
                     at = place(walk_.streams, layout_.of_node[static_cast<size_t>(i)]);
        const std::string load = fmt::format("{0}float x{1}[{2}];\n{0}load(x{1}, a.in{1} + p{3});\n", indent,
                                             operand, walk_.width, at);
        if (loads.find(load) == std::string::npos) loads += load;
      }
      const std::string value = arity_of(n.fn) == 0 ? leaf_text(i, lane) : expression_text(n, &constants_);
      (lane ? inside : before) +=
          fmt::format("{}{}const float v{} = {};\n", indent, lane ? "  " : "", i, value);
    }
    for (size_t output : walk_.stored) {
      const size_t number = place(walk_.outputs, output),
                   at = place(walk_.streams, layout_.of_output(output));
      const int value = body_.outputs[output].node;
      if (walk_.width == 1) {
        stores += fmt::format("{}put(a.out{} + p{}, v{});\n", indent, number, at, value);
      } else {
        loads += fmt::format("{}float y{}[{}];\n", indent, number, walk_.width);
        inside += fmt::format("{}  y{}[w] = v{};\n", indent, number, value);
        stores += fmt::format("{0}store(a.out{1} + p{2}, y{1});\n", indent, number, at);
      }
    }
    for (size_t i = 0; i < walk_.reduced.size(); ++i) {
      stores += fmt::format("{0}s{1} = {2}(s{1}, v{3});\n", indent, i, join_of(walk_.reduced[i]),
                            body_.outputs[walk_.reduced[i]].node);
    }
    if (walk_.width == 1) return loads + before + inside + stores;
    return fmt::format("{0}{1}{2}#pragma unroll\n{2}for (int w = 0; w < {3}; ++w) {{\n{4}{2}}}\n{5}", loads,
                       before, indent, walk_.width, inside, stores);
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
        "  for (Index i = (Index)blockIdx.x * blockDim.x + threadIdx.x; i < (Index)a.units; i += "
        "(Index)gridDim.x * blockDim.x) {\n";
    text += coordinates("i", walk_.kept, "    ");
    for (size_t s = 0; s < walk_.streams.size(); ++s)
      text += fmt::format("    const Index p{} = {};\n", s, offset(walk_.streams[s], walk_.kept));
    return text + evaluation("    ") + "  }\n}\n";
  }

  // Base offsets from the kept dims, then a loop over the summed ones from `first` by `step`.
  std::string sum_loop(const std::string& first, const std::string& step, const std::string& indent) {
    std::string text;
    for (size_t s = 0; s < walk_.streams.size(); ++s)
      text += fmt::format("{}const Index b{} = {};\n", indent, s, offset(walk_.streams[s], walk_.kept));
    text += fmt::format(
        "{0}const Index first = part * (Index)a.chunk, end = first + (Index)a.chunk < (Index)a.summed ? "
        "first + (Index)a.chunk : "
        "(Index)a.summed;\n{0}for (Index r = first + {1}; r < end; r += {2}) {{\n",
        indent, first, step);
    text += coordinates("r", walk_.summed, indent + "  ");
    for (size_t s = 0; s < walk_.streams.size(); ++s) {
      const std::string along = offset(walk_.streams[s], walk_.summed);
      text += fmt::format("{}  const Index p{} = b{}{};\n", indent, s, s, along == "0" ? "" : " + " + along);
    }
    return text + evaluation(indent + "  ") + indent + "}\n";
  }
  std::string declare_sums(const std::string& indent) const {
    std::string text;
    for (size_t i = 0; i < walk_.reduced.size(); ++i)
      text += fmt::format("{}float s{} = {};\n", indent, i, start_of(walk_.reduced[i]));
    return text;
  }
  // Stores the sums of result k, or of its part.
  std::string store_sums(const std::string& indent) const {
    std::string text = fmt::format("{}if (a.part_count == 1) {{\n", indent);
    for (size_t i = 0; i < walk_.reduced.size(); ++i)
      text += fmt::format("{}  put({}, s{});\n", indent, result_at(walk_.reduced[i]), i);
    text += fmt::format("{}}} else {{\n", indent);
    for (size_t i = 0; i < walk_.reduced.size(); ++i)
      text += fmt::format("{}  a.parts[({} * a.part_count + part) * a.kept + k] = s{};\n", indent, i, i);
    return text + indent + "}\n";
  }
  std::string result_at(size_t output) const {
    return fmt::format("a.out{} + b{}", place(walk_.outputs, output),
                       place(walk_.streams, layout_.of_output(output)));
  }

  std::string rows_text() {
    std::string text =
        "extern \"C\" __global__ void __launch_bounds__(256) map(const __grid_constant__ Arguments a) {\n"
        "  for (Index unit = (Index)blockIdx.x * blockDim.y + threadIdx.y; unit < (Index)a.units; unit += "
        "(Index)gridDim.x * blockDim.y) {\n"
        "    const Index k = unit / (Index)a.part_count, part = unit % (Index)a.part_count;\n";
    text += coordinates("k", walk_.kept, "    ") + declare_sums("    ") +
            sum_loop("threadIdx.x", "LANES", "    ");
    text += "    for (int lane = LANES / 2; lane > 0; lane /= 2) {\n";
    for (size_t i = 0; i < walk_.reduced.size(); ++i)
      text += fmt::format("      s{0} = {1}(s{0}, __shfl_xor_sync(~0u, s{0}, lane));\n", i,
                          join_of(walk_.reduced[i]));
    text += "    }\n    if (threadIdx.x == 0) {\n" + store_sums("      ") + "    }\n  }\n}\n";
    return text + finish_text();
  }

  std::string columns_text() {
    std::string text = fmt::format(
        "extern \"C\" __global__ void __launch_bounds__(256) map(const __grid_constant__ Arguments a) {{\n"
        "  __shared__ float sums[{}][ROWS][LANES];\n"
        "  for (Index unit = blockIdx.x; unit < (Index)a.units; unit += gridDim.x) {{\n"
        "    const Index k = unit / (Index)a.part_count * LANES + threadIdx.x, part = unit % "
        "(Index)a.part_count;\n{}"
        "    if (k < (Index)a.kept) {{\n",
        walk_.reduced.size(), declare_sums("    "));
    text += coordinates("k", walk_.kept, "      ") + sum_loop("threadIdx.y", "ROWS", "      ") + "    }\n";
    for (size_t i = 0; i < walk_.reduced.size(); ++i)
      text += fmt::format("    sums[{0}][threadIdx.y][threadIdx.x] = s{0};\n", i);
    text +=
        "    __syncthreads();\n    if (threadIdx.y == 0 && k < (Index)a.kept) {\n      for (int y = 1; y < "
        "ROWS; ++y) {\n";
    for (size_t i = 0; i < walk_.reduced.size(); ++i)
      text +=
          fmt::format("        s{0} = {1}(s{0}, sums[{0}][y][threadIdx.x]);\n", i, join_of(walk_.reduced[i]));
    text += "      }\n" + coordinates("k", walk_.kept, "      ");
    for (size_t output : walk_.reduced) {
      const int s = layout_.of_output(output);
      text += fmt::format("      const Index b{} = {};\n", place(walk_.streams, s), offset(s, walk_.kept));
    }
    text += store_sums("      ") + "    }\n    __syncthreads();\n  }\n}\n";
    return text + finish_text();
  }

  std::string finish_text() const {
    std::string text =
        "extern \"C\" __global__ void __launch_bounds__(256) finish(const __grid_constant__ Arguments a) {\n"
        "  for (Index k = ((Index)blockIdx.x * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x; k < "
        "(Index)a.kept;\n"
        "       k += (Index)gridDim.x * blockDim.y * blockDim.x) {\n";
    text += coordinates("k", walk_.kept, "    ");
    for (size_t i = 0; i < walk_.reduced.size(); ++i) {
      const int s = layout_.of_output(walk_.reduced[i]);
      text += fmt::format("    const Index b{} = {};\n    double t{} = {};\n", place(walk_.streams, s),
                          offset(s, walk_.kept), i, start_of(walk_.reduced[i]));
    }
    text += "    for (Index part = 0; part < (Index)a.part_count; ++part) {\n";
    for (size_t i = 0; i < walk_.reduced.size(); ++i)
      text +=
          fmt::format("      t{0} = {1}(t{0}, (double)a.parts[({0} * a.part_count + part) * a.kept + k]);\n",
                      i, join_of(walk_.reduced[i]));
    text += "    }\n";
    for (size_t i = 0; i < walk_.reduced.size(); ++i)
      text += fmt::format("    put({}, (float)t{});\n", result_at(walk_.reduced[i]), i);
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
