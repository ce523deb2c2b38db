// Opens a net with trained weights.
#include "session/open_net.h"

#include <algorithm>

#include "base/error.h"
#include "config/net_inputs.h"
#include "config/override.h"
#include "hub/weight_names.h"
#include "report/log.h"
#include "session/check_nets.h"
#include "session/parameters.h"

namespace trainer {

NamedWeights weights_of_flag(const std::string& path) {
  SourcePosition position;
  position.file = "--weights";
  return {path, position};
}

void check_readable(const std::vector<NamedWeights>& weights, Diagnostics* diagnostics) {
  for (const NamedWeights& file : weights) {
    try {
      require_weights(file.path);
    } catch (const DiagnosticsError& error) {
      diagnostics->add_all(error.problems());
    } catch (const Error& error) {
      diagnostics->error(file.position, "", error.what(), "", error.code());
    }
  }
}

void require_net_overrides(const Edits& edits) {
  for (const std::string& assignment : edits.overrides) {
    if (!is_net_override(assignment))
      throw config_error("--set {}: this command has no solver; write net.FIELD=... or layer[NAME].FIELD=...",
                         assignment);
  }
}

ConfiguredNet configure_or_throw(const PrototxtSource& model, const caffe::NetState& state, const Edits& edits,
                                 UnfilledInput unfilled, const GivenShapes& given,
                                 const std::vector<NamedWeights>& weights) {
  require_net_overrides(edits);
  ConfiguredNet out;
  Diagnostics diagnostics;
  out.net = configure_net(model, state, edits, &out.file, &diagnostics);
  if (unfilled == UnfilledInput::kError && out.net.net != nullptr)
    require_no_inputs(*out.net.net, *out.net.positions, &diagnostics);
  check_readable(weights, &diagnostics);
  const InputUse inputs = unfilled == UnfilledInput::kArrays ? InputUse::kArrays : InputUse::kZeros;
  if (diagnostics.has_errors()) add_net_problems({out.net}, given, &diagnostics, inputs);
  diagnostics.throw_if_errors();
  if (!diagnostics.list().empty()) log_warning(diagnostics.render());
  return out;
}

void load_trained_weights(const std::string& path, const WeightMatching& matching, bool allow_fresh, NetSession& net,
                          StateStore& store) {
  if ((path == "none" || path.empty()) && net.lowered().parameters.empty()) return;
  if (path.empty()) {
    if (allow_fresh) return;
    throw config_error(
        "the net has learned blobs, and no weights are given: give weights; allow_fresh computes with the numbers of "
        "the "
        "fillers");
  }
  const WeightFile file = read_weights_of(path);
  const std::vector<WeightMatch> matches = load_weights(file, net.lowered(), store, matching);
  require_trained(path, matches, allow_fresh);
  log_info(match_table(path, matches));
  const std::string renamed = class_difference(file.notes.class_names, path, net.data().class_names(), "the data");
  if (!renamed.empty())
    log_warning(renamed + ": name a file with the classes in the order of the weights in image_data_param.labels");
  const std::string prepared = picture_difference(file.notes, path, net.notes());
  if (!prepared.empty()) log_warning(prepared);
  net.add_notes(file.notes);
}

namespace {

DeviceSession& joined(DeviceSession& device_session, Group* group) {
  device_session.group = group;
  return device_session;
}

}  // namespace

OpenNet::OpenNet(ConfiguredNet net, const OpenNetOptions& options)
    : configured_(std::move(net)),
      lease_(options.device.lease),
      device_session_(options.device.spec, options.device_options),
      session_(*configured_.net.net, *configured_.net.positions, configured_.net.state.phase(), 0,
               joined(device_session_, options.group), options.shapes, options.inputs, {}, options.reading),
      kept_(options.keep) {
  if (!session_.warnings().empty()) log_warning(session_.warnings());
  if (options.keep_outputs) {
    for (const NetOutput& output : session_.lowered().outputs) {
      const bool named = std::find(kept_.begin(), kept_.end(), output.name) != kept_.end();
      if (!named && find_blob(session_.lowered(), output.name) != nullptr) kept_.push_back(output.name);
    }
  }
  session_.keep_blobs(kept_);
  if (options.measures) session_.measure();
  add_parameters(session_.lowered(), 0, false, device_session_.store);
  load_trained_weights(options.weights, options.matching, options.allow_fresh, session_, device_session_.store);
}

}  // namespace trainer
