// The planner: chooses the ops that become steps, their kernels, and the memory of each value.
#include "compile/plan.h"

#include <algorithm>
#include <map>
#include <string>

#include "base/error.h"
#include "base/text.h"
#include "compile/fit_memory.h"
#include "compile/memory_layout.h"
#include "ops/cost.h"
#include "runtime/bound_kernel.h"

namespace trainer {
namespace {

bool is_row_major(const TensorDesc& desc) { return has_format(desc, MemoryFormat::kRowMajor); }

// Whether a slice is the first part of its input's memory: it starts at 0, and all axes outside its own in physical
// order have extent 1.
bool is_prefix(const TensorDesc& in, const TensorDesc& out, const SliceAttributes& slice) {
  if (slice.begin != 0 || in.dtype != out.dtype || is_row_major(in) != is_row_major(out)) return false;
  for (int axis = 0; axis < in.shape.rank(); ++axis) {
    const bool outside = is_row_major(in) ? axis < slice.axis : axis != 1 && (axis < slice.axis || slice.axis == 1);
    if (outside && in.shape[axis] != 1) return false;
  }
  return true;
}

// Whether an op moves no data: its result has the address of its input.
bool is_view(const Graph& graph, const Op& op) {
  if (op.kind != OpKind::kReshape && op.kind != OpKind::kSlice) return false;
  const TensorDesc& in = graph.desc(op.inputs[0]);
  const TensorDesc& out = graph.desc(op.outputs[0]);
  if (op.kind == OpKind::kSlice) return op.outputs.size() == 1 && is_prefix(in, out, op.as<SliceAttributes>());
  return is_row_major(in) && is_row_major(out);
}

bool is_step(const Graph& graph, const Op& op) {
  return op.kind != OpKind::kSource && op.kind != OpKind::kStateRead && !is_view(graph, op);
}

// For each value, the value that owns its memory: itself, or the value that it is a view of.
std::vector<int> roots_of(const Graph& graph) {
  std::vector<int> root(graph.values.size());
  for (const Op& op : graph.ops) {
    for (int output : op.outputs) root[static_cast<size_t>(output)] = output;
    if (is_view(graph, op)) root[static_cast<size_t>(op.outputs[0])] = root[static_cast<size_t>(op.inputs[0])];
  }
  return root;
}

// For each state, the ops that read its old version, directly or through views, each with the value that it reads.
using StateReaders = std::vector<std::vector<std::pair<int, int>>>;
StateReaders state_readers_of(const Graph& graph, const std::vector<int>& root) {
  StateReaders readers(graph.states.size());
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    if (is_view(graph, graph.ops[i])) continue;
    for (int input : graph.ops[i].inputs) {
      const Op& op = graph.producer(root[static_cast<size_t>(input)]);
      if (op.kind != OpKind::kStateRead) continue;
      readers[static_cast<size_t>(op.as<IndexAttributes>().index)].push_back({static_cast<int>(i), input});
    }
  }
  return readers;
}

// Workspace sizes of kernels created so far; the estimate for similar ops.
class WorkspaceTable {
 public:
  void note(const Graph& graph, const Op& op, int64_t bytes) { bytes_[key_of(graph, op)] = bytes; }
  int64_t bytes_of(const Graph& graph, const Op& op) const {
    const auto found = bytes_.find(key_of(graph, op));
    return found == bytes_.end() ? 0 : found->second;
  }

 private:
  // Everything that a workspace depends on, except a map's nodes and a window's stride: the workspaces of two ops with
  // the same key differ little.
  static std::string key_of(const Graph& graph, const Op& op) {
    std::string key = name_of(op.kind);
    for (const std::vector<int>* values : {&op.inputs, &op.outputs}) {
      for (int value : *values) {
        const TensorDesc& desc = graph.desc(value);
        key += fmt::format(" {}:{}:{}", desc.shape.text(), name_of(desc.dtype), name_of(desc.order));
      }
      key += ';';
    }
    return key;
  }

