// Recomputation in segments: Chen et al., Training Deep Nets with Sublinear Memory Cost (2016).
//
// The forward ops are split into segments at points where few bytes are live. Values that are live at a cut are kept.
// Of the other values of a segment, all, some or none are kept; the backward ops read copies of the rest, recomputed
// from kept values just before their first use. The search tries several numbers of segments. If a number fits, the
// search lets its segments keep more again, as long as the module still fits.
#include "compile/fit_memory.h"

#include <algorithm>
#include <numeric>

#include "compile/passes.h"
#include "ops/cost.h"
#include "ops/opaque.h"

namespace trainer {
namespace {

// The values that a segment keeps for the backward pass, by the cost of recomputing the others.
enum class Keeps : uint8_t {
  kAll,
  kCostly,  // all but results of maps and copies
  kEnds,    // only values that are live at its two ends
};

bool lasts(const Graph& graph, int value) {
  const OpKind kind = graph.producer(value).kind;
  return kind == OpKind::kSource || kind == OpKind::kStateRead;
}

bool is_cheap(OpKind kind) {
  switch (kind) {
    case OpKind::kMap:
    case OpKind::kReshape:
    case OpKind::kPermute:
    case OpKind::kSlice:
    case OpKind::kPad:
    case OpKind::kConcat:
    case OpKind::kReorder: return true;
    default: return false;
  }
}

class Segmentation {
 public:
  explicit Segmentation(const Module& module) : module_(module), graph_(*module.graph) {
    const auto readers = readers_of(graph_);
    const std::vector<bool> lasting = lasting_values(module);
    last_forward_.assign(graph_.values.size(), -1);
    read_backward_.assign(graph_.values.size(), false);
    pinned_.assign(graph_.values.size(), false);
    for (size_t i = 0; i < graph_.ops.size(); ++i) {
      if (graph_.ops[i].pass() == Pass::kForward) forward_.push_back(static_cast<int>(i));
    }
    position_.assign(graph_.ops.size(), -1);
    for (size_t i = 0; i < forward_.size(); ++i) position_[static_cast<size_t>(forward_[i])] = static_cast<int>(i);
    for (size_t value = 0; value < graph_.values.size(); ++value) {
      for (int reader : readers[value]) {
        const int at = position_[static_cast<size_t>(reader)];
        if (at < 0) {
          read_backward_[value] = true;
        } else {
          last_forward_[value] = std::max(last_forward_[value], at);
        }
      }
      const Op& producer = graph_.ops[static_cast<size_t>(graph_.values[value].producer)];
      const bool effect = producer.kind == OpKind::kOpaque && producer.as<OpaqueAttributes>().op->has_effect();
      pinned_[value] =
          lasting[value] || effect || producer.pass() != Pass::kForward || lasts(graph_, static_cast<int>(value));
    }
    find_crossing_bytes();
  }

  int forward_ops() const { return static_cast<int>(forward_.size()); }

  // Ends of `count` segments. All keep about the same number of bytes for the backward pass; each ends where few bytes
  // are live.
  std::vector<int> cuts(int count) const {
    std::vector<int> ends;
    const int64_t total = kept_before_.back();
    for (int i = 1; i < count; ++i) {
      const auto at = [&](double part) {
        const int64_t bytes = static_cast<int64_t>(part * static_cast<double>(total));
        const auto found = std::lower_bound(kept_before_.begin(), kept_before_.end(), bytes);
        return static_cast<int>(found - kept_before_.begin());
      };
      const int begin = std::max(at((i - 0.4) / count), ends.empty() ? 1 : ends.back() + 1);
      const int end = std::min(at((i + 0.4) / count), forward_ops() - 1);
      int best = -1;
      for (int p = begin; p <= end; ++p) {
        if (best < 0 || alive_[static_cast<size_t>(p)] < alive_[static_cast<size_t>(best)]) best = p;
      }
      if (best >= 0) ends.push_back(best);
    }
    ends.push_back(forward_ops());
    return ends;
  }

  FittedModule apply(const std::vector<int>& ends, const std::vector<Keeps>& keeps) const;

 private:
  int made_at(size_t value) const { return position_[static_cast<size_t>(graph_.values[value].producer)]; }

  // For the point before each forward op: bytes that are live for later forward ops, and bytes produced so far for the
  // backward pass.
  void find_crossing_bytes() {
    alive_.assign(forward_.size() + 1, 0);
    kept_before_.assign(forward_.size() + 1, 0);
    for (size_t value = 0; value < graph_.values.size(); ++value) {
      if (lasts(graph_, static_cast<int>(value)) || made_at(value) < 0) continue;
      const int64_t bytes = graph_.desc(static_cast<int>(value)).bytes();
      for (int p = made_at(value) + 1; p <= last_forward_[value]; ++p) alive_[static_cast<size_t>(p)] += bytes;
      if (read_backward_[value]) kept_before_[static_cast<size_t>(made_at(value)) + 1] += bytes;
    }
    std::partial_sum(kept_before_.begin(), kept_before_.end(), kept_before_.begin());
  }

  const Module& module_;
  const Graph& graph_;
  std::vector<int> forward_;       // forward ops
  std::vector<int> position_;      // by op: its position in forward_, or -1
  std::vector<int> last_forward_;  // by value: the position of its last reader in forward_, or -1
  std::vector<bool> read_backward_, pinned_;
  std::vector<int64_t> alive_, kept_before_;
};

// Copies the producers of values that are not kept to just before the backward ops that read these values.
class Repetition {
 public:
  Repetition(const Graph& graph, const std::vector<bool>& kept)
      : graph_(graph), kept_(kept), rewriter_(graph), copies_(graph.values.size(), -1) {}

