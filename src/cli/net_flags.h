// The flags that several commands share, and their values.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/flags.h"
#include "session/choose_device.h"
#include "session/open_net.h"
#include "train/configure_training.h"
#include "train/run_model.h"

namespace trainer {

Flag gpu_flag();
Flag cpu_flag();
Flag precision_flag();
Flag deterministic_flag();
Flag memory_flag();
Flag set_flag();
Flag fill_flag();
// A trained net.
Flag run_flag();
Flag model_flag();
Flag weights_flag();
Flag shape_flag();
Flag allow_fresh_flag();
Flag weights_map_flag();
Flag weights_match_flag();
Flag level_flag();
Flag stage_flag();

// The values of --gpu and --cpu.
DeviceRequest device_request_of(const Arguments& arguments);

// The values of --precision and --deterministic.
DeviceOptions device_options_of(const Arguments& arguments);

// The values of --weights_map and --weights_match.
WeightMatching weight_matching_of(const Arguments& arguments);

// The value of --memory in bytes; 0 if it is not given.
int64_t memory_of(const Arguments& arguments);

// The stages of --stage, a comma list.
std::vector<std::string> stages_of(const Arguments& arguments);

// The state of a net in this phase, with --level and --stage.
caffe::NetState net_state_of(const Arguments& arguments, caffe::Phase phase);

// --set, --level and --stage for a solver and its nets.
ConfigureOptions configure_options_of(const Arguments& arguments);

// The solver of --solver and its nets, to be looked at: Input layers may hold zeros. Throws with all problems; logs
// warnings.
TrainingFiles training_to_look_at(const Arguments& arguments);

// The shapes of --shape, by top.
GivenShapes given_shapes(const Arguments& arguments);

// The error of a net that only lacks its data sets, with the remedy: "To show a net without its data sets, ...". Any
// other error as it is.
DiagnosticsError with_shape_remedy(const DiagnosticsError& error, const std::string& action);

// The files of --run, or those of --model and --weights.
RunModel trained_net_of(const Arguments& arguments);

// A net with --level, --stage, --set and, if the command has it, --fill applied. Throws with all problems; logs
// warnings.
//
// For commands whose output does not depend on values: Input layers may hold zeros.
ConfiguredNet net_to_look_at(const Arguments& arguments, caffe::Phase phase, const GivenShapes& given = {});
// For commands that use trained weights: weights that cannot be opened are an error, and with kError an Input layer
// without --fill. `weights` is a file or a name, which may be downloaded; "none" is none.
ConfiguredNet net_to_run(const Arguments& arguments, const RunModel& files, UnfilledInput unfilled,
                         const GivenShapes& given = {});
// The options that flags give to a net with trained weights; the device is not among them.
OpenNetOptions open_options_of(const Arguments& arguments, const std::string& weights);

}  // namespace trainer
