// Opens a net with trained weights.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "session/assign_tensors.h"
#include "session/choose_device.h"
#include "session/configure_net.h"
#include "session/net_session.h"

namespace trainer {

struct ConfiguredNet {
  std::unique_ptr<NetFile> file;
  FilteredNet net;
};

// How an Input layer without --fill is treated.
enum class UnfilledInput { kZeros, kError, kArrays };

// A weight file or the name of published weights, and its position: a flag or a field.
struct NamedWeights {
  std::string path;
  SourcePosition position;
};
NamedWeights weights_of_flag(const std::string& path);

// Reports files that cannot be opened, and words that are not names of published weights. The files are read after the
// device is open.
void check_readable(const std::vector<NamedWeights>& weights, Diagnostics* diagnostics);

// Throws a config_error for an override of a solver's field.
void require_net_overrides(const Edits& edits);

// Reads the net, applies the edits, filters it for `state` and checks it. Throws with all problems, weights that cannot
// be opened included; logs warnings.
ConfiguredNet configure_or_throw(const PrototxtSource& model, const caffe::NetState& state, const Edits& edits,
                                 UnfilledInput unfilled, const GivenShapes& given = {},
                                 const std::vector<NamedWeights>& weights = {});

// Loads weights, a file or published ones, for a net that computes, and logs what was loaded. Layers that the file
// lacks are a data_error without `allow_fresh`. `path` may be "none" or "" for a net without learned blobs.
void load_trained_weights(const std::string& path, const WeightMatching& matching, bool allow_fresh, NetSession& net,
                          StateStore& store);

struct OpenNetOptions {
  ChosenDevice device;
  DeviceOptions device_options;
  std::string weights;
  WeightMatching matching;
  bool allow_fresh = false;
  std::vector<std::string> keep;  // blobs to read
  bool keep_outputs = false;      // and the outputs of the net
  GivenShapes shapes;             // of Input layers
  InputUse inputs = InputUse::kZeros;
  DataReading reading = {};
  bool measures = false;   // for evaluate()
  Group* group = nullptr;  // that evaluates together
};

class OpenNet {
 public:
  // Logs warnings and what was loaded.
  OpenNet(ConfiguredNet net, const OpenNetOptions& options);

  NetSession& session() { return session_; }
  const NetSession& session() const { return session_; }
  StateStore& store() { return device_session_.store; }
  const StateStore& store() const { return device_session_.store; }
  const caffe::NetParameter& message() const { return *configured_.net.net; }
  // The blobs to read, by the index that NetSession::read_kept takes.
  const std::vector<std::string>& kept() const { return kept_; }

 private:
  const ConfiguredNet configured_;
  const std::shared_ptr<const GpuLease> lease_;
  DeviceSession device_session_;
  NetSession session_;
  std::vector<std::string> kept_;
};

}  // namespace trainer
