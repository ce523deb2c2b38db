// The net, solver, class names and README of a project of `trainer new`, as text.
#pragma once

#include <string>

#include "cli/project_data.h"
#include "nets/net_kind.h"

namespace trainer {

struct Project {
  std::string folder;  // absolute
  std::string data;    // as given on the command line
  ProjectData content;
  const NetKind* kind = nullptr;
  int size = 0;                    // of pictures, in pixels
  PicturePreparation preparation;  // for the weights or, without them, of the net's kind
  std::string weights;             // the absolute path of a file, or a name; "" to start from fillers
  std::string licence;             // of the weights; "" if unknown
  int64_t epochs = 0;              // 0: by the number of records

  int64_t batch() const;
  int64_t epoch_count() const;
};

// The layers from an Input layer to the results.
caffe::NetParameter project_core(const Project& project);
std::string project_net(const Project& project);
std::string project_solver(const Project& project);
// One line: the data, their number and labels, the task and the net.
std::string project_summary(const Project& project);
std::string project_labels(const Project& project);
std::string project_readme(const Project& project);

}  // namespace trainer
