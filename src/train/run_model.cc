// Finds the files of a training by its solver.
#include "train/run_model.h"

#include <chrono>
#include <filesystem>

#include "base/error.h"
#include "config/load.h"
#include "report/run_history.h"
#include "train/latest_snapshot.h"
#include "train/snapshot.h"
#include "train/snapshot_files.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRunSuffix = "_run";

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

bool has_weights(const caffe::SolverParameter& solver) {
  return is_there(best_path(solver)) || !find_snapshots(solver.snapshot_prefix()).empty();
}

// The solver with a prefix that has snapshots, because the training may have had another working folder, and folders
// may have moved: the one beside the run folder PREFIX_run/DATE-TIME, or in a folder that `trainer new` made; else that
// of its text.
caffe::SolverParameter with_prefix(const caffe::SolverParameter& solver, const fs::path& folder) {
  caffe::SolverParameter beside = solver;
  const fs::path whole = fs::absolute(folder / "").lexically_normal().parent_path();
  std::string prefix = whole.parent_path().string();
  if (prefix.ends_with(kRunSuffix)) {
    prefix.resize(prefix.size() - std::string(kRunSuffix).size());
  } else {
    prefix = (whole / fs::path(solver.snapshot_prefix()).filename()).string();
  }
  beside.set_snapshot_prefix(prefix);
  return has_weights(beside) ? beside : solver;
}

// Whether the best weights are those of the run with these metrics: a later training writes the file again.
bool is_own_best(const std::string& best, const fs::path& metrics) {
  constexpr auto kTolerance = std::chrono::seconds(2);
  std::error_code error;
  const auto written = fs::last_write_time(best, error);
  return !error && written <= fs::last_write_time(metrics, error) + kTolerance && !error;
}

// The state file of the snapshot to take; "" if there is none.
std::string find_state(const caffe::SolverParameter& solver, const std::string& folder, bool reported,
                       RunReport& report) {
  if (find_snapshots(solver.snapshot_prefix()).empty()) return "";
  return reported ? find_snapshot_of(solver, folder) : find_latest_snapshot(solver, report);
}

}  // namespace

RunModel find_run_model(const std::string& folder, RunReport& report) {
  const fs::path root(folder), net = root / "net.prototxt", test = root / "test_net.prototxt";
  const fs::path solver_file = root / "solver.prototxt";
  for (const fs::path& file : {net, solver_file}) {
    if (!is_there(file))
      throw data_error("{} has no {}: name a run folder (PREFIX_run/DATE-TIME), or one with a net and a solver", folder,
                       file.filename().string());
  }
  Diagnostics diagnostics;
  const std::unique_ptr<SolverFile> file = load_solver(solver_file.string(), &diagnostics);
  diagnostics.throw_if_errors();
  const caffe::SolverParameter solver = with_prefix(*file->solver, root);
  const std::string best = best_path(solver);
  const fs::path metrics = root / "metrics.jsonl";
  const bool reported = is_there(metrics);
  RunModel found{is_there(test) ? test.string() : net.string(), best};
  if (is_there(best) && (!reported || is_own_best(best, metrics))) return found;
  if (reported && !read_history(metrics.string()).best.empty())
    report.warning(fmt::format("The best weights of this training, {}, are gone or those of another training", best));
  const std::string state = find_state(solver, folder, reported, report);
  if (state.empty())
    throw data_error(
        "there are no weights of {}: {} has neither a best file nor an intact snapshot of this training. Name them "
        "with --weights",
        folder, solver.snapshot_prefix());
  found.weights = read_snapshot(state).weights_path;
  return found;
}

}  // namespace trainer
