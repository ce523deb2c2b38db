// The net and the weights that a training left in a folder.
#pragma once

#include <string>

#include "report/run_report.h"

namespace trainer {

struct RunModel {
  std::string model;  // the net, with its phase TEST
  std::string
      weights;  // of the best test if the solver has `best` and there was one, else of the newest intact snapshot
};

// `folder` is a run folder or another folder with net.prototxt and solver.prototxt. Throws a data_error if it lacks
// them, or if there are no weights.
RunModel find_run_model(const std::string& folder, RunReport& report);

}  // namespace trainer
