// Plans a training with smaller batches or recomputation until it fits.
#include "train/memory_advice.h"

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "base/text.h"
#include "train/configure_training.h"

namespace trainer {
namespace {

constexpr int kMostParts = 1024;  // of a batch, at most
constexpr size_t kLargestLayers = 3;

// nullopt if the training cannot be planned.
std::optional<MemoryPlan> plan_of(TrainingFiles files, TrainingOptions options, int parts, int64_t memory) {
  options.plans_only = true;
  options.group = nullptr;  // the other processes do not plan
  options.memory = memory;
  try {
    divide_batches(&files, parts);
    return Training(std::move(files), options).memory_plan();
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::string largest_layers(const MemoryPlan& plan) {
  std::vector<std::pair<int64_t, std::string>> layers;
  for (const auto& [name, bytes] : plan.layers) layers.emplace_back(bytes, name);
  std::sort(layers.rbegin(), layers.rend());
  layers.resize(std::min(layers.size(), kLargestLayers));
  std::string text;
  for (const auto& [bytes, name] : layers)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, format_bytes(bytes));
  return text;
}

}  // namespace

std::string memory_advice(const std::function<TrainingFiles()>& configure, const TrainingOptions& options,
                          const OutOfMemory& error) {
  TrainingFiles files = configure();
  const int iter_size = files.solver->iter_size();
  const std::optional<MemoryPlan> whole = plan_of(std::move(files), options, 1, options.memory);
  if (!whole) return error.what();
  // The failed training has released its memory: the plan sees what was free before it.
  const int64_t usable = static_cast<int64_t>(MemoryPlan::kUsable * static_cast<double>(whole->free));
  std::string text = fmt::format(
      "not enough memory on {}: the training needs {} (activations and workspace {}, parameters, gradients and history "
      "{}, batches {}), {} are free, of which {} are reserved for libraries",
      error.device, format_bytes(whole->total()), format_bytes(whole->activations), format_bytes(whole->states),
      format_bytes(whole->batches), format_bytes(whole->free), format_bytes(whole->free - usable));
  const std::string layers = largest_layers(*whole);
  if (!layers.empty()) text += fmt::format("\n  The largest layers: {}", layers);

  std::vector<std::string> fits;
  bool divided = false;
  for (int parts = 2; parts <= kMostParts && fits.empty(); parts *= 2) {
    const std::optional<MemoryPlan> smaller = plan_of(configure(), options, parts, options.memory);
    if (!smaller || smaller->batch * parts != whole->batch) break;
    divided = true;
    if (smaller->total() <= usable)
      fits.push_back(fmt::format("batch_size: {} with iter_size: {} ({})", smaller->batch, int64_t{iter_size} * parts,
                                 format_bytes(smaller->total())));
  }
  if (options.memory == 0) {
    const std::optional<MemoryPlan> repeating = plan_of(configure(), options, 1, usable);
    if (repeating && repeating->total() <= usable)
      fits.push_back(fmt::format("--memory={}M, which recomputes forward values with {:.0f}% more operations",
                                 usable >> 20, 100 * repeating->recomputed));
  }
  if (!fits.empty()) text += fmt::format("\n  These fit: {}", fmt::join(fits, "; or "));
  if (fits.empty() && divided) text += "\n  No smaller batch fits either.";
  return text;
}

}  // namespace trainer
