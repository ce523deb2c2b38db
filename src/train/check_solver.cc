// The rules for the fields of a solver.
#include "train/check_solver.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/duration.h"
#include "base/text.h"
#include "config/message_fields.h"
#include "train/epochs.h"
#include "train/schedule.h"
#include "train/solver_rules.h"
#include "train/test_count.h"
#include "train/watched_metric.h"
#include "train/weight_average.h"

namespace trainer {
namespace {

// The types with two decay rates, apart from Caffe's.
constexpr const char* kTwoRates[] = {"AdamW", "NAdam", "RAdam", "Lion", "LAMB"};

class SolverCheck {
 public:
  SolverCheck(const SolverFile& file, Diagnostics* diagnostics)
      : solver_(*file.solver), positions_(file.positions), complete_(file.complete), diagnostics_(diagnostics) {}

  void run() {
    check_amounts();
    check_epochs();
    check_max_time();
    check_type();
    check_clipping();
    check_multipliers();
    check_freeze();
    check_average();
    check_choice();
    check_divergence();
    if (complete_) check_dependent();
    if (!solver_.has_base_lr()) error("base_lr", "base_lr is missing: the learning rate to start from");
    if (solver_.has_base_lr() && solver_.base_lr() < 0)
      error("base_lr", fmt::format("base_lr is {}; it must not be negative", solver_.base_lr()));
    if (solver_.regularization_type() != "L2" && solver_.regularization_type() != "L1")
      error("regularization_type", fmt::format("unknown regularization_type \"{}\"", solver_.regularization_type()),
            "known are \"L2\" and \"L1\"");
    if ((solver_.snapshot() > 0 || solver_.snapshot_epochs() > 0 || solver_.snapshot_after_train()) &&
        solver_.snapshot_prefix().empty())
      error("snapshot_prefix", "snapshot_prefix is empty, but snapshots are to be written",
            "name a prefix of their path, or set snapshot_after_train: false and no snapshot");
    else if (solver_.has_best() && solver_.snapshot_prefix().empty())
      error("snapshot_prefix", "snapshot_prefix is empty, but best writes PREFIX_best.caffemodel", "name a prefix");
  }

 private:
  // Fields that depend on each other.
  void check_dependent() {
    for (const FieldProblem& wrong : check_schedule(solver_)) error(wrong.field, wrong.text);
    check_effects();
    check_tests();
  }

  // The iterations of fields in epochs are known later (TrainingStart).
  void check_effects() {
    if (first_epoch_field(solver_) != nullptr || !solver_.has_max_iter()) return;
    for (const FieldProblem& doubt : doubt_schedule(solver_)) warning(doubt.field, doubt.text);
  }

  void check_amounts() {
    for (const char* field :
         {"base_lr", "final_lr", "momentum", "momentum2", "weight_decay", "gamma", "power", "delta", "rms_decay",
          "clip_gradients", "clip_adaptive", "clip_value", "trust_coefficient", "layer_decay"})
      check_finite(field);
    if (solver_.momentum() < 0 || solver_.momentum() > 1)
      error("momentum", fmt::format("momentum is {}; it must be in [0, 1]", solver_.momentum()));
    if (solver_.weight_decay() < 0)
      error("weight_decay", fmt::format("weight_decay is {}; it must not be negative", solver_.weight_decay()));
    if (solver_.clip_gradients() == 0)
      error("clip_gradients", "clip_gradients is 0: every gradient would become 0",
            "remove the field, or give the largest norm to allow");
    if (solver_.max_iter() < 0) error("max_iter", "max_iter must not be negative");
    if (!solver_.has_max_iter() && solver_.max_epochs() == 0)
      error("max_iter", "neither max_iter nor max_epochs is set: how long should the training run?");
    if (solver_.iter_size() < 1) error("iter_size", "iter_size must be at least 1");
    if (solver_.average_loss() < 1) error("average_loss", "average_loss must be at least 1");
    if (solver_.display() < 0) error("display", "display must not be negative; 0 shows nothing");
    if (solver_.snapshot() < 0) error("snapshot", "snapshot must not be negative; 0 writes one at the end only");
    if (solver_.keep_snapshots() < 0) error("keep_snapshots", "keep_snapshots must not be negative; 0 keeps all");
  }

  void check_epochs() {
    for (const EpochField& field : kEpochFields) {
      const std::vector<double> values = numbers_of(solver_, field.epochs);
      for (size_t i = 0; i < values.size(); ++i) {
        if (!(values[i] >= 0 && std::isfinite(values[i])))
          error(field.epochs, fmt::format("{} is {}; it must not be negative or infinite", field.epochs, values[i]), "",
                values.size() > 1 ? static_cast<int>(i) : -1);
      }
      if (!values.empty() && !numbers_of(solver_, field.iterations).empty())
        error(field.epochs, fmt::format("both {} and {} are given", field.iterations, field.epochs),
              field_of(solver_, field.epochs)->is_repeated() ? "keep one" : "keep one, or set the other to 0");
    }
  }

