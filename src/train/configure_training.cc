// Reads and checks the configuration of a training.
#include "train/configure_training.h"

#include <algorithm>
#include <filesystem>
#include <random>

#include "base/error.h"
#include "config/net_inputs.h"
#include "config/override.h"
#include "data/data_source.h"
#include "data/layer_fields.h"
#include "layers/layer.h"
#include "train/check_solver.h"
#include "train/test_count.h"

namespace trainer {
namespace {

// Reads a net that a solver names: a file of the working folder, otherwise one next to the solver.
std::unique_ptr<NetFile> load_named_net(const std::string& path, const std::string& solver,
                                        const SourcePosition& named_at, Diagnostics* diagnostics) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const fs::path full = fs::absolute(path, ignored), beside = fs::absolute(solver, ignored).parent_path() / path;
  if (fs::exists(full, ignored) || full == beside) return load_net(path, diagnostics, named_at);
  if (fs::exists(beside, ignored))
    return load_net((fs::path(solver).parent_path() / path).string(), diagnostics, named_at);
  diagnostics->error(named_at, "",
                     fmt::format("there is no file {} in the working folder, and no file {} next to the solver",
                                 full.string(), beside.string()),
                     "give a path from one of the two folders, or an absolute one");
  return nullptr;
}

}  // namespace

TrainingFiles configure_training(const PrototxtSource& source, const ConfigureOptions& options,
                                 Diagnostics* diagnostics) {
  TrainingFiles out;
  std::unique_ptr<SolverFile> file = load_solver(source, diagnostics);
  if (file == nullptr) return out;
  for (const std::string& assignment : options.edits.overrides)
    apply_solver_override(assignment, file->solver.get(), &file->positions, diagnostics);
  add_patterns(options.patterns, file->solver.get(), &file->positions, diagnostics);
  caffe::SolverParameter& solver = *file->solver;
  check_solver(*file, diagnostics);

  const int train_sources =
      solver.has_net() + solver.has_net_param() + solver.has_train_net() + solver.has_train_net_param();
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
        inline_net == nullptr ? load_named_net(path, file->path, file->positions.of(solver, field, index), diagnostics)
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
  add(generic ? solver.net() : solver.train_net(), generic ? "net" : "train_net", -1, inline_train, caffe::TRAIN,
      train_state);
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
  while (generic && index < test_count(solver)) {
    add(solver.net(), "net", -1, solver.has_net_param() ? &solver.net_param() : nullptr, caffe::TEST, test_state());
    ++index;
  }
  std::vector<FilteredNet> nets = filter_nets(std::move(loaded), options.edits, &out.files, diagnostics);
  for (const FilteredNet& net : nets) {
    if (net.net != nullptr) require_no_inputs(*net.net, *net.positions, diagnostics);
  }
  out.train = std::move(nets.front());
  out.tests.assign(nets.begin() + 1, nets.end());

  if (solver.random_seed() < 0) {
    // Below 2^53, so that readers of reports and JSON can represent it.
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
    const DataSource* source = find_data_source(layer.type());
    if (source == nullptr) continue;
    const uint32_t batch = number_at(layer, source->batch_size);
    if (batch % static_cast<uint32_t>(devices) == 0) {
      set_number_at(&layer, source->batch_size, batch / static_cast<uint32_t>(devices));
      continue;
    }
    diagnostics.error((*file)->positions.of(layer, source->batch_size), subject_of(layer),
                      fmt::format("a batch of {} cannot be split evenly among {} devices", batch, devices),
                      fmt::format("choose a multiple of {}, or leave out --scale_batch", devices));
  }
  diagnostics.throw_if_errors();
}

}  // namespace trainer
