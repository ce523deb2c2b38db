// The flags that several commands share, and their values.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/flags.h"
#include "gpus/gpu_lock.h"
#include "session/net_session.h"
#include "session/parameters.h"
#include "train/configure_training.h"

namespace trainer {

Flag gpu_flag();
Flag cpu_flag();
Flag precision_flag();
Flag deterministic_flag();
Flag memory_flag();
Flag set_flag();
Flag fill_flag();
Flag allow_fresh_flag();
Flag level_flag();
Flag stage_flag();

struct ChosenDevice {
  DeviceSpec spec;
  std::shared_ptr<const GpuLease> lease;  // of a GPU; destroyed after the device
  std::string beside;                     // other processes that use the GPU; or ""
  std::string use;                        // for the log: "Use CPU.", "Use GPU 0 (NVIDIA H100), free 79.1 GiB"
};

// The CPU, or the GPUs that --gpu requests; `solver` may request one by an explicit solver_mode. Locks each GPU; logs a
// warning if another run holds the lock.
std::vector<ChosenDevice> devices_of(const Arguments& arguments, const caffe::SolverParameter& solver);
// As devices_of, for a command that uses one device: several are a config_error.
ChosenDevice device_of(const Arguments& arguments);
ChosenDevice cpu_device();
ChosenDevice gpu_device(int number);

// The values of --precision and --deterministic.
DeviceOptions device_options_of(const Arguments& arguments);

// The value of --memory in bytes; 0 if it is not given.
int64_t memory_of(const Arguments& arguments);

// The stages of --stage, a comma list.
std::vector<std::string> stages_of(const Arguments& arguments);

// A net in one phase with --level, --stage, --set and, if the command has it, --fill applied. Throws with all problems;
// logs warnings.
struct ConfiguredNet {
  std::unique_ptr<NetFile> file;
  FilteredNet net;
};
// For commands whose output does not depend on values: Input layers may hold zeros.
ConfiguredNet net_to_look_at(const Arguments& arguments, caffe::Phase phase, const GivenShapes& given = {});
// For commands that report computed values: an Input layer without --fill is an error. `path` is the file of the net.
ConfiguredNet net_to_run(const Arguments& arguments, const std::string& path);

// Loads weights for a net that computes, and logs what was loaded. Layers that the file lacks are a data_error without
// --allow_fresh. `path` may be "none" for a net without learned blobs.
void load_trained_weights(const Arguments& arguments, const std::string& path, const LoweredNet& net,
                          StateStore& store);

// The words of a comma-separated list, without blanks around them.
std::vector<std::string> comma_list(const std::string& text);

}  // namespace trainer
