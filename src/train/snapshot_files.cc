// Finds and removes the files of snapshots.
#include "train/snapshot_files.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <vector>

#include "formats/atomic_file.h"
#include "train/weight_average.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

constexpr ptrdiff_t kNamed = 8;  // snapshots in one line

}  // namespace

bool is_hdf5(const caffe::SolverParameter& solver) {
  return solver.snapshot_format() == caffe::SolverParameter_SnapshotFormat_HDF5;
}

bool writes_snapshots(const caffe::SolverParameter& solver) {
  return solver.snapshot() > 0 || solver.snapshot_after_train();
}

SnapshotPaths snapshot_paths(const caffe::SolverParameter& solver, int iteration) {
  const std::string base = fmt::format("{}_iter_{}", solver.snapshot_prefix(), iteration);
  const char* ending = is_hdf5(solver) ? ".h5" : "";
  const std::string average = average_name(solver);
  return {base + ".caffemodel" + ending, base + ".solverstate" + ending, base + ".manifest",
          average.empty() ? "" : fmt::format("{}_{}.caffemodel{}", base, average, ending)};
}

std::string best_path(const caffe::SolverParameter& solver) {
  return fmt::format("{}_best.caffemodel{}", solver.snapshot_prefix(), is_hdf5(solver) ? ".h5" : "");
}

std::map<int, std::vector<std::string>> find_snapshots(const std::string& snapshot_prefix) {
  const fs::path prefix = snapshot_prefix;
  const fs::path folder = prefix.has_parent_path() ? prefix.parent_path() : fs::path(".");
  const std::string stem = prefix.filename().string() + "_iter_";
  std::map<int, std::vector<std::string>> found;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.compare(0, stem.size(), stem) != 0) continue;
    const size_t dot = name.find('.', stem.size());
    if (dot == std::string::npos) continue;
    std::string_view digits = std::string_view(name).substr(stem.size(), dot - stem.size());
    for (const std::string_view average : {"_ema", "_swa"})
      if (digits.ends_with(average)) digits.remove_suffix(average.size());
    const std::string number(digits);
    const std::string ending = name.substr(dot);
    if (number.empty() || number.find_first_not_of("0123456789") != std::string::npos || number.size() > 9) continue;
    if (ending.rfind(".caffemodel", 0) != 0 && ending.rfind(".solverstate", 0) != 0 && ending != ".manifest") continue;
    found[std::stoi(number)].push_back((prefix.parent_path() / name).string());
  }
  return found;
}

std::vector<std::string> SnapshotPaths::all() const {
  std::vector<std::string> paths = {weights, state, manifest};
  if (!average.empty()) paths.push_back(average);
  return paths;
}

std::string check_replaced_snapshots(const caffe::SolverParameter& solver, const Interval& interval, int first,
                                     int last) {
  std::vector<int> replaced;
  for (const auto& [iteration, files] : find_snapshots(solver.snapshot_prefix())) {
    const bool periodic = interval.due(iteration) && iteration <= last;
    const bool final = solver.snapshot_after_train() && iteration == last;
    if (iteration <= first || !(periodic || final)) continue;
    const SnapshotPaths paths = snapshot_paths(solver, iteration);
    for (const std::string& path : paths.all()) check_replaceable(path);
    if (fs::exists(paths.weights) || fs::exists(paths.state)) replaced.push_back(iteration);
  }
  if (replaced.empty()) return "";
  const ptrdiff_t named = std::min(std::ssize(replaced), kNamed);
  return fmt::format("This run replaces snapshots of an earlier one: {}_iter_N for N = {}{}", solver.snapshot_prefix(),
                     fmt::join(replaced.begin(), replaced.begin() + named, ", "),
                     named < std::ssize(replaced) ? ", ..." : "");
}

void prune_snapshots(const caffe::SolverParameter& solver, int iteration) {
  if (solver.keep_snapshots() <= 0) return;
  const std::map<int, std::vector<std::string>> found = find_snapshots(solver.snapshot_prefix());
  int kept = 0;
  std::error_code ignored;
  for (auto it = found.rbegin(); it != found.rend(); ++it) {
    if (it->first > iteration || ++kept <= solver.keep_snapshots()) continue;
    for (const std::string& path : it->second) fs::remove(path, ignored);
  }
}

}  // namespace trainer
