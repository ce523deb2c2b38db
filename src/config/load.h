// Net and solver files: read, parsed with positions, converted to the current schema.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/diagnostics.h"
#include "config/positions.h"
#include "trainer.pb.h"

namespace trainer {

struct NetFile {
  std::unique_ptr<caffe::NetParameter> net;
  Positions positions;
  std::string path;
  bool complete = false;           // true if parsing found no error, so that an absent field is really absent
  std::vector<std::string> notes;  // conversions from legacy forms
};

struct SolverFile {
  std::unique_ptr<caffe::SolverParameter> solver;
  Positions positions;
  std::string path;
  bool complete = false;
  std::vector<std::string> notes;
};

// A prototxt: a file, or a text and the name that messages give it.
struct PrototxtSource {
  PrototxtSource(const char* path) : path(path) {}
  PrototxtSource(std::string path, std::optional<std::string> text = std::nullopt)
      : path(std::move(path)), text(std::move(text)) {}
  std::string path;
  std::optional<std::string> text;
};

// Reports errors to `diagnostics`. Returns null if the file cannot be read at all, otherwise everything that could be
// parsed. `named_at` is the position that names the file; empty for the command line.
std::unique_ptr<NetFile> load_net(const PrototxtSource& source, Diagnostics* diagnostics,
                                  const SourcePosition& named_at = {});
// If `complete_prefix` is false, and for a text, snapshot_prefix stays as it is written.
std::unique_ptr<SolverFile> load_solver(const PrototxtSource& source, Diagnostics* diagnostics,
                                        bool complete_prefix = true);
// Whether a file is more likely a solver than a net: its text has fewer mistakes when it is read as a solver.
bool is_solver_text(const std::string& path);

// Copies a net that is written inside a solver, with its positions.
std::unique_ptr<NetFile> inline_net_file(const caffe::NetParameter& net, const SolverFile& solver,
                                         Diagnostics* diagnostics);

}  // namespace trainer
