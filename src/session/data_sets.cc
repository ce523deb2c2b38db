// Opens the data sets of nets, and finds the labels that the nets accept.
#include "session/data_sets.h"

#include <algorithm>
#include <map>

#include "base/text.h"
#include "data/data_source.h"
#include "data/label_check.h"
#include "data/layer_fields.h"
#include "data/records/database_folder.h"
#include "report/log.h"
#include "session/check_nets.h"
#include "session/net_session.h"

namespace trainer {
namespace {

std::string root_of(const caffe::LayerParameter& layer) {
  return layer.image_data_param().root_folder() + layer.window_data_param().root_folder();
}

// Two layers with equal keys read the same records.
std::string key_of(const caffe::LayerParameter& layer, const std::string& source, BatchFeed& feed) {
  return fmt::format("{}\n{}\n{}\n{}\n{}", layer.type(), fmt::join(layer.top(), "\t"), absolute_path(source),
                     root_of(layer), feed.content());
}

// The shapes of a batch; empty if none of some records can be used.
std::vector<Shape> batch_shapes(BatchFeed& feed) {
  constexpr uint64_t kTrials = 16;
  const auto records = static_cast<uint64_t>(feed.records_per_epoch());
  std::vector<TensorDesc> layout(feed.tops());
  for (uint64_t trial = 0; trial < std::min(kTrials, records); ++trial) {
    try {
      feed.shape_batch(records * trial / std::min(kTrials, records), layout);
    } catch (const Error& error) {
      if (error.code() != ExitCode::kData) throw;
      continue;
    }
    std::vector<Shape> shapes;
    for (const TensorDesc& top : layout) shapes.push_back(top.shape);
    return shapes;
  }
  return {};
}

// Opens the data set of a layer; nullptr after an error.
std::unique_ptr<BatchFeed> open(const FilteredNet& net, const caffe::LayerParameter& layer, uint64_t seed,
                                Diagnostics* problems) {
  StreamOptions options;
  options.phase = layer.has_phase() ? layer.phase() : net.state.phase();
  options.seed = seed;
  options.net_name = net.net->name();
  options.in_order = true;
  options.log = [](const std::string& line) { log_warning(line); };
  return open_feed(layer, options, *net.positions, problems);
}

}  // namespace

size_t DataSets::place(const FilteredNet& net, const caffe::LayerParameter& layer, const std::string& split,
                       std::unique_ptr<BatchFeed> feed) {
  const std::string field = find_data_source(layer.type())->source, source = text_at(layer, field);
  const std::string key = key_of(layer, source, *feed);
  const auto known = std::find_if(list_.begin(), list_.end(), [&](const DataSet& set) { return set.key == key; });
  if (known == list_.end()) {
    list_.push_back({source,
                     root_of(layer),
                     {split},
                     net.positions->of(layer, field),
                     subject_of(layer),
                     std::move(feed),
                     {},
                     key});
    return list_.size() - 1;
  }
  if (std::find(known->splits.begin(), known->splits.end(), split) == known->splits.end())
    known->splits.push_back(split);
  return static_cast<size_t>(known - list_.begin());
}

void DataSets::add(std::string source, std::unique_ptr<BatchFeed> feed) {
  list_.push_back({std::move(source), "", {}, {}, "", std::move(feed), {}, ""});
}

void DataSets::add(const FilteredNet& net, const std::string& split, uint64_t seed, Diagnostics* problems) {
  GivenShapes shapes;
  std::map<int, size_t> sets;  // by layer
  bool known = true;           // the shapes of all data sets that could be opened
  for (int i = 0; i < net.net->layer_size(); ++i) {
    const caffe::LayerParameter& layer = net.net->layer(i);
    const LayerType* type = find_layer_type(layer.type());
    if (type == nullptr || !type->data_source || net.positions->faulty(layer) || !type->allows_tops(layer.top_size()))
      continue;
    std::unique_ptr<BatchFeed> feed = open(net, layer, seed, problems);
    if (feed == nullptr) continue;
    const std::vector<Shape> of_layer = batch_shapes(*feed);
    known = known && !of_layer.empty();
    for (size_t top = 0; top < of_layer.size(); ++top) shapes[layer.top(static_cast<int>(top))] = of_layer[top];
    sets[i] = place(net, layer, split, std::move(feed));
  }
  if (!known) return;
  NetProblems found;
  DeviceSession device_session(DeviceSpec().planned());
  found.collect([&] {
    const NetSession session(*net.net, *net.positions, net.state.phase(), seed, device_session, shapes);
    problems->add_all(session.warning_list());
    for (const LabelRequirement& label : session.lowered().labels) {
      const SourceInfo* source = source_behind(*session.lowered().graph, label.value.id());
      if (source == nullptr || sets.count(source->layer) == 0) continue;
      DataSet& set = list_[sets.at(source->layer)];
      const std::string problem = class_count_problem(set.feed->class_names().size(), label.range);
      if (!problem.empty()) problems->error(set.position, set.subject, problem, "", ExitCode::kData);
      const bool repeated = std::any_of(set.labels.begin(), set.labels.end(), [&](const auto& other) {
        return other.first == static_cast<size_t>(source->top) && other.second.consumer == label.range.consumer &&
               other.second.classes == label.range.classes;
      });
      if (!repeated) set.labels.emplace_back(source->top, label.range);
    }
  });
  problems->add_all(found.list());
}

}  // namespace trainer
