// The flags that commands on nets have in common, and what they mean.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/flags.h"
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
  std::string name;    // "cpu", "cuda:0": what DeviceSession opens
  std::string beside;  // the processes of others on a GPU; or ""
  std::string use;     // the line that says so: "Use CPU.", "Use GPU 0 (NVIDIA H100), free 79.1 GiB"
};

// The CPU, or the GPUs asked for by --gpu; `solver` may ask for one by an explicit solver_mode. A GPU is
// locked until the process ends; that another run holds it is written to the log as a warning.
std::vector<ChosenDevice> devices_of(const Arguments& arguments, const caffe::SolverParameter& solver);
// The same for a command that runs on one: several are a config_error.
ChosenDevice device_of(const Arguments& arguments);
ChosenDevice cpu_device();
ChosenDevice gpu_device(int number);

// What --precision and --deterministic say.
DeviceOptions device_options_of(const Arguments& arguments);

// Bytes that --memory allows; 0 where it is not given.
int64_t memory_of(const Arguments& arguments);

// The stages of --stage, a comma list.
std::vector<std::string> stages_of(const Arguments& arguments);

// A net in this phase with --level, --stage, --set and, where the command has it, --fill applied. Throws with all
// problems; writes warnings to the log.
struct ConfiguredNet {
  std::unique_ptr<NetFile> file;
  FilteredNet net;
};
// For commands whose output does not depend on values: an Input layer that nothing fills holds zeros.
ConfiguredNet net_to_look_at(const Arguments& arguments, caffe::Phase phase, const GivenShapes& given = {});
// For commands that report what the net computes: an Input layer that nothing fills is an error. `path` is the net's
// file.
ConfiguredNet net_to_run(const Arguments& arguments, const std::string& path);

// Loads the weights that the net is to compute with and writes the table of them to the log. Layers that the file lacks
// are a data_error but with --allow_fresh. A net without learned blobs needs none: "none".
void load_trained_weights(const Arguments& arguments, const std::string& path, const LoweredNet& net,
                          StateStore& store);

// The words of a comma list, blanks around them removed.
std::vector<std::string> comma_list(const std::string& text);

}  // namespace trainer