  void check_max_time() {
    if (!solver_.has_max_time()) return;
    if (parse_duration(solver_.max_time()) < 0)
      error("max_time", fmt::format("max_time \"{}\" is not a duration", solver_.max_time()), kDurationForms);
    else if (!solver_.snapshot_after_train())
      warning("max_time", "snapshot_after_train is false: a run that max_time ends writes no snapshot");
  }

  void check_finite(const char* name) {
    const float value = number(solver_, name);
    if (!std::isfinite(value)) error(name, fmt::format("{} is {}; it must be a finite number", name, value));
  }

  static float number(const google::protobuf::Message& message, const char* name) {
    return message.GetReflection()->GetFloat(message, field_of(message, name));
  }

  void check_type() {
    const std::string& type = solver_.type();
    if (history_blobs(type) == 0) {
      error("type", fmt::format("unknown solver type \"{}\"", type),
            fmt::format("{}known are {}", suggest(type, solver_types(), "did you mean \"{}\"? "),
                        fmt::join(solver_types(), ", ")));
    }
    if ((type == "AdaGrad" || type == "RMSProp") && solver_.momentum() != 0)
      error("momentum", fmt::format("momentum cannot be used with {}", type), "remove the field");
    if (type == "RMSProp" && (solver_.rms_decay() < 0 || solver_.rms_decay() >= 1))
      error("rms_decay", fmt::format("rms_decay is {}; it must be in [0, 1)", solver_.rms_decay()));
    check_decay_rates(type);
    const Rule* rule = find_rule(type);
    if (rule != nullptr && rule->owns_decay && solver_.regularization_type() == "L1")
      error("regularization_type", fmt::format("{} has no regularization_type \"L1\"", type),
            "remove the field: the decay is proportional to the weights");
    if (solver_.trust_coefficient() <= 0)
      error("trust_coefficient",
            fmt::format("trust_coefficient is {}; it must be above 0", solver_.trust_coefficient()));
    if (solver_.has_trust_coefficient() && type != "LARS")
      warning("trust_coefficient",
              fmt::format("trust_coefficient has no effect with type \"{}\": it belongs to LARS", type));
  }

  // Caffe's types accept all that Caffe accepts.
  void check_decay_rates(const std::string& type) {
    if (std::find(std::begin(kTwoRates), std::end(kTwoRates), type) != std::end(kTwoRates)) {
      if (solver_.momentum() == 1) error("momentum", fmt::format("momentum is 1; {} needs less than 1", type));
      if (!(solver_.momentum2() >= 0 && solver_.momentum2() < 1))
        error("momentum2", fmt::format("momentum2 is {}; it must be in [0, 1)", solver_.momentum2()));
    } else if (type != "LARS" && type != "SGDW") {
      return;
    }
    if (complete_ && !solver_.has_momentum())
      warning("type", fmt::format("{} without momentum: it is 0, and the usual value is 0.9", type));
  }

  void check_clipping() {
    for (const char* field : {"clip_adaptive", "clip_value"}) {
      const float most = number(solver_, field);
      if (is_set(solver_, field_of(solver_, field)) && most <= 0)
        error(field, fmt::format("{} is {}; it must be above 0", field, most), "remove the field for no limit");
    }
  }

  void check_multipliers() {
    for (const caffe::ParamRule& rule : solver_.param_rule()) {
      if (rule.pattern().empty())
        diagnostics_->error(positions_.of(rule, "pattern"), "", "param_rule has no pattern",
                            "name layers, blobs or parameters, such as \"conv*\"");
      for (const char* field : {"lr_mult", "decay_mult"}) {
        const float factor = number(rule, field);
        if (!std::isfinite(factor) || factor < 0)
          diagnostics_->error(positions_.of(rule, field), "",
                              fmt::format("{} is {}; it must be a finite number that is not negative", field, factor));
      }
    }
    if (solver_.layer_decay() <= 0 || solver_.layer_decay() > 1)
      error("layer_decay", fmt::format("layer_decay is {}; it must be above 0 and at most 1", solver_.layer_decay()));
  }

  void check_freeze() {
    for (const caffe::FreezeParameter& freeze : solver_.freeze()) {
      const auto wrong = [&](const char* field, const std::string& message, const std::string& hint) {
        diagnostics_->error(positions_.of(freeze, field), "", message, hint);
      };
      if (freeze.pattern().empty())
        wrong("pattern", "freeze has no pattern", "name layers, blobs or parameters, such as \"conv*\"");
      if (freeze.has_until_iter() && freeze.has_until_epochs())
        wrong("until_epochs", "both until_iter and until_epochs are given", "keep one");
      if (freeze.has_until_iter() && freeze.until_iter() < 1)
        wrong("until_iter", fmt::format("until_iter is {}; it must be at least 1", freeze.until_iter()),
              "remove the field to freeze for the whole training");
      if (freeze.has_until_epochs() && !(freeze.until_epochs() > 0 && std::isfinite(freeze.until_epochs())))
        wrong("until_epochs", fmt::format("until_epochs is {}; it must be above 0", freeze.until_epochs()),
              "remove the field to freeze for the whole training");
    }
    for (int i = 0; i < solver_.fresh_size(); ++i) {
      if (solver_.fresh(i).empty())
        error("fresh", "fresh is an empty pattern", "name layers, blobs or parameters, such as \"fc*\"", i);
    }
  }

