// A training that is set up: the resolved solver, the devices and their nets.
#pragma once

#include <memory>
#include <vector>

#include "session/gradient_sums.h"
#include "session/net_session.h"
#include "train/configure_training.h"
#include "train/epochs.h"
#include "train/freezing.h"
#include "train/snapshot.h"
#include "train/update_rule.h"

namespace trainer {

// A device of the training and the memory that was free before the training took any.
struct TrainingDevice {
  TrainingDevice(const DeviceSpec& spec, const DeviceOptions& options) : session(spec, options) {}
  DeviceSession session;
  const int64_t free = session.device->free_memory();
};

// A device with its copy of the training net, the weights and the history.
struct Rank {
  std::unique_ptr<TrainingDevice> device;
  std::unique_ptr<NetSession> net;
  std::unique_ptr<UpdateRule> update;

  DeviceSession& session() const { return device->session; }
};

struct TrainingState {
  TrainingFiles files;                  // nets and positions; the solver is the next field
  const caffe::SolverParameter solver;  // with random_seed and fields in epochs resolved
  const EpochLength epoch;
  const Schedule schedule;
  const std::vector<Rank> ranks;  // of this process; the first one tests, and writes snapshots in the first process
  const std::vector<std::unique_ptr<NetSession>> tests;
  const std::unique_ptr<GradientSums> sums;      // of several ranks
  const std::unique_ptr<WeightAverage> average;  // on the first rank, if the solver keeps one
  Freezing freezing;
  const int furthest;  // the rank of the process whose states all others take at the start
  LoopState loop;

  // Prepares the training for an iteration; see Freezing::enter.
  bool enter(int iteration) { return freezing.enter(iteration, ranks, tests, sums.get()); }
  DeviceSession& session() const { return ranks.front().session(); }
  NetSession& train_net() const { return *ranks.front().net; }
  // nullptr for one process.
  Group* group() const { return session().group; }
  bool is_first_process() const { return group() == nullptr || group()->is_first(); }
  // The devices that train together, those of other processes too.
  int devices() const { return session().world; }
  std::vector<NetSession*> train_nets() const {
    std::vector<NetSession*> nets;
    for (const Rank& rank : ranks) nets.push_back(rank.net.get());
    return nets;
  }
  std::vector<NetPosition> test_positions() const {
    std::vector<NetPosition> positions;
    for (const auto& test : tests) positions.push_back(test->position());
    return positions;
  }
  int64_t images_per_iteration() const { return train_net().batch_size() * solver.iter_size() * devices(); }
  Interval test_interval() const { return {solver.test_interval(), solver.test_interval_epochs(), epoch}; }
  Interval display_interval() const { return {solver.display(), solver.display_epochs(), epoch}; }
  Interval snapshot_interval() const { return {solver.snapshot(), solver.snapshot_epochs(), epoch}; }
  // Whether the run writes files that begin with the snapshot prefix.
  bool writes_files() const { return writes_snapshots(solver) || solver.has_best(); }
};

}  // namespace trainer
