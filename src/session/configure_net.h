// Reads net files, applies the edits of the command line and filters the nets for their states.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/load.h"

namespace trainer {

// Changes that the command line makes to solver and nets.
struct Edits {
  std::vector<std::string> overrides;  // --set
  std::vector<std::string> fills;      // --fill
};

// A net file, or nullptr if it could not be read, and the state to filter it for.
struct LoadedNet {
  std::unique_ptr<NetFile> file;
  caffe::NetState state;
};

// A net with the layers that its state includes. A NetFile owns the messages and their positions.
struct FilteredNet {
  const caffe::NetParameter* net = nullptr;  // nullptr if its file could not be read
  const Positions* positions = nullptr;
  caffe::NetState state;
};

// The state that a user asks for.
caffe::NetState requested_state(caffe::Phase phase, std::optional<int> level, const std::vector<std::string>& stages);

// The state of a net in this phase, with the net's own `state` merged in.
caffe::NetState starting_state(caffe::Phase phase, const caffe::NetParameter& net);

// Applies the overrides of layers, keeps the layers that each state includes, then applies the fills. Moves the files
// of the nets to the end of `files`.
std::vector<FilteredNet> filter_nets(std::vector<LoadedNet> loaded, const Edits& edits,
                                     std::vector<std::unique_ptr<NetFile>>* files, Diagnostics* diagnostics);

// Reads one net file and filters it. `*file` owns the result.
FilteredNet configure_net(const PrototxtSource& source, const caffe::NetState& state, const Edits& edits,
                          std::unique_ptr<NetFile>* file, Diagnostics* diagnostics);

}  // namespace trainer
