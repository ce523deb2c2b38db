// From a solver file to a training's configuration.
#include "train/configure.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "base/error.h"
#include "base/text.h"
#include "config/net_inputs.h"
#include "config/net_state.h"
#include "config/override.h"
#include "data/batch_stream.h"
#include "train/learning_rate.h"
#include "train/update_rule.h"

namespace trainer {
namespace {

// Checks what does not depend on the nets. Each problem stands at its field.
class SolverCheck {
 public:
  SolverCheck(const SolverFile& file, Diagnostics* diagnostics)
      : solver_(*file.solver), positions_(file.positions), complete_(file.complete), diagnostics_(diagnostics) {}

  void run() {
    check_amounts();
    check_type();
    if (complete_) check_schedule();
    if (!solver_.has_base_lr()) error("base_lr", "base_lr is missing: the learning rate to start from");
    if (solver_.has_base_lr() && solver_.base_lr() < 0) error("base_lr", fmt::format("base_lr is {}; it must not be negative", solver_.base_lr()));
    if (solver_.regularization_type() != "L2" && solver_.regularization_type() != "L1")
      error("regularization_type", fmt::format("unknown regularization_type \"{}\"", solver_.regularization_type()),
            "known are \"L2\" and \"L1\"");
    if ((solver_.snapshot() > 0 || solver_.snapshot_after_train()) && solver_.snapshot_prefix().empty())
      error("snapshot_prefix", "snapshot_prefix is empty, but snapshots are to be written",
            "name a prefix of their path, or set snapshot_after_train: false and no snapshot");
  }

 private:
  // Fields that need each other.
  void check_schedule() {
    std::string field;
    const std::string wrong = check_learning_rate(solver_, &field);
    if (!wrong.empty()) error(field, wrong);
    check_tests();
  }

  void check_amounts() {
    for (const char* field : {"base_lr", "momentum", "momentum2", "weight_decay", "gamma", "power", "delta", "rms_decay", "clip_gradients"})
      check_finite(field);
    if (solver_.momentum() < 0 || solver_.momentum() > 1)
      error("momentum", fmt::format("momentum is {}; it must lie in [0, 1]", solver_.momentum()));
    if (solver_.weight_decay() < 0)
      error("weight_decay", fmt::format("weight_decay is {}; it must not be negative", solver_.weight_decay()));
    if (solver_.clip_gradients() == 0)
      error("clip_gradients", "clip_gradients is 0: every gradient would become 0", "remove the field, or give the largest norm to allow");
    if (solver_.max_iter() < 0) error("max_iter", "max_iter must not be negative");
    if (!solver_.has_max_iter() && solver_.max_epochs() == 0)
      error("max_iter", "neither max_iter nor max_epochs is set: how long should training go on?");
    if (solver_.max_epochs() < 0) error("max_epochs", "max_epochs must not be negative");
    if (solver_.iter_size() < 1) error("iter_size", "iter_size must be at least 1");
    if (solver_.average_loss() < 1) error("average_loss", "average_loss must be at least 1");
    if (solver_.display() < 0) error("display", "display must not be negative; 0 shows nothing");
    if (solver_.snapshot() < 0) error("snapshot", "snapshot must not be negative; 0 writes one at the end only");
    if (solver_.keep_snapshots() < 0) error("keep_snapshots", "keep_snapshots must not be negative; 0 keeps all");
    if (solver_.lr_policy() == "poly" && solver_.max_iter() == 0 && solver_.has_max_iter() && solver_.max_epochs() == 0)
      error("max_iter", "lr_policy \"poly\" needs a positive max_iter");
  }

  void check_finite(const char* name) {
    const auto* field = caffe::SolverParameter::descriptor()->FindFieldByName(name);
    const float value = solver_.GetReflection()->GetFloat(solver_, field);
    if (!std::isfinite(value)) error(name, fmt::format("{} is {}; it must be a finite number", name, value));
  }

