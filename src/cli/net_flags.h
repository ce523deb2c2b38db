// The flags that commands on nets have in common, and what they mean.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/flags.h"
#include "train/configure.h"

namespace trainer {

Flag gpu_flag();
Flag cpu_flag();
Flag precision_flag();
Flag deterministic_flag();
Flag memory_flag();
Flag set_flag();
Flag level_flag();
Flag stage_flag();

// "cpu", or the GPU asked for by --gpu; `solver` may ask for one by an explicit solver_mode.
std::string device_of(const Arguments& arguments, const caffe::SolverParameter* solver);

// What --precision and --deterministic say.
DeviceOptions device_options_of(const Arguments& arguments);

// Bytes that --memory allows; 0 where it is not given.
int64_t memory_of(const Arguments& arguments);

// The stages of --stage, a comma list.
std::vector<std::string> stages_of(const Arguments& arguments);

// A net from --model in this phase with --level, --stage and --set applied. Throws with all problems; writes
// warnings to the log.
struct ConfiguredNet {
  std::unique_ptr<NetFile> file;
  TrainingFiles::Net net;
};
ConfiguredNet net_from_flags(const Arguments& arguments, caffe::Phase phase);
// The same for a net that is named by a word of the command line.
ConfiguredNet net_from_flags(const Arguments& arguments, caffe::Phase phase, const std::string& path);

// The words of a comma list, blanks around them removed.
std::vector<std::string> comma_list(const std::string& text);

}  // namespace trainer
