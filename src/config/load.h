// Net and solver files: read, parsed with positions, brought to the current schema.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/diagnostics.h"
#include "config/positions.h"
#include "trainer.pb.h"

namespace trainer {

struct NetFile {
  std::unique_ptr<caffe::NetParameter> net;
  Positions positions;
  std::string path;
  bool complete = false;           // read without a mistake: what is not there was not given
  std::vector<std::string> notes;  // what was converted from a legacy form
};

struct SolverFile {
  std::unique_ptr<caffe::SolverParameter> solver;
  Positions positions;
  std::string path;
  bool complete = false;
  std::vector<std::string> notes;
};

// Problems go to `diagnostics`. Null where the file cannot be read at all; otherwise what could be
// understood. `named_at` is the place that names the file; the command line is none.
std::unique_ptr<NetFile> load_net(const std::string& path, Diagnostics* diagnostics,
                                  const SourcePosition& named_at = {});
// Without `complete_prefix` snapshot_prefix stays as the file has it.
std::unique_ptr<SolverFile> load_solver(const std::string& path, Diagnostics* diagnostics, bool complete_prefix = true);

// A copy of a net written inside a solver, with its positions.
std::unique_ptr<NetFile> inline_net_file(const caffe::NetParameter& net, const SolverFile& solver,
                                         Diagnostics* diagnostics);

}  // namespace trainer
