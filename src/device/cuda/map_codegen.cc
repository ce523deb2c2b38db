// Generates the source of a map's kernels.
#include "device/cuda/map_codegen.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/align.h"
#include "base/error.h"
#include "device/cuda/map_arguments.h"
#include "device/cuda/map_expression.h"
#include "device/cuda/map_schedule.h"
#include "device/cuda/preludes.h"

namespace trainer::cuda {
namespace {

constexpr size_t kMaxDims = 8;
constexpr size_t kMaxSideBySide = 4;
constexpr int64_t kMaxBlocksPerMultiprocessor = 32;  // grid-stride loops cover the rest
constexpr int64_t kPartialAlignment = 16;            // floats; threads load packs of partial results

// Generates the code of one launch of a map. Names in the code: c<dim> coordinates, p<i> the offset of stream i (in
// reductions b<i> is the offset of the result), x<i> loaded operands, v<i> node values, s<i> the sums of a thread.
class Generator {
 public:
  // `name`: of the struct of the map's arguments.
  Generator(std::string name, const OpInstance& instance, const MapLayout& layout, const MapSchedule& schedule)
      : name_(std::move(name)),
        body_(instance.op->as<MapBody>()),
        instance_(instance),
        layout_(layout),
        schedule_(schedule) {}

  // The declaration of the arguments, and the loop of a kernel over its units of work.
  std::string loop() {
    std::string text;
    switch (schedule_.kind) {
      case MapSchedule::Kind::kElements:
        text = elements_loop("block * blockDim.x + threadIdx.x", "blocks * blockDim.x");
        break;
      case MapSchedule::Kind::kRows: text = rows_loop(); break;
      case MapSchedule::Kind::kColumns: text = columns_loop(); break;
    }
    return arguments_declaration(name_, instance_, schedule_, constants_.size()) +
           fmt::format(
               "enum {{ WIDTH = {}, RESULTS = {}, FLIGHT = {}, REDUCED = {} }};\n__device__ inline void run(const {}& "
               "a, Index block, Index blocks) {{\n{}}}\n",
               schedule_.width, schedule_.width_of_results(), schedule_.in_flight, schedule_.reduced.size(), name_,
               text);
  }
  // The same of a joined map, as a function that one block calls.
  std::string joined_loop() {
    const std::string text = elements_loop("thread_of_block()", "THREADS");
    return arguments_declaration(name_, instance_, schedule_, constants_.size()) +
           fmt::format("__device__ inline void run(const {}& a) {{\n  enum {{ WIDTH = {} }};\n{}}}\n", name_,
                       schedule_.width, text);
  }
  // After the loop.
  std::vector<std::byte> arguments() const { return packed_arguments(instance_, schedule_, constants_); }

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