  std::map<std::string, int64_t> bytes_;
};

class Planner {
 public:
  Planner(const Module& module, Device& device, StateStore& store, Arena& arena)
      : module_(module),
        graph_(*module.graph),
        device_(device),
        store_(store),
        program_(std::make_unique<Program>(device, arena)) {}

  // Returns the bytes of the arena that the program needs. Creates no kernels; takes workspaces from `known`.
  int64_t measure(const WorkspaceTable& known) {
    place_values();
    std::vector<int64_t> workspaces;
    for (const Op& op : graph_.ops) {
      if (is_step(graph_, op)) workspaces.push_back(known.bytes_of(graph_, op));
    }
    return lay_out(workspaces).bytes;
  }

  // Creates the kernels, records their workspaces in `known`, and returns the bytes of the arena that the program
  // needs.
  int64_t prepare(WorkspaceTable* known) {
    place_values();
    make_steps();
    std::vector<int64_t> workspaces;
    for (const Step& step : program_->steps) {
      workspaces.push_back(step.kernel->workspace_bytes());
      known->note(graph_, step.op, workspaces.back());
    }
    layout_ = lay_out(workspaces);
    return layout_.bytes;
  }

  std::unique_ptr<Program> finish() {
    place_all();
    return std::move(program_);
  }

 private:
  // The blocks of the arena.
  struct Layout {
    std::vector<int> block_of;      // by value; -1 if the value has no block
    std::vector<int> workspace_of;  // by step
    std::vector<int64_t> offsets;   // by block
    int64_t bytes = 0;
  };

  void place_values() {
    find_roots();
    claim_states();
    find_lifetimes();
    share_in_place();
  }

  void find_roots() {
    root_ = roots_of(graph_);
    claimed_.assign(graph_.values.size(), -1);
    placement_.resize(graph_.values.size());
    for (const Op& op : graph_.ops) {
      if (op.kind != OpKind::kSource && op.kind != OpKind::kStateRead) continue;
      const int index = op.as<IndexAttributes>().index;
      placement_[static_cast<size_t>(op.outputs[0])] = {
          op.kind == OpKind::kSource ? Placement::kSource : Placement::kState, index, 0};
    }
  }

  bool in_arena(int root) const {
    const OpKind kind = graph_.producer(root).kind;
    return kind != OpKind::kSource && kind != OpKind::kStateRead && claimed_[static_cast<size_t>(root)] < 0;
  }

  void claim_states() {
    const StateReaders readers = state_readers_of(graph_, root_);
    for (const StateWrite& write : graph_.writes) {
      const int root = root_[static_cast<size_t>(write.value)];
      TRAINER_ASSERT(writable_in_place(graph_, root_, readers, write));
      claimed_[static_cast<size_t>(root)] = write.state;
      placement_[static_cast<size_t>(root)] = {Placement::kState, write.state, 0};
    }
  }

  void find_lifetimes() {
    first_.assign(graph_.values.size(), 0);
    last_.assign(graph_.values.size(), -1);
    for (size_t i = 0; i < graph_.ops.size(); ++i) {
      for (int output : graph_.ops[i].outputs) {
        const int root = root_[static_cast<size_t>(output)];
        if (root == output) first_[static_cast<size_t>(root)] = static_cast<int>(i);
        touch(root, static_cast<int>(i));
      }
      for (int input : graph_.ops[i].inputs) touch(root_[static_cast<size_t>(input)], static_cast<int>(i));
    }
    for (int result : module_.results) {
      if (result >= 0) touch(root_[static_cast<size_t>(result)], static_cast<int>(graph_.ops.size()));
    }
  }

  void touch(int root, int op) { last_[static_cast<size_t>(root)] = std::max(last_[static_cast<size_t>(root)], op); }

