// Finds the files of a training by its solver.
#include "train/run_model.h"

#include <filesystem>

#include "base/error.h"
#include "config/load.h"
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

// The prefix as the solver gives it, or, if no snapshot has it, beside the run folder PREFIX_run/DATE-TIME: the
// training may have had another working folder, and folders may have moved.
std::string prefix_of(const caffe::SolverParameter& solver, const fs::path& folder) {
  if (is_there(best_path(solver)) || !find_snapshots(solver.snapshot_prefix()).empty()) return solver.snapshot_prefix();
  std::string beside = fs::absolute(folder).lexically_normal().parent_path().string();
  if (!beside.ends_with(kRunSuffix)) return solver.snapshot_prefix();
  beside.resize(beside.size() - std::string(kRunSuffix).size());
  return beside;
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
  caffe::SolverParameter solver = *file->solver;
  solver.set_snapshot_prefix(prefix_of(solver, root));
  RunModel found{is_there(test) ? test.string() : net.string(), best_path(solver)};
  if (is_there(found.weights)) return found;
  const std::string state = find_latest_snapshot(solver, report);
  if (state.empty())
    throw data_error("there are no weights of {}: {} has neither a best file nor an intact snapshot", folder,
                     solver.snapshot_prefix());
  found.weights = read_snapshot(state).weights_path;
  return found;
}

}  // namespace trainer