  void check_type() {
    const std::string& type = solver_.type();
    if (history_blobs(type) == 0) {
      const std::string near = nearest_name(type, solver_types());
      std::string known;
      for (const std::string& name : solver_types()) known += (known.empty() ? "" : ", ") + name;
      error("type", fmt::format("unknown solver type \"{}\"", type),
            (near.empty() ? "" : fmt::format("did you mean \"{}\"? ", near)) + "known are " + known);
    }
    if ((type == "AdaGrad" || type == "RMSProp") && solver_.momentum() != 0)
      error("momentum", fmt::format("momentum cannot be used with {}", type), "remove the field");
    if (type == "RMSProp" && (solver_.rms_decay() < 0 || solver_.rms_decay() >= 1))
      error("rms_decay", fmt::format("rms_decay is {}; it must lie in [0, 1)", solver_.rms_decay()));
  }

  void check_tests() {
    const int named = solver_.test_net_size() + solver_.test_net_param_size();
    const bool generic = solver_.has_net() || solver_.has_net_param();
    const int tests = solver_.test_iter_size();
    if (generic ? tests < named : tests != named)
      error(tests > 0 ? "test_iter" : solver_.test_net_size() > 0 ? "test_net" : "test_net_param",
            fmt::format("test_iter must be given once for each test net: {} for {} test net{}", tests, named, named == 1 ? "" : "s"),
            tests > 0 ? "" : "add test_iter: how many batches a test averages over");
    for (int i = 0; i < tests; ++i) {
      if (solver_.test_iter(i) <= 0) error("test_iter", "test_iter must be positive", "", i);
    }
    if (tests > 0 && solver_.test_interval() <= 0)
      error(solver_.has_test_interval() ? "test_interval" : "test_iter", "test_iter is set, but test_interval is not",
            "add test_interval: iterations between two tests");
    if (solver_.test_state_size() > 0 && solver_.test_state_size() != tests)
      error("test_state", fmt::format("test_state must be given never or once for each of the {} test nets", tests));
  }

  bool is_set(const std::string& name) const {
    const auto* field = caffe::SolverParameter::descriptor()->FindFieldByName(name);
    const auto* reflection = solver_.GetReflection();
    return field->is_repeated() ? reflection->FieldSize(solver_, field) > 0 : reflection->HasField(solver_, field);
  }

  // What an incomplete file lacks may be a field that could not be read.
  void error(const std::string& field, const std::string& message, const std::string& hint = "", int index = -1) {
    if (!complete_ && !is_set(field)) return;
    diagnostics_->error(positions_.of(solver_, field, index), "", message, hint);
  }

