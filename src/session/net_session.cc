// Runs passes of a net: takes a batch, finds its program, reads the results.
#include "session/net_session.h"

#include <algorithm>
#include <functional>

#include "base/error.h"
#include "ranks/group.h"
#include "report/log.h"

namespace trainer {
namespace {

ProgramKind debug_kind(ProgramKind kind) {
  switch (kind) {
    case ProgramKind::kTrain: return ProgramKind::kDebugTrain;
    case ProgramKind::kAccumulate: return ProgramKind::kDebugAccumulate;
    default: return ProgramKind::kDebugForward;
  }
}

// Other processes take no part in the passes of its lifetime.
class RepeatedSums {
 public:
  explicit RepeatedSums(NetPrograms& programs) : programs_(programs) { programs_.repeat_sums(true); }
  ~RepeatedSums() { programs_.repeat_sums(false); }
  RepeatedSums(const RepeatedSums&) = delete;
  RepeatedSums& operator=(const RepeatedSums&) = delete;

 private:
  NetPrograms& programs_;
};

}  // namespace

NetSession::NetSession(const caffe::NetParameter& net, const Positions& positions, caffe::Phase phase, uint64_t seed,
                       DeviceSession& device_session, GivenShapes given, InputUse use, ParameterMultipliers multipliers,
                       DataReading reading)
    : net_{net, positions, phase, seed, device_session, std::move(multipliers), std::move(reading)},
      carried_(device_session),
      inputs_(use == InputUse::kArrays ? InputArrays(net, given) : InputArrays()),
      data_(net_, use == InputUse::kArrays ? GivenShapes() : std::move(given), &warnings_),
      notes_{data_.class_names()},
      programs_(net_, data_, inputs_, carried_, &warnings_) {
  const auto input = phase == caffe::TEST ? data_.picture_input() : std::nullopt;
  if (input) notes_.picture_input = std::make_shared<caffe::PictureInput>(*input);
  WeightNotes of_net{{net.class_names().begin(), net.class_names().end()}};
  if (net.has_picture_input()) of_net.picture_input = std::make_shared<caffe::PictureInput>(net.picture_input());
  add_notes(of_net);
  if (group() != nullptr && !group()->is_first()) programs_.write_no_files();
}

void NetSession::measure() {
  programs_.measure();
  if (group() == nullptr || group()->size() == 1) return;
  const std::string reason = refuse_to_share();
  if (!reason.empty() && group()->is_first())
    log_info(fmt::format("{}: each process tests all batches, because {}", subject_of(net_), reason));
  share_batches();
}

std::string NetSession::refuse_to_share() const {
  for (const LoweredLayer& layer : lowered().layers) {
    if (layer.type == nullptr) continue;
    if (layer.param->type() == "HDF5Output") return subject_of(*layer.param) + " writes a file";
    if (layer.type->data_source && layer.param->has_phase() && layer.param->phase() == caffe::TRAIN)
      return subject_of(*layer.param) + " has phase: TRAIN";
  }
  const Graph& graph = *lowered().graph;
  if (graph.writes.empty()) return "";
  const std::vector<LayerShare>& shares = graph.producer(graph.writes.front().value).shares;
  const bool known = !shares.empty() && shares.front().layer >= 0;
  return (known ? subject_of(*lowered().layers[static_cast<size_t>(shares.front().layer)].param) : "a layer") +
         " changes a state in each pass";
}

void NetSession::share_batches() {
  const bool shared = group() != nullptr && net_.phase == caffe::TEST && refuse_to_share().empty();
  const auto own = static_cast<uint64_t>(shared ? group()->rank() : 0);
  const auto sharers = static_cast<uint64_t>(shared ? group()->size() : 1);
  if (own == own_share_ && sharers == sharers_) return;
  own_share_ = own;
  sharers_ = sharers;
  data_.share(share());
}

void NetSession::pass_over() {
  data_.pass_over();
  ++passes_;
}

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

uint64_t NetSession::ranks() const {
  return net_.phase == caffe::TRAIN ? static_cast<uint64_t>(net_.device_session.world) : 1;
}

uint64_t NetSession::pass_number() const {
  return passes_ + (net_.phase == caffe::TRAIN ? static_cast<uint64_t>(net_.device_session.rank) : 0);
}

void NetSession::hand_batch_to(NetProgram& program) const {
  data_.hand_to(*program.program);
  inputs_.hand_to(program, *net_.device_session.device);
}

std::shared_ptr<NetProgram> NetSession::program_for_data(ProgramKind kind) {
  std::vector<int64_t> extents;
  for (const DataExtent& extent : lowered().data_extents) {
    const std::shared_ptr<NetProgram> counting =
        programs_.get_or_compile(ProgramKind::kExtent, data_.shapes(), extents);
    hand_batch_to(*counting);
    counting->program->run({pass_number()});
    float count = 0;
    counting->program->read_result(0, &count);
    if (count == 0)
      throw data_error(
          "{}: no item of this batch is kept, but the next layers need at least one: use larger batches, or remove "
          "such items from the data set",
          extent.layer);
    extents.push_back(static_cast<int64_t>(count));
  }
  return programs_.get_or_compile(kind, data_.shapes(), extents);
}

// Runs before the pass, which changes the states.
void NetSession::log_debug_info(ProgramKind kind) {
  const std::shared_ptr<NetProgram> debug = program_for_data(kind);
  hand_batch_to(*debug);
  carried_.hand_over(debug->carried);
  debug->program->run({pass_number()});
  for (const std::string& line : debug->debug_info.lines(*debug->program)) debug_log_(line);
}

// Takes the next batch and hands it to its program.
std::shared_ptr<NetProgram> NetSession::take_next(ProgramKind kind) {
  std::shared_ptr<NetProgram> next = programs_.next(kind);
  data_.take();
  if (debug_log_) log_debug_info(debug_kind(kind));
  if (!lowered().data_extents.empty()) next = program_for_data(kind);
  hand_batch_to(*next);
  carried_.hand_over(next->carried);
  return next;
}

void NetSession::queue(ProgramKind kind, bool outputs, Program* next, std::vector<double>* seconds) {
  TRAINER_ASSERT(unfinished_ == 0 || (unfinished_ == 1 && !makes_gradients(kind)));
  const std::shared_ptr<NetProgram> taken = take_next(kind);
  const RunContext context{pass_number()};
  if (seconds == nullptr) {
    taken->program->run(context, outputs ? nullptr : next);
  } else {
    seconds->resize(taken->program->steps.size(), 0.0);
    taken->program->run_timed(context, seconds);
  }
  passes_ += ranks();
  newest_ ^= 1;
  ++unfinished_;
  Pass& pass = last_[newest_];
  pass.program = taken;
  pass.outputs_sent = taken->sends_outputs && (outputs || !makes_gradients(kind));
  pass.outputs_read = false;
  pass.items = data_.items();
  if (pass.outputs_sent || !makes_gradients(kind)) taken->async_results->start();
  if (outputs && !pass.outputs_sent) read_outputs(&pass);
  if (outputs && next != nullptr) next->run(context);  // overwrites the outputs
}

void NetSession::queue_next(ProgramKind kind, bool outputs, Program* next) { queue(kind, outputs, next, nullptr); }

std::span<const float> NetSession::async_results(const Pass& pass) const {
  const Pass& newest = last_[newest_];
  return pass.program->async_results->wait(&pass != &newest && pass.program == newest.program);
}

void NetSession::finish() {
  TRAINER_ASSERT(unfinished_ > 0);
  --unfinished_;
  const NetProgram& program = *finished().program;
  const std::span<const float> values =
      makes_gradients(program.kind) ? program.program->watched() : async_results(finished());
  loss_ = program.has_loss ? values[0] : 0;
  for (size_t i = 0; i < program.label_flags.size(); ++i) {
    const float bad = values[i + program.has_loss];
    if (bad != 0)
      throw data_error("{}: {} labels of this batch are not whole numbers in the layer's range of classes",
                       program.label_flags[i], static_cast<int64_t>(bad));
  }
}

void NetSession::run_next(ProgramKind kind) {
  queue(kind, false, nullptr, nullptr);
  finish();
}

void NetSession::run_next_timed(ProgramKind kind, std::vector<double>* seconds) {
  queue(kind, false, nullptr, seconds);
  finish();
}

std::optional<LayerShare> NetSession::find_bad_layer() {
  TRAINER_ASSERT(passes_ > 0 && last_[newest_].program != nullptr);
  const RunContext context{pass_number() - ranks()};
  const RepeatedSums repeated(programs_);
  const NetProgram& fused = *last_[newest_].program;
  Program& program = *fused.program;
  const int step = program.run_checked(context);
  if (step < 0) return std::nullopt;
  const std::vector<LayerShare>& shares = program.steps[static_cast<size_t>(step)].op.shares;
  std::vector<int> layers;
  for (const LayerShare& share : shares) layers.push_back(share.layer);
  if (std::adjacent_find(layers.begin(), layers.end(), std::not_equal_to<int>()) == layers.end()) return shares.front();

  // The step belongs to several layers: run it with one step for each op to find the layer.
  try {
    NetProgram unfused = programs_.unfused(fused);
    Program& single = *unfused.program;
    if (!data_.fit(single)) return shares.front();
    hand_batch_to(unfused);
    const int bad = single.run_checked(context, layers);
    if (bad >= 0) return single.steps[static_cast<size_t>(bad)].op.shares.front();
  } catch (const Error&) {
    // There is no memory for this program.
  }
  return shares.front();
}

// Copies results that were sent to `sent`, or reads them from the device if it is nullptr. Returns the end of those
// that were sent.
const float* NetSession::read_results(const NetProgram& program, const std::vector<int>& results, const float* sent,
                                      std::vector<std::vector<float>>* out) const {
  out->resize(results.size());
  for (size_t i = 0; i < results.size(); ++i) {
    std::vector<float>& values = (*out)[i];
    values.resize(static_cast<size_t>(program.program->result_desc(results[i]).shape.count()));
    if (sent == nullptr) {
      program.program->read_result(results[i], values.data());
    } else {
      std::copy_n(sent, values.size(), values.data());
      sent += values.size();
    }
  }
  return sent;
}

void NetSession::read_outputs(Pass* pass) const {
  const NetProgram& program = *pass->program;
  const float* sent =
      pass->outputs_sent ? async_results(*pass).data() + program.has_loss + program.label_flags.size() : nullptr;
  sent = read_results(program, program.outputs, sent, &pass->outputs);
  sent = read_results(program, program.measured, sent, &pass->measured);
  read_results(program, program.counted, sent, &pass->counted);
  pass->outputs_read = true;
}

const std::vector<std::vector<float>>& NetSession::read_outputs() {
  Pass& pass = finished();
  if (!pass.outputs_read) read_outputs(&pass);
  return pass.outputs;
}

Shape NetSession::kept_shape(size_t blob) const {
  const NetProgram& program = *finished().program;
  return program.program->result_desc(program.kept[blob]).shape;
}

void NetSession::read_kept(size_t blob, float* values) const {
  const NetProgram& program = *finished().program;
  program.program->read_result(program.kept[blob], values);
}

void NetSession::seek(const NetPosition& position) {
  passes_ = position.passes;
  data_.seek(position.cursors, share());
  carried_.set(position.carried);
}

}  // namespace trainer