  // Lets results of maps take the memory of operands that nothing reads afterwards.
  void share_in_place() {
    storage_.resize(graph_.values.size());
    for (size_t value = 0; value < storage_.size(); ++value) storage_[value] = root_[value];
    for (size_t i = 0; i < graph_.ops.size(); ++i) {
      const Op& op = graph_.ops[i];
      if (op.kind != OpKind::kMap) continue;
      const MapBody& body = op.as<MapBody>();
      std::vector<int> taken;
      for (size_t out = 0; out < op.outputs.size(); ++out) {
        const int output = op.outputs[out];
        if (body.outputs[out].reduction != Reduction::kNone || !in_arena(output)) continue;
        for (int input : op.inputs) {
          const int storage = storage_of(input);
          if (!in_arena(storage) || last_[static_cast<size_t>(storage)] != static_cast<int>(i)) continue;
          if (!same_desc(graph_.desc(input), graph_.desc(output)) || count_operands(op, storage) != 1) continue;
          if (std::find(taken.begin(), taken.end(), storage) != taken.end()) continue;
          taken.push_back(storage);
          storage_[static_cast<size_t>(output)] = storage;
          touch(storage, last_[static_cast<size_t>(output)]);
          break;
        }
      }
    }
  }

  int storage_of(int value) const {
    int storage = root_[static_cast<size_t>(value)];
    while (storage_[static_cast<size_t>(storage)] != storage) storage = storage_[static_cast<size_t>(storage)];
    return storage;
  }

  static bool same_desc(const TensorDesc& a, const TensorDesc& b) {
    return a.shape == b.shape && a.dtype == b.dtype && a.order == b.order;
  }

  int count_operands(const Op& op, int storage) const {
    int count = 0;
    for (int input : op.inputs) count += storage_of(input) == storage;
    return count;
  }

  void make_steps() {
    for (const Op& op : graph_.ops) {
      if (!is_step(graph_, op)) continue;
      Step step;
      step.op = op;
      const OpCost cost = cost_of(graph_, op);
      step.operations = cost.operations;
      step.bytes = cost.bytes;
      program_->steps.push_back(std::move(step));
    }
    std::vector<OpInstance> instances;
    for (const Step& step : program_->steps) instances.push_back(instance_of(graph_, step.op));
    for (size_t i = 0; i < instances.size();) {
      const std::span<const OpInstance> rest = std::span(instances).subspan(i);
      const size_t count = device_.joinable(rest);
      make_kernels(rest.first(count), &program_->steps[i]);
      i += count;
    }
  }

  // Creates the kernel of consecutive steps.
  void make_kernels(std::span<const OpInstance> instances, Step* steps) {
    if (instances.size() == 1) {
      KernelChoice choice = device_.choose(instances[0]);
      steps->kernel = std::move(choice.kernel);
      steps->implementation = std::move(choice.implementation);
      steps->refused = std::move(choice.refused);
      return;
    }
    for (size_t i = 0; i < instances.size(); ++i) {
      steps[i].kernel = i == 0 ? device_.join(instances) : std::make_unique<EmptyKernel>();
      steps[i].implementation = "joined";
      steps[i].joined = i == 0 ? instances.size() : 0;
    }
  }

  Layout lay_out(const std::vector<int64_t>& workspaces) const {
    Layout layout;
    std::vector<Lifetime> blocks;
    std::vector<int>& block_of = layout.block_of;
    block_of.assign(graph_.values.size(), -1);
    for (size_t value = 0; value < graph_.values.size(); ++value) {
      const int id = static_cast<int>(value);
      if (root_[value] != id || storage_of(id) != id || !in_arena(id)) continue;
      block_of[value] = static_cast<int>(blocks.size());
      blocks.push_back({first_[value], last_[value], graph_.desc(id).bytes()});
    }
    std::vector<int> ops;  // by step
    for (size_t i = 0; i < graph_.ops.size(); ++i) {
      if (is_step(graph_, graph_.ops[i])) ops.push_back(static_cast<int>(i));
    }
    for (size_t i = 0; i < ops.size(); ++i) {
      // A kernel of several steps may write the results of all of them while it uses its workspace.
      const size_t joined = program_->steps.empty() ? 1 : program_->steps[i].joined;
      layout.workspace_of.push_back(static_cast<int>(blocks.size()));
      blocks.push_back({ops[i], ops[i + std::max<size_t>(joined, 1) - 1], workspaces[i]});
    }
    layout.bytes = lay_out_blocks(blocks, &layout.offsets);
    return layout;
  }

