// The snapshot from which `--snapshot=auto` continues.
#pragma once

#include <string>

#include "report/run_report.h"
#include "trainer.pb.h"

namespace trainer {

// The state file of the newest intact snapshot of the solver's prefix; "" if there is none. Of several runs with this
// prefix, the snapshots of the run that wrote last come first; run folders identify runs. Notes the choice, and the
// snapshots that are skipped for it.
std::string find_latest_snapshot(const caffe::SolverParameter& solver, RunReport& report);
// The newest intact snapshot with fewer iterations than that of this state file, of the same run; "" if there is none.
std::string snapshot_before(const caffe::SolverParameter& solver, const std::string& state_file);
// The newest intact snapshot of the run with this run folder; "" if there is none.
std::string find_snapshot_of(const caffe::SolverParameter& solver, const std::string& run_folder);

}  // namespace trainer
