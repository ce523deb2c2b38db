// Opens a training: reads the files, chooses the devices, checks everything.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "session/choose_device.h"
#include "train/configure_training.h"
#include "train/training.h"

namespace trainer {

struct TrainingRequest {
  // Downloads published weights that are not in the cache (hub/weight_names.h).
  using Fetch = std::function<void(const std::string& value)>;

  PrototxtSource solver;
  ConfigureOptions configure;
  DeviceRequest device;
  bool scale_batch = false;  // split batches among the devices
  // `devices` is not used. Without weights and snapshot the training starts from the weights that the solver names.
  // Weights may be given beside the snapshot kLatestSnapshot only, and count for a fresh start.
  TrainingOptions options;
  Fetch fetch = {};  // none: weights that would be downloaded are left out, with a warning
};

struct OpenTraining {
  std::vector<ChosenDevice> devices;  // their leases outlive the training
  std::unique_ptr<Training> training;
};

// Throws with all problems; those of solver, nets and data sets come before those of a device. Reports warnings and the
// devices.
OpenTraining open_training(TrainingRequest request, RunReport& report);

}  // namespace trainer
