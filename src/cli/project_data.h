// The data set of a project of `trainer new`: what it holds, and its parts for training and testing.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace trainer {

enum class ProjectTask { kClassify, kRegress, kSegment };

// A file of the project that holds a part of the data.
struct ProjectFile {
  std::string name;
  std::function<void(const std::string& path)> write;
};

// Of the labels of a regression.
struct ValueScale {
  double mean = 0, deviation = 1;
};

struct ProjectData {
  ProjectTask task = ProjectTask::kClassify;
  bool rows = false;  // of HDF5 files; otherwise pictures
  // The sources of the data layers. Both are the same folder if validation_fraction divides it.
  std::string train, test;
  double validation_fraction = 0;
  std::string root_folder;           // of lists
  std::vector<ProjectFile> files;    // to write: lists, or HDF5 files
  int64_t outputs = 0;               // classes, or values
  std::vector<std::string> classes;  // names; empty for kRegress
  std::vector<ValueScale> scales;    // for kRegress, one for each value
  int64_t train_records = 0, test_records = 0;
  // Pictures: whether any has colors, and the median of their shorter sides.
  bool color = true;
  int64_t side = 0;
  std::vector<int64_t> row;  // the extents of a row

  int64_t records() const { return train_records + test_records; }
};

// Looks at the data: a folder with a folder of pictures for each class, or with a train and a test folder of that kind;
// a folder with images/ and masks/; a list of pictures; a table (.csv, .tsv) or HDF5 file with the datasets data and
// label. `task` is "" if the data determine it. `folder` is that of the project. Throws data_error: no data, data that
// do not fit the task.
ProjectData look_at_data(const std::string& path, const std::string& task, const std::string& folder);

}  // namespace trainer
