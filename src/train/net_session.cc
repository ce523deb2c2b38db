// Passes of a net: a batch, the program for it, and what comes out.
#include "train/net_session.h"

#include <algorithm>
#include <functional>

#include "base/error.h"

namespace trainer {
namespace {

ProgramKind debug_kind(ProgramKind kind) {
  switch (kind) {
    case ProgramKind::kTrain: return ProgramKind::kDebugTrain;
    case ProgramKind::kAccumulate: return ProgramKind::kDebugAccumulate;
    default: return ProgramKind::kDebugForward;
  }
}

}  // namespace

NetSession::NetSession(const caffe::NetParameter& net, const Positions& positions, caffe::Phase phase, uint64_t seed,
                       Runtime& runtime, GivenShapes given)
    : net_{net, positions, phase, seed, runtime},
      carried_(runtime),
      data_(net_, std::move(given), &warnings_),
      programs_(net_, data_, carried_, &warnings_) {}

int64_t NetSession::batch_size() const {
  if (const int64_t most = data_.batch_size(); most > 0) return most;
  int64_t most = 0;
  for (const LoweredLayer& layer : lowered().layers) {
    const bool fed = layer.type != nullptr && layer.bottoms.empty() && !layer.tops.empty();
    if (fed && layer.tops.front().value && layer.tops.front().value.shape().rank() > 0)
      most = std::max(most, layer.tops.front().value.shape()[0]);
  }
  return most;
}

uint64_t NetSession::ranks() const { return net_.phase == caffe::TRAIN ? static_cast<uint64_t>(net_.runtime.world) : 1; }

uint64_t NetSession::pass_number() const {
  return passes_ + (net_.phase == caffe::TRAIN ? static_cast<uint64_t>(net_.runtime.rank) : 0);
}

NetProgram& NetSession::program_for_data(ProgramKind kind) {
  std::vector<int64_t> extents;
  for (const DataExtent& extent : lowered().data_extents) {
    Program& program = *programs_.find(ProgramKind::kExtent, data_.shapes(), extents).program;
    data_.hand_to(program);
    program.run({pass_number()});
    float count = 0;
    program.read_result(0, &count);
    if (count == 0)
      throw data_error(
          "{}: no item of this batch is kept, and what follows needs at least one: use larger batches, or leave such "
          "items out of the data set",
          extent.layer);
    extents.push_back(static_cast<int64_t>(count));
  }
  return programs_.find(kind, data_.shapes(), extents);
}

// As it stands before the pass, whose own program goes on to change it.
void NetSession::log_debug_info(ProgramKind kind) {
  NetProgram& debug = program_for_data(kind);
  data_.hand_to(*debug.program);
  carried_.hand_over(debug.carried);
  debug.program->run({pass_number()});
  for (const std::string& line : debug.debug_info.lines(*debug.program)) debug_log_(line);
}

// The program for the next batch, with that batch.
NetProgram& NetSession::take_next(ProgramKind kind) {
  last_ = &programs_.next(kind);
  data_.take();
  if (debug_log_) log_debug_info(debug_kind(kind));
  if (debug_log_ || !lowered().data_extents.empty()) last_ = &program_for_data(kind);
  data_.hand_to(*last_->program);
  carried_.hand_over(last_->carried);
  return *last_;
}

void NetSession::queue_next(ProgramKind kind) {
  take_next(kind).program->run({pass_number()});
  passes_ += ranks();
}

void NetSession::finish() {
  const std::span<const float> watched = last_->program->watched();
  loss_ = last_->has_loss ? watched[0] : 0;
  for (size_t i = 0; i < last_->label_flags.size(); ++i) {
    const float bad = watched[i + last_->has_loss];
    if (bad != 0)
      throw data_error("{}: {} labels of this batch are not whole numbers in the layer's range of classes", last_->label_flags[i],
                       static_cast<int64_t>(bad));
  }
}

void NetSession::run_next(ProgramKind kind) {
  queue_next(kind);
  finish();
}

void NetSession::run_next_timed(ProgramKind kind, std::vector<double>* seconds) {
  Program& program = *take_next(kind).program;
  seconds->resize(program.steps.size(), 0.0);
  program.run_timed({pass_number()}, seconds);
  passes_ += ranks();
  finish();
}

std::optional<LayerShare> NetSession::find_bad_layer() {
  TRAINER_ASSERT(last_ != nullptr && passes_ > 0);
  const RunContext context{pass_number() - ranks()};
  Program& program = *last_->program;
  const int step = program.run_checked(context);
  if (step < 0) return std::nullopt;
  const std::vector<LayerShare>& shares = program.steps[static_cast<size_t>(step)].op.shares;
  std::vector<int> layers;
  for (const LayerShare& share : shares) layers.push_back(share.layer);
  if (std::adjacent_find(layers.begin(), layers.end(), std::not_equal_to<int>()) == layers.end())
    return shares.front();

  // A step of several layers: which one shows where each op is a step of its own.
  try {
    const NetProgram unfused = programs_.unfused(*last_);
    Program& single = *unfused.program;
    if (!data_.fit(single)) return shares.front();
    data_.hand_to(single);
    const int bad = single.run_checked(context, layers);
    if (bad >= 0) return single.steps[static_cast<size_t>(bad)].op.shares.front();
  } catch (const Error&) {
    // No memory for it.
  }
  return shares.front();
}

const std::vector<std::vector<float>>& NetSession::read_outputs() {
  TRAINER_ASSERT(last_ != nullptr);
  const Program& program = *last_->program;
  outputs_.resize(last_->outputs.size());
  for (size_t i = 0; i < outputs_.size(); ++i) {
    const int result = last_->outputs[i];
    outputs_[i].resize(static_cast<size_t>(program.result_desc(result).shape.count()));
    program.read_result(result, outputs_[i].data());
  }
  return outputs_;
}

Shape NetSession::kept_shape(size_t blob) const { return last_->program->result_desc(last_->kept[blob]).shape; }

void NetSession::read_kept(size_t blob, std::vector<float>* values) const {
  TRAINER_ASSERT(last_ != nullptr);
  values->resize(static_cast<size_t>(kept_shape(blob).count()));
  last_->program->read_result(last_->kept[blob], values->data());
}

void NetSession::seek(const NetPosition& position) {
  passes_ = position.passes;
  data_.seek(position.cursors);
  carried_.set(position.carried);
}

}  // namespace trainer