  void place_all() {
    const std::vector<int64_t>& offsets = layout_.offsets;
    for (size_t value = 0; value < graph_.values.size(); ++value) {
      const int storage = storage_of(static_cast<int>(value));
      Placement placement = placement_[static_cast<size_t>(storage)];
      const int block = layout_.block_of[static_cast<size_t>(storage)];
      if (block >= 0) placement = {Placement::kArena, 0, offsets[static_cast<size_t>(block)]};
      program_->values.push_back({graph_.values[value].desc, graph_.values[value].name, placement});
    }
    for (size_t i = 0; i < program_->steps.size(); ++i)
      program_->steps[i].workspace_offset = offsets[static_cast<size_t>(layout_.workspace_of[i])];
    for (const StateInfo& state : graph_.states) {
      if (!store_.contains(state.name)) store_.add(state.name, state.shape);
      TRAINER_ASSERT(store_.shape(state.name).count() == state.shape.count());
      program_->states.push_back(state.name);
      program_->state_data.push_back(store_.data(state.name));
    }
    program_->sources = graph_.sources;
    program_->results = module_.results;
    program_->finish_plan(layout_.bytes);
  }

 public:
  // Whether the write's value can be computed in the state's memory: no op after its producer reads the old version,
  // and the producer itself reads it only element by element.
  static bool writable_in_place(const Graph& graph, const std::vector<int>& root, const StateReaders& readers,
                                const StateWrite& write) {
    const int value = root[static_cast<size_t>(write.value)];
    const int made_by = graph.values[static_cast<size_t>(value)].producer;
    const Op& op = graph.ops[static_cast<size_t>(made_by)];
    if (op.kind == OpKind::kSource || op.kind == OpKind::kStateRead) return false;
    const TensorDesc& desc = graph.desc(value);
    if (desc.dtype != DType::kF32 || !is_row_major(desc)) return false;
    if (desc.shape.count() != graph.desc(write.value).shape.count()) return false;  // a view of a part
    for (const StateWrite& other : graph.writes) {
      if (&other == &write) break;
      if (root[static_cast<size_t>(other.value)] == value || other.state == write.state) return false;
    }
    for (const auto& [reader, input] : readers[static_cast<size_t>(write.state)]) {
      if (reader < made_by) continue;
      const bool elementwise = reader == made_by && op.kind == OpKind::kMap && graph.desc(input).shape == desc.shape &&
                               graph.desc(input).order == desc.order && writes_unreduced(graph, op, value);
      if (!elementwise) return false;
    }
    return true;
  }

 private:
  static bool writes_unreduced(const Graph& graph, const Op& op, int value) {
    const auto at = std::find(op.outputs.begin(), op.outputs.end(), value) - op.outputs.begin();
    return op.as<MapBody>().outputs[static_cast<size_t>(at)].reduction == Reduction::kNone;
  }