  std::string elements_loop(const char* first, const char* step) {
    std::string text = fmt::format("  for (Index i = {}; i < (Index)a.units; i += {}) {{\n", first, step);
    text += coordinates("i", schedule_.kept, "    ");
    for (size_t s = 0; s < schedule_.streams.size(); ++s)
      text += fmt::format("    const Index p{} = {};\n", s, offset(schedule_.streams[s], schedule_.kept));
    return text + loads(false, "    ") + evaluation("    ") + "  }\n";
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
  std::string join_sums(const char* sums, const char* function) const {
    std::string text;
    for (size_t i = 0; i < schedule_.reduced.size(); ++i)
      text += fmt::format("    {}<{}>({}{}, shared);\n", function, join_of(schedule_.reduced[i]), sums, i);
    return text;
  }
  // Stores the sums s<i> of a part. The last block that does so for a unit joins the parts; the others go on with their
  // next unit. The results of a unit lie together: `results` of each sum, part after part. `lane` is the thread's
  // position among them, `across` the direction in which its threads share the parts.
  std::string join_parts(const char* results, const char* lane, const char* across, const char* function) const {
    std::string stores, joins, sums;
    for (size_t i = 0; i < schedule_.reduced.size(); ++i) {
      stores += fmt::format(
          "        #pragma unroll\n        for (int w = 0; w < RESULTS; ++w) at[part * stride + {0} * {1} + w] = "
          "s{0}[w];\n",
          i, results);
      joins += fmt::format(
          "      float t{0}[RESULTS];\n      join_parts<{1}>(at + {0} * {2}, stride, a.part_count, threadIdx.{3}, "
          "blockDim.{3}, t{0});\n",
          i, join_of(schedule_.reduced[i]), results, across);
      sums += fmt::format("      for (int w = 0; w < RESULTS; ++w) s{0}[w] = t{0}[w];\n", i);
    }
    return fmt::format(
               "    if (a.part_count > 1) {{\n"
               "      const Index of = unit / (Index)a.part_count;\n"
               "      const long long stride = REDUCED * {0};\n"
               "      float* const at = a.parts + of * a.part_count * stride + {1} * RESULTS;\n"
               "      if (threadIdx.{2} == 0) {{\n{3}      }}\n"
               "      if (!is_last(a.counters + 1 + of, a.part_count)) continue;\n",
               results, lane, across, stores) +
           joins + join_sums("t", function) + sums + "    }\n";
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
  // Stores the results of group k.
  std::string store_sums() const {
    std::string text =
        offsets_of_results("      ") + "      #pragma unroll\n      for (int w = 0; w < RESULTS; ++w) {\n";
    for (size_t i = 0; i < schedule_.reduced.size(); ++i)
      text += fmt::format("        put({}, s{}[w]);\n", result_at(schedule_.reduced[i]), i);
    return text + "      }\n";
  }

  // A unit with several parts has all threads of its block, so `continue` skips no barrier.
  std::string rows_loop() {
    std::string text =
        "  __shared__ float shared[LANES];\n"
        "  for (Index unit = block * blockDim.y + threadIdx.y; unit < (Index)a.units; unit += blocks * blockDim.y) "
        "{\n"
        "    const Index k = unit / (Index)a.part_count, part = unit % (Index)a.part_count;\n";
    text += declare_sums() + "    {\n" + coordinates("k", schedule_.kept, "      ") +
            sum_loop("threadIdx.x", "blockDim.x", "      ") + "    }\n" + join_sums("s", "join_lanes");
    text += join_parts("1", "0", "x", "join_lanes");
    return text + "    if (threadIdx.x == 0) {\n" + store_sums() + "    }\n  }\n";
  }

  std::string columns_loop() {
    std::string text =
        "  __shared__ float shared[WIDTH][THREADS];\n"
        "  for (Index unit = block; unit < (Index)a.units; unit += blocks) {\n"
        "    const Index k = unit / (Index)a.part_count * blockDim.x + threadIdx.x, part = unit % "
        "(Index)a.part_count;\n";
    text += declare_sums() + "    if (k < (Index)a.kept) {\n" + coordinates("k", schedule_.kept, "      ") +
            sum_loop("threadIdx.y", "blockDim.y", "      ") + "    }\n" + join_sums("s", "join_rows");
    text += join_parts("(blockDim.x * RESULTS)", "threadIdx.x", "y", "join_rows");
    return text + "    if (threadIdx.y == 0 && k < (Index)a.kept) {\n" + store_sums() + "    }\n  }\n";
  }

  const std::string name_;
  const MapBody& body_;
  const OpInstance& instance_;
  const MapLayout& layout_;
  const MapSchedule& schedule_;
  std::vector<float> constants_;  // of the argument
  std::vector<bool> varies_;      // by node
};

std::string source_begin(const MapSchedule& schedule) {
  return fmt::format("{}{}{}{}{}{}using namespace trainer::cuda;\ntypedef {} Index;\n", preludes::numbers,
                     preludes::functions, functions_text(), preludes::map, schedule.keys.empty() ? "" : preludes::draws,
                     schedule.tables.empty() ? "" : preludes::segments, schedule.needs_64_bits ? "long long" : "int");
}

// The kernel of maps side by side, which take the blocks in turn, and of maps after them, which the last block to
// finish computes in order.
std::string kernel_text(size_t side_by_side, size_t after) {
  std::string members, calls;
  for (size_t i = 0; i < after; ++i) {
    members += fmt::format(" Joined{0} j{0};", i);
    calls += fmt::format("    {}run(l.j{});\n", i > 0 ? "__syncthreads();\n    " : "", i);
  }
  std::string text = fmt::format(
      "enum {{ MAPS = {} }};\n"
      "struct Launch {{ long long first, count; Arguments a[MAPS];{} }};\n"
      "extern \"C\" __global__ void __launch_bounds__(256) map(const __grid_constant__ Launch l) {{\n"
      "  const unsigned i = blockIdx.x % MAPS, first = l.first, count = l.count;\n"
      "  if (MAPS == 1 || i - first < count) run(l.a[i], blockIdx.x / MAPS, (gridDim.x - i + MAPS - 1) / MAPS);\n",
      side_by_side, members);
  if (after > 0)
    text += fmt::format("  if (first + count == MAPS && is_last(l.a[0].counters, gridDim.x)) {{\n{}  }}\n", calls);
  return text + "}\n";
}

// Appends maps to the arguments and sources of a launch.
class LaunchBuilder {
 public:
  explicit LaunchBuilder(int multiprocessors) : multiprocessors_(multiprocessors) {
    launch_.arguments.resize(2 * sizeof(int64_t));
  }

  // Adds outputs of a map that runs beside those that were added before. All have the same kernel.
  void add(const OpInstance& map, const MapLayout& layout, const MapSchedule& schedule) {
    Generator generator("Arguments", map, layout, schedule);
    const std::string source = source_begin(schedule) + generator.loop();
    TRAINER_ASSERT(launch_.side_by_side == 0 || (source == launch_.source && launch_.lanes == schedule.lanes));
    ++launch_.side_by_side;
    launch_.source = source;
    launch_.lanes = schedule.lanes;
    launch_.rows = schedule.rows;
    const int64_t blocks = std::min(schedule.blocks, multiprocessors_ * kMaxBlocksPerMultiprocessor);
    launch_.blocks = std::max(launch_.blocks, blocks);
    add_arguments(map, schedule, generator.arguments());
    if (schedule.parts == 1) return;
    const int64_t partials =
        schedule.units * schedule.results_of_unit() * static_cast<int64_t>(schedule.reduced.size());
    launch_.partial_floats += align_up(partials, kPartialAlignment);
    launch_.counters += 1 + schedule.units / schedule.parts;
    launch_.bytes += 2 * partials * static_cast<int64_t>(sizeof(float));
  }

  // Adds a small map without reductions that follows all others.
  void add_after(const OpInstance& map) {
    const MapLayout layout(map.op->as<MapBody>(), map.inputs, map.outputs);
    const MapSchedule schedule = map_schedules(map, layout, multiprocessors_).front();
    Generator generator(fmt::format("Joined{}", after_++), map, layout, schedule);
    launch_.source += generator.joined_loop();
    add_arguments(map, schedule, generator.arguments());
    launch_.counters = std::max<int64_t>(launch_.counters, 1);
  }

  MapLaunch finish() {
    launch_.take(0, launch_.side_by_side);
    launch_.source += kernel_text(static_cast<size_t>(launch_.side_by_side), after_);
    return std::move(launch_);
  }

 private:
  void add_arguments(const OpInstance& map, const MapSchedule& schedule, const std::vector<std::byte>& arguments) {
    MapAddresses addresses{launch_.arguments.size(), schedule.operands,      {},
                           schedule.tables,          launch_.partial_floats, launch_.counters};
    for (int& operand : addresses.operands) operand += operands_;
    for (const size_t output : schedule.outputs) addresses.outputs.push_back(outputs_ + static_cast<int>(output));
    launch_.addresses.push_back(std::move(addresses));
    launch_.arguments.insert(launch_.arguments.end(), arguments.begin(), arguments.end());
    operands_ += static_cast<int>(map.inputs.size());
    outputs_ += static_cast<int>(map.outputs.size());
  }

  const int multiprocessors_;
  MapLaunch launch_;
  int operands_ = 0, outputs_ = 0;  // of the maps so far
  size_t after_ = 0;
};

// Whether the kernels of two maps may be the same: a quick check.
bool are_alike(const OpInstance& a, const OpInstance& b) {
  const auto same_types = [](const std::vector<TensorDesc>& x, const std::vector<TensorDesc>& y) {
    return std::equal(x.begin(), x.end(), y.begin(), y.end(),
                      [](const TensorDesc& p, const TensorDesc& q) { return p.dtype == q.dtype; });
  };
  const MapBody &f = a.op->as<MapBody>(), &g = b.op->as<MapBody>();
  return f.nodes == g.nodes && f.outputs == g.outputs && same_types(a.inputs, b.inputs) &&
         same_types(a.outputs, b.outputs);
}

}  // namespace

void MapLaunch::take(int64_t first, int64_t count) {
  const int64_t range[] = {first, count};
  std::memcpy(arguments.data(), range, sizeof range);
}

size_t maps_side_by_side(std::span<const OpInstance> maps, int multiprocessors) {
  // The text and the block of the kernel, "" if the map has several.
  const auto kernel_of = [&](const OpInstance& map) -> std::string {
    const MapLayout layout(map.op->as<MapBody>(), map.inputs, map.outputs);
    const std::vector<MapSchedule> schedules = map_schedules(map, layout, multiprocessors);
    const MapSchedule& schedule = schedules.front();
    if (schedules.size() > 1 || !schedule.tables.empty() || schedule.blocks == 0) return "";
    return fmt::format("{}{}{}", schedule.lanes, source_begin(schedule),
                       Generator("Arguments", map, layout, schedule).loop());
  };
  size_t count = 1;
  std::string first;
  for (; count < std::min(maps.size(), kMaxSideBySide); ++count) {
    const OpInstance& map = maps[count];
    if (map.op->kind != OpKind::kMap || !are_alike(maps.front(), map)) break;
    if (first.empty()) first = kernel_of(maps.front());
    if (first.empty() || kernel_of(map) != first) break;
  }
  return count;
}

std::vector<MapLaunch> map_launches(std::span<const OpInstance> maps, int multiprocessors) {
  const OpInstance& first = maps.front();
  const MapLayout layout(first.op->as<MapBody>(), first.inputs, first.outputs);
  const std::vector<MapSchedule> schedules = map_schedules(first, layout, multiprocessors);
  std::vector<MapLaunch> launches;
  for (size_t i = 0; i < schedules.size(); ++i) {
    LaunchBuilder builder(multiprocessors);
    builder.add(first, layout, schedules[i]);
    if (i + 1 == schedules.size()) {
      const size_t side_by_side = maps_side_by_side(maps, multiprocessors);
      for (const OpInstance& map : maps.subspan(1, side_by_side - 1)) {
        const MapLayout its_layout(map.op->as<MapBody>(), map.inputs, map.outputs);
        builder.add(map, its_layout, map_schedules(map, its_layout, multiprocessors).front());
      }
      for (const OpInstance& map : maps.subspan(side_by_side)) builder.add_after(map);
    }
    launches.push_back(builder.finish());
  }
  launches.front().bytes += bytes_read_again(first, schedules);
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