  FittedModule run(const Module& module) {
    FittedModule out;
    for (const Op& op : graph_.ops) {
      if (op.pass() == Pass::kForward) {
        rewriter_.copy(op);
        continue;
      }
      Op moved = op;
      for (int& input : moved.inputs) input = available(input, &out.operations);
      rewriter_.append_for(op.outputs, std::move(moved));
    }
    out.module = rewriter_.finish(module);
    return out;
  }

 private:
  int available(int value, double* operations) {
    if (kept_[static_cast<size_t>(value)]) return rewriter_.mapped(value);
    if (copies_[static_cast<size_t>(value)] >= 0) return copies_[static_cast<size_t>(value)];
    const Op& op = graph_.producer(value);
    Op copy = op;
    for (int& input : copy.inputs) input = available(input, operations);
    for (LayerShare& share : copy.shares) share.pass = Pass::kBackward;
    *operations += cost_of(graph_, op).operations;
    std::vector<TensorDesc> descs;
    for (int output : op.outputs) descs.push_back(graph_.desc(output));
    const std::vector<int> made = rewriter_.append(std::move(copy), descs);
    for (size_t i = 0; i < made.size(); ++i) copies_[static_cast<size_t>(op.outputs[i])] = made[i];
    return copies_[static_cast<size_t>(value)];
  }

  const Graph& graph_;
  const std::vector<bool>& kept_;
  Rewriter rewriter_;
  std::vector<int> copies_;
};

FittedModule Segmentation::apply(const std::vector<int>& ends, const std::vector<Keeps>& keeps) const {
  std::vector<bool> kept = pinned_;
  int begin = 0;
  for (size_t s = 0; s < ends.size(); ++s) {
    for (size_t value = 0; value < kept.size(); ++value) {
      const int at = kept[value] ? -1 : made_at(value);
      if (at < begin || at >= ends[s]) continue;
      const OpKind kind = graph_.ops[static_cast<size_t>(graph_.values[value].producer)].kind;
      const bool keeps_kind = keeps[s] == Keeps::kAll || (keeps[s] == Keeps::kCostly && !is_cheap(kind));
      kept[value] = (read_backward_[value] && keeps_kind) || (last_forward_[value] >= ends[s]);
    }
    begin = ends[s];
  }
  return Repetition(graph_, kept).run(module_);
}

// One choice for each segment, and the module that results.
struct Attempt {
  std::vector<int> ends;
  std::vector<Keeps> keeps;
  FittedModule fitted;
};

class Search {
 public:
  Search(const Module& module, int64_t limit, const std::function<int64_t(const Module&)>& measure)
      : segmentation_(module), limit_(limit), measure_(measure) {}

  FittedModule run() {
    constexpr int kCostlySegments = 8, kMaxRelaxed = 8, kMaxSegments = 64;
    consider(kCostlySegments, Keeps::kCostly, true);
    if (fits(best_)) return std::move(best_.fitted);
    for (int count = 2; count <= kMaxSegments && count < segmentation_.forward_ops(); count += (count + 2) / 3) {
      consider(count, Keeps::kEnds, count <= kMaxRelaxed);
      if (count > kMaxRelaxed && fits(best_)) break;
    }
    return std::move(best_.fitted);
  }

 private:
  bool fits(const Attempt& attempt) const { return attempt.fitted.bytes <= limit_; }

  // Tries `count` segments that all keep `keeps`, except the last: the backward pass reads its values at once, so it
  // keeps all. If that fits and `may_relax`, lets segments keep more.
  void consider(int count, Keeps keeps, bool may_relax) {
    const std::vector<int> ends = segmentation_.cuts(count);
    std::vector<Keeps> all(ends.size(), keeps);
    if (ends.size() > 1) all.back() = Keeps::kAll;
    Attempt attempt = evaluate(ends, std::move(all));
    if (fits(attempt) && may_relax) attempt = relax(std::move(attempt));
    const bool better = fits(attempt) && fits(best_) ? attempt.fitted.operations < best_.fitted.operations
                                                     : attempt.fitted.bytes < best_.fitted.bytes;
    if (best_.ends.empty() || better) best_ = std::move(attempt);
  }

  Attempt evaluate(const std::vector<int>& ends, std::vector<Keeps> keeps) const {
    Attempt attempt{ends, std::move(keeps), {}};
    attempt.fitted = segmentation_.apply(attempt.ends, attempt.keeps);
    attempt.fitted.bytes = measure_(attempt.fitted.module);
    return attempt;
  }

  // Lets one segment after the other keep more, as long as the module fits.
  Attempt relax(Attempt attempt) const {
    for (size_t s = 0; s < attempt.ends.size(); ++s) {
      for (const Keeps keeps : {Keeps::kAll, Keeps::kCostly}) {
        if (attempt.keeps[s] <= keeps) break;
        std::vector<Keeps> relaxed = attempt.keeps;
        relaxed[s] = keeps;
        Attempt better = evaluate(attempt.ends, std::move(relaxed));
        if (better.fitted.bytes > limit_ || better.fitted.operations > attempt.fitted.operations) continue;
        attempt = std::move(better);
        break;
      }
    }
    return attempt;
  }

  Segmentation segmentation_;
  const int64_t limit_;
  const std::function<int64_t(const Module&)>& measure_;
  Attempt best_;  // so far: the one that fits with the fewest operations; if none fits, the one that needs least memory
};

}  // namespace

FittedModule fit_memory(const Module& module, int64_t limit, const std::function<int64_t(const Module&)>& measure) {
  return Search(module, limit, measure).run();
}

}  // namespace trainer