  const Module& module_;
  const Graph& graph_;
  Device& device_;
  StateStore& store_;
  std::unique_ptr<Program> program_;
  std::vector<int> root_, storage_, claimed_, first_, last_;
  std::vector<Placement> placement_;
  Layout layout_;
};

// Appends a copy of an old value; returns the new value.
int append_copy(Rewriter* rewriter, int value) {
  const Graph& graph = rewriter->from();
  const TensorDesc& desc = graph.desc(value);
  Op copy;
  copy.kind = OpKind::kMap;
  copy.inputs = {rewriter->mapped(value)};
  copy.attributes = MapBody::copy(desc.shape);
  copy.shares = graph.producer(value).shares;
  return rewriter->append(std::move(copy), {desc}).front();
}

// Copies the old version of a written state if it is needed after the pass, as a result or as the value of another
// state.
Module with_kept_versions(const Module& module) {
  const Graph& graph = *module.graph;
  const std::vector<int> root = roots_of(graph);
  std::vector<bool> written(graph.states.size(), false);
  for (const StateWrite& write : graph.writes) written[static_cast<size_t>(write.state)] = true;
  const auto old_version = [&](int value, int except) {
    const Op& op = graph.producer(root[static_cast<size_t>(value)]);
    if (op.kind != OpKind::kStateRead) return false;
    const int state = op.as<IndexAttributes>().index;
    return state != except && written[static_cast<size_t>(state)];
  };
  std::vector<int> copies(graph.values.size(), -1);
  constexpr int kWanted = -2;
  for (int result : module.results) {
    if (result >= 0 && old_version(result, -1)) copies[static_cast<size_t>(result)] = kWanted;
  }
  for (const StateWrite& write : graph.writes) {
    if (old_version(write.value, write.state)) copies[static_cast<size_t>(write.value)] = kWanted;
  }
  Rewriter rewriter(graph);
  for (const Op& op : graph.ops) {
    rewriter.copy(op);
    for (int output : op.outputs) {
      int& copy = copies[static_cast<size_t>(output)];
      if (copy == kWanted) copy = append_copy(&rewriter, output);
    }
  }
  Module out = rewriter.finish(module);
  for (size_t i = 0; i < out.results.size(); ++i) {
    const int result = module.results[i];
    if (result >= 0 && copies[static_cast<size_t>(result)] >= 0) out.results[i] = copies[static_cast<size_t>(result)];
  }
  for (size_t i = 0; i < graph.writes.size(); ++i) {
    const StateWrite& write = graph.writes[i];
    if (old_version(write.value, write.state)) out.graph->writes[i].value = copies[static_cast<size_t>(write.value)];
  }
  return out;
}

// Appends a copy for each state write that cannot be computed in place.
Module with_separate_writes(const Module& module) {
  const Graph& graph = *module.graph;
  const std::vector<int> root = roots_of(graph);
  Rewriter rewriter(graph);
  for (const Op& op : graph.ops) rewriter.copy(op);
  std::vector<int> written;
  const StateReaders readers = state_readers_of(graph, root);
  for (const StateWrite& write : graph.writes) {
    const bool in_place = Planner::writable_in_place(graph, root, readers, write);
    written.push_back(in_place ? rewriter.mapped(write.value) : append_copy(&rewriter, write.value));
  }
  Module out = rewriter.finish(module);
  for (size_t i = 0; i < written.size(); ++i) out.graph->writes[i].value = written[i];
  return out;
}

}  // namespace

std::unique_ptr<Program> plan(const Module& module, Device& device, StateStore& store, Arena& arena, int64_t limit) {
  const auto separated = [](const Module& m) { return with_separate_writes(with_kept_versions(m)); };
  const Module whole = separated(module);
  Planner planner(whole, device, store, arena);
  WorkspaceTable workspaces;
  const int64_t bytes = planner.prepare(&workspaces);
  if (limit <= 0) return planner.finish();
  // States that this plan adds to the store take their memory from the same limit.
  for (const StateInfo& state : whole.graph->states) {
    if (!store.contains(state.name)) limit -= TensorDesc{state.shape}.bytes();
  }
  if (bytes <= limit) return planner.finish();

  const std::string left = format_bytes(std::max<int64_t>(limit, 0));
  if (!has_backward(*module.graph))
    throw device_error(
        "not enough memory: the values of a forward pass need {}, and {} is left for them. A smaller batch_size needs "
        "less.",
        format_bytes(bytes), left);
  const FittedModule fitted = fit_memory(module, limit, [&](const Module& m) {
    const Module candidate = separated(m);
    return Planner(candidate, device, store, arena).measure(workspaces);
  });
  const Module less = separated(fitted.module);
  Planner fitted_planner(less, device, store, arena);
  const int64_t least = fitted_planner.prepare(&workspaces);
  if (least > limit)
    throw device_error(
        "not enough memory: activations and workspaces need {}, or {} if forward values are computed again, and {} is "
        "left for them. A smaller batch_size with a larger iter_size needs less.",
        format_bytes(bytes), format_bytes(least), left);
  std::unique_ptr<Program> program = fitted_planner.finish();
  program->repeated = {fitted.operations, bytes};
  return program;
}

}  // namespace trainer
