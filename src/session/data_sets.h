// The data sets that the data layers of nets read, opened to be read as they are stored.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/diagnostics.h"
#include "data/batch_feed.h"
#include "layers/label_range.h"
#include "session/configure_net.h"

namespace trainer {

struct DataSet {
  std::string source;               // as the layer names it
  std::string root_folder;          // before each path of a list; "" for none
  std::vector<std::string> splits;  // "TRAIN", "TEST": the nets that read it
  SourcePosition position;          // of the source
  std::string subject;              // layer "data" (ImageData)
  std::shared_ptr<BatchFeed> feed;
  std::vector<std::pair<size_t, LabelRange>> labels;  // the ranges of each top
  std::string key;                                    // equal for layers that read the same records
};

class DataSets {
 public:
  // Opens the data sets of the net that `split` names, a data set of several layers once, and checks the net for the
  // shapes of their batches. Adds problems to `problems`.
  void add(const FilteredNet& net, const std::string& split, uint64_t seed, Diagnostics* problems);
  // A data set without a net.
  void add(std::string source, std::unique_ptr<BatchFeed> feed);

  const std::vector<DataSet>& list() const { return list_; }

 private:
  // The index in the list.
  size_t place(const FilteredNet& net, const caffe::LayerParameter& layer, const std::string& split,
               std::unique_ptr<BatchFeed> feed);

  std::vector<DataSet> list_;
};

}  // namespace trainer