  void check_average() {
    if (solver_.has_ema() && solver_.has_swa())
      error("swa", "both ema and swa are given", "keep one of them: a training keeps one average");
    const float decay = solver_.ema().decay();
    if (!(decay >= 0 && decay < 1)) error("ema.decay", fmt::format("decay is {}; it must be in [0, 1)", decay));
    if (solver_.swa().interval() == 0) error("swa.interval", "interval is 0; it must be at least 1");
    if (solver_.has_swa() && solver_.has_max_iter() &&
        solver_.swa().start() >= static_cast<uint32_t>(solver_.max_iter()))
      warning("swa.start", fmt::format("nothing is averaged: start is {}, and the training ends at iteration {}",
                                       solver_.swa().start(), solver_.max_iter()));
    if (complete_ && tests_average(solver_) && test_count(solver_) == 0)
      warning(solver_.has_ema() ? "ema.test" : "swa.test", "test has no effect: the solver has no tests",
              "add test_epochs or test_iter, and test_interval");
  }

  // best and early_stop.
  void check_choice() {
    if (solver_.has_early_stop() && !solver_.has_best() && complete_)
      error("early_stop", "early_stop needs best: the metric whose improvement it waits for",
            "add best { metric: \"accuracy\"  mode: MAX }, with the name of an output of the tests");
    if (solver_.early_stop().patience() == 0)
      error("early_stop.patience", "patience is 0; it must be at least 1: the tests without an improvement");
    const float delta = solver_.early_stop().min_delta();
    if (!(delta >= 0 && std::isfinite(delta)))
      error("early_stop.min_delta",
            fmt::format("min_delta is {}; it must be a finite number that is not negative", delta));
    if (!solver_.has_best() || !complete_) return;
    if (solver_.has_max_iter() && solver_.test_interval() > solver_.max_iter() && !solver_.test_initialization())
      warning("best", fmt::format("best has no effect: there is no test, because test_interval is {} and max_iter {}",
                                  solver_.test_interval(), solver_.max_iter()));
    const std::string problem = solver_.best().metric().empty()
                                    ? "best has no metric: the output of a test net to compare"
                                    : check_metric(solver_, best_metric(solver_));
    if (!problem.empty()) error("best.metric", problem);
  }

  void check_divergence() {
    const float factor = solver_.divergence().rate_factor();
    if (!(factor > 0 && factor < 1))
      error("divergence.rate_factor", fmt::format("rate_factor is {}; it must be above 0 and below 1", factor));
  }

  void check_tests() {
    const int named = named_tests(solver_), tests = test_count(solver_);
    const bool generic = solver_.has_net() || solver_.has_net_param();
    if (solver_.has_test_epochs() && solver_.test_iter_size() > 0)
      error("test_epochs", "both test_epochs and test_iter are given",
            "keep test_epochs to test with each record of the data set, or test_iter for a number of batches");
    if (solver_.has_test_epochs() && solver_.test_epochs() == 0)
      error("test_epochs", "test_epochs is 0; it must be at least 1");
    if (!solver_.has_test_epochs() && (generic ? tests < named : tests != named))
      error(
          tests > 0                     ? "test_iter"
          : solver_.test_net_size() > 0 ? "test_net"
                                        : "test_net_param",
          fmt::format("test_iter must be given once for each test net: {} for {} test net{}", tests, named,
                      named == 1 ? "" : "s"),
          tests > 0 ? "" : "add test_epochs: 1 to test with the whole data sets, or test_iter for a number of batches");
    for (int i = 0; i < solver_.test_iter_size(); ++i) {
      if (solver_.test_iter(i) <= 0) error("test_iter", "test_iter must be positive", "", i);
    }
    const char* const length = solver_.has_test_epochs() ? "test_epochs" : "test_iter";
    if (tests > 0 && solver_.test_interval() <= 0 && !(solver_.test_interval_epochs() > 0))
      error(solver_.has_test_interval() ? "test_interval" : length,
            fmt::format("{} is set, but test_interval is not", length),
            "add test_interval: iterations between two tests");
    if (solver_.test_state_size() > 0 && solver_.test_state_size() != tests)
      error("test_state", fmt::format("test_state must be given never or once for each of the {} test nets", tests));
  }

  // In an incomplete file a missing field may be one that could not be read.
  void error(const std::string& field, const std::string& message, const std::string& hint = "", int index = -1) {
    if (!complete_ && !is_set(solver_, field_of(solver_, field.substr(0, field.find('.'))))) return;
    diagnostics_->error(positions_.of(solver_, field, index), "", message, hint);
  }

  void warning(const std::string& field, const std::string& message, const std::string& hint = "") {
    diagnostics_->warning(positions_.of(solver_, field), "", message, hint);
  }

  const caffe::SolverParameter& solver_;
  const Positions& positions_;
  const bool complete_;
  Diagnostics* diagnostics_;
};

}  // namespace

void check_solver(const SolverFile& file, Diagnostics* diagnostics) { SolverCheck(file, diagnostics).run(); }

}  // namespace trainer
