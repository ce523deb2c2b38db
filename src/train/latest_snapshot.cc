// Chooses among the snapshots of a prefix.
#include "train/latest_snapshot.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "formats/solver_state.h"
#include "train/snapshot.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

struct Candidate {
  int iteration = 0;
  std::string state;   // "" if the snapshot has none
  std::string run;     // the run folder
  std::string damage;  // "" if the state can be read
};

Candidate candidate_of(int iteration, const std::vector<std::string>& files) {
  const auto state = std::find_if(files.begin(), files.end(), [](const std::string& file) {
    return fs::path(file).filename().string().find(".solverstate") != std::string::npos;
  });
  if (state == files.end())
    return {iteration, "", "", fmt::format("the snapshot of {} has no solver state", files.front())};
  try {
    return {iteration, *state, read_solver_progress(*state).run_folder(), ""};
  } catch (const Error& error) {
    return {iteration, *state, "", error.what()};
  }
}

// "" if the snapshot is complete.
std::string find_damage(const Candidate& candidate) {
  if (!candidate.damage.empty()) return candidate.damage;
  try {
    const StoredSnapshot snapshot = read_snapshot(candidate.state);
    if (snapshot.state.state.has_average_net()) read_average(candidate.state, snapshot.state.state);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

// The state file of the snapshot with the most iterations that `wanted` accepts; "" if there is none.
std::string newest_intact(const caffe::SolverParameter& solver, const std::function<bool(const Candidate&)>& wanted) {
  const auto found = find_snapshots(solver.snapshot_prefix());
  for (auto it = found.rbegin(); it != found.rend(); ++it) {
    const Candidate candidate = candidate_of(it->first, it->second);
    if (wanted(candidate) && find_damage(candidate).empty()) return candidate.state;
  }
  return "";
}

fs::file_time_type written(const Candidate& candidate) {
  std::error_code ignored;
  return fs::last_write_time(candidate.state, ignored);
}

// Files that can be copied without their times do not tell which of two snapshots of a run is newer, but their numbers
// do; the numbers do not compare two runs.
std::vector<Candidate> newest_first(std::vector<Candidate> candidates) {
  std::map<std::string, fs::file_time_type> last;
  for (const Candidate& candidate : candidates) {
    if (!candidate.damage.empty()) continue;
    const auto [run, first] = last.try_emplace(candidate.run, written(candidate));
    if (!first) run->second = std::max(run->second, written(candidate));
  }
  std::sort(candidates.begin(), candidates.end(), [&](const Candidate& a, const Candidate& b) {
    if (a.damage.empty() != b.damage.empty()) return a.damage.empty();
    if (a.damage.empty() && a.run != b.run) return std::tie(last[a.run], a.run) > std::tie(last[b.run], b.run);
    return a.iteration > b.iteration;
  });
  return candidates;
}

}  // namespace

std::string snapshot_before(const caffe::SolverParameter& solver, const std::string& state_file) {
  const caffe::SolverState last = read_solver_progress(state_file);
  return newest_intact(solver, [&](const Candidate& candidate) {
    return candidate.iteration < last.iter() && candidate.run == last.run_folder();
  });
}

std::string find_snapshot_of(const caffe::SolverParameter& solver, const std::string& run_folder) {
  return newest_intact(solver, [&](const Candidate& candidate) {
    std::error_code ignored;
    return candidate.run.empty() ||
           fs::equivalent(fs::path(candidate.state).parent_path() / candidate.run, run_folder, ignored);
  });
}

std::string find_latest_snapshot(const caffe::SolverParameter& solver, RunReport& report) {
  std::vector<Candidate> candidates;
  for (const auto& [iteration, files] : find_snapshots(solver.snapshot_prefix()))
    candidates.push_back(candidate_of(iteration, files));
  candidates = newest_first(std::move(candidates));
  auto chosen = candidates.begin();
  for (; chosen != candidates.end(); ++chosen) {
    chosen->damage = find_damage(*chosen);
    if (chosen->damage.empty()) break;
  }
  const bool found = chosen != candidates.end();
  for (auto other = candidates.begin(); other != candidates.end(); ++other) {
    if (found && other >= chosen && other->iteration <= chosen->iteration) continue;
    if (other->damage.empty())
      report.note(fmt::format("Skipped {}: it belongs to an earlier run", other->state));
    else
      report.warning(fmt::format("Skipped a damaged snapshot: {}", other->damage));
  }
  if (!found)
    report.note(fmt::format("--snapshot=auto: {} has no {}snapshot; the training starts from the beginning",
                            solver.snapshot_prefix(), candidates.empty() ? "" : "intact "));
  return found ? chosen->state : "";
}

}  // namespace trainer