  const caffe::SolverParameter& solver_;
  const Positions& positions_;
  const bool complete_;
  Diagnostics* diagnostics_;
};

// Keeps the layers that the state includes. The messages stay where they are, and so do their positions.
void filter(NetFile* file, const caffe::NetState& state, Diagnostics* diagnostics) {
  auto* layers = file->net->mutable_layer();
  int kept = 0;
  for (int i = 0; i < layers->size(); ++i) {
    const caffe::LayerParameter& layer = layers->Get(i);
    if (layer.include_size() > 0 && layer.exclude_size() > 0) {
      diagnostics->error(file->positions.of(layer, "exclude"),
                         subject_of(layer),
                         "both include and exclude rules", "give one kind or the other");
    }
    if (layer_is_included(layer, state, nullptr)) layers->SwapElements(kept++, i);
  }
  while (layers->size() > kept) layers->RemoveLast();
}

// A net file, if it could be read, and the state to filter it for.
struct LoadedNet {
  std::unique_ptr<NetFile> file;
  caffe::NetState state;
};

// Applies the assignments to layers of these nets, keeps what their states include, then applies the fills. A net without a
// file is empty.
std::vector<TrainingFiles::Net> configured(std::vector<LoadedNet> loaded, const Edits& edits,
                                           std::vector<std::unique_ptr<NetFile>>* files, Diagnostics* diagnostics) {
  std::vector<OverriddenNet> overridden;
  bool complete = true;  // otherwise a layer that is not there may be one that could not be read
  for (const LoadedNet& net : loaded) {
    complete = complete && net.file != nullptr && !net.file->positions.faulty(*net.file->net);
    if (net.file != nullptr) overridden.push_back({net.file->net.get(), &net.file->positions, net.state});
  }
  if (complete) {
    for (const std::string& assignment : edits.overrides) apply_layer_override(assignment, overridden, diagnostics);
  }
  for (LoadedNet& net : loaded) {
    if (net.file != nullptr) filter(net.file.get(), net.state, diagnostics);
  }
  if (complete) fill_inputs(edits.fills, overridden, diagnostics);
  std::vector<TrainingFiles::Net> nets;
  for (LoadedNet& net : loaded) {
    nets.emplace_back();
    if (net.file == nullptr) continue;
    nets.back() = {net.file->net.get(), &net.file->positions, std::move(net.state)};
    files->push_back(std::move(net.file));
  }
  return nets;
}

caffe::NetState starting_state(caffe::Phase phase, const caffe::NetParameter& net) {
  caffe::NetState state;
  state.set_phase(phase);
  if (net.has_state()) state.MergeFrom(net.state());
  return state;
}

}  // namespace

TrainingFiles configure_training(const std::string& solver_path, const ConfigureOptions& options,
                                 Diagnostics* diagnostics) {
  TrainingFiles out;
  std::unique_ptr<SolverFile> file = load_solver(solver_path, diagnostics);
  if (file == nullptr) return out;
  for (const std::string& assignment : options.edits.overrides)
    apply_solver_override(assignment, file->solver.get(), &file->positions, diagnostics);
  caffe::SolverParameter& solver = *file->solver;
  SolverCheck(*file, diagnostics).run();

  const int train_sources = solver.has_net() + solver.has_net_param() + solver.has_train_net() + solver.has_train_net_param();
  if (train_sources != 1) {
    if (train_sources > 1 || file->complete)
      diagnostics->error(file->positions.of(solver, train_sources == 0 ? "" : "net"), "",
                       train_sources == 0 ? "the solver names no net" : "the solver names more than one net to train",
                       "give exactly one of net, net_param, train_net, train_net_param");
    return out;
  }

  std::vector<LoadedNet> loaded;
  auto add = [&](const std::string& path, const char* field, int index, const caffe::NetParameter* inline_net,
                 caffe::Phase phase, const caffe::NetState* more) {
    if (inline_net == nullptr && path.empty()) {
      diagnostics->error(file->positions.of(solver, field, index), "", fmt::format("{} is empty", field),
                         "name the prototxt of a net");
      loaded.emplace_back();
      return;
    }
    std::unique_ptr<NetFile> net =
        inline_net == nullptr ? load_net(path, diagnostics, file->positions.of(solver, field, index))
                              : inline_net_file(*inline_net, *file, diagnostics);
    if (net == nullptr) {
      loaded.emplace_back();
      return;
    }
    for (const std::string& assignment : options.edits.overrides)
      apply_net_override(assignment, net->net.get(), &net->positions, diagnostics);
    caffe::NetState state = starting_state(phase, *net->net);
    if (more != nullptr) state.MergeFrom(*more);
    if (phase == caffe::TRAIN) {
      if (options.has_level) state.set_level(options.level);
      for (const std::string& stage : options.stages) state.add_stage(stage);
    }
    loaded.push_back({std::move(net), std::move(state)});
  };

  const bool generic = solver.has_net() || solver.has_net_param();
  const caffe::NetState* train_state = solver.has_train_state() ? &solver.train_state() : nullptr;
  const caffe::NetParameter* inline_train = solver.has_net_param()         ? &solver.net_param()
                                            : solver.has_train_net_param() ? &solver.train_net_param()
                                                                           : nullptr;
  add(generic ? solver.net() : solver.train_net(), generic ? "net" : "train_net", -1, inline_train, caffe::TRAIN, train_state);
  int index = 0;
  auto test_state = [&]() { return index < solver.test_state_size() ? &solver.test_state(index) : nullptr; };
  for (const caffe::NetParameter& net : solver.test_net_param()) {
    add("", "", -1, &net, caffe::TEST, test_state());
    ++index;
  }
  for (int i = 0; i < solver.test_net_size(); ++i) {
    add(solver.test_net(i), "test_net", i, nullptr, caffe::TEST, test_state());
    ++index;
  }
  while (generic && index < solver.test_iter_size()) {
    add(solver.net(), "net", -1, solver.has_net_param() ? &solver.net_param() : nullptr, caffe::TEST, test_state());
    ++index;
  }
  std::vector<TrainingFiles::Net> nets = configured(std::move(loaded), options.edits, &out.files, diagnostics);
  for (const TrainingFiles::Net& net : nets) {
    if (net.net != nullptr) require_no_inputs(*net.net, *net.positions, diagnostics);
  }
  out.train = std::move(nets.front());
  out.tests.assign(nets.begin() + 1, nets.end());

  if (solver.random_seed() < 0) {
    // Below 2^53, so that every reader of a report or a JSON line keeps it.
    out.seed_drawn = true;
    std::random_device entropy;
    solver.set_random_seed(static_cast<int64_t>((uint64_t{entropy()} << 21 ^ entropy()) & ((uint64_t{1} << 53) - 1)));
  }
  out.solver = std::move(file->solver);
  out.solver_positions = std::move(file->positions);
  return out;
}

void divide_batches(TrainingFiles* files, int devices) {
  if (devices == 1) return;
  const auto file = std::find_if(files->files.begin(), files->files.end(),
                                 [&](const auto& candidate) { return candidate->net.get() == files->train.net; });
  TRAINER_ASSERT(file != files->files.end());
  Diagnostics diagnostics;
  for (caffe::LayerParameter& layer : *(*file)->net->mutable_layer()) {
    const std::string source = BatchStream::source_field(layer.type());
    if (source.empty()) continue;
    // "data_param.source" stands beside "data_param.batch_size".
    const std::string message = source.substr(0, source.find('.'));
    google::protobuf::Message* param = layer.GetReflection()->MutableMessage(&layer, layer.GetDescriptor()->FindFieldByName(message));
    const google::protobuf::FieldDescriptor* field = param->GetDescriptor()->FindFieldByName("batch_size");
    const google::protobuf::Reflection& fields = *param->GetReflection();
    const uint32_t batch = fields.GetUInt32(*param, field);
    if (batch % static_cast<uint32_t>(devices) == 0) {
      fields.SetUInt32(param, field, batch / static_cast<uint32_t>(devices));
      continue;
    }
    diagnostics.error((*file)->positions.of(layer, message + ".batch_size"), subject_of(layer),
                      fmt::format("a batch of {} cannot be split evenly among {} devices", batch, devices),
                      fmt::format("choose a multiple of {}, or leave out --scale_batch", devices));
  }
  diagnostics.throw_if_errors();
}

TrainingFiles::Net configure_net(const std::string& path, const caffe::NetState& state,
                                 const Edits& edits, std::unique_ptr<NetFile>* file, Diagnostics* diagnostics) {
  std::unique_ptr<NetFile> net = load_net(path, diagnostics);
  if (net == nullptr) return {};
  for (const std::string& assignment : edits.overrides)
    apply_net_override(assignment, net->net.get(), &net->positions, diagnostics);
  caffe::NetState merged = starting_state(state.phase(), *net->net);
  merged.MergeFrom(state);
  std::vector<LoadedNet> loaded;
  loaded.push_back({std::move(net), std::move(merged)});
  std::vector<std::unique_ptr<NetFile>> files;
  const std::vector<TrainingFiles::Net> nets = configured(std::move(loaded), edits, &files, diagnostics);
  *file = std::move(files.front());
  return nets.front();
}

}  // namespace trainer
