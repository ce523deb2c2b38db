// Adds patterns to a solver, and compares them with a net.
#include "train/parameter_patterns.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>

#include "base/text.h"
#include "config/message_fields.h"
#include "lowering/multipliers.h"

namespace trainer {
namespace {

SourcePosition place(const char* flag, const std::string& text) {
  return {flag, 0, 1, text, static_cast<int>(std::max<size_t>(1, text.size()))};
}

void add_rule(const std::string& text, caffe::SolverParameter* solver, Positions* positions, Diagnostics* diagnostics) {
  const SourcePosition position = place("--lr_mult", text);
  const size_t equals = text.rfind('=');
  char* end = nullptr;
  const float factor = equals == std::string::npos ? 0 : std::strtof(text.c_str() + equals + 1, &end);
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size() || *end != '\0') {
    diagnostics->error(position, "", "expected PATTERN=FACTOR", "for example --lr_mult='conv*=0.1'");
    return;
  }
  caffe::ParamRule& rule = *solver->add_param_rule();
  rule.set_pattern(text.substr(0, equals));
  rule.set_lr_mult(factor);
  positions->set(rule, nullptr, -1, position);
}

class PatternCheck {
 public:
  PatternCheck(const LoweredNet& net, Diagnostics* diagnostics) : net_(net), diagnostics_(*diagnostics) {}

  void check(const std::string& pattern, Statistics statistics, const SourcePosition& position) {
    if (!matched_parameters(pattern, net_, statistics).empty()) return;
    const bool learned = statistics == Statistics::kIgnored;
    const std::vector<std::string> known = names(statistics);
    diagnostics_.error(position, "",
                       fmt::format("the pattern \"{}\" matches no {}layer, blob or parameter of the net", pattern,
                                   learned ? "learned " : ""),
                       fmt::format("{}layers with {}blobs: {}", suggest(pattern, known, "did you mean \"{}\"? "),
                                   learned ? "learned " : "", list_of(known)));
  }

 private:
  // The layers that patterns can match, in order.
  std::vector<std::string> names(Statistics statistics) const {
    std::vector<std::string> names;
    for (const ParameterInfo& parameter : net_.parameters) {
      const std::string& name = net_.layers[static_cast<size_t>(parameter.layer)].param->name();
      const bool counts = !parameter.statistic || statistics == Statistics::kMatched;
      if (counts && (names.empty() || names.back() != name)) names.push_back(name);
    }
    return names;
  }

  const LoweredNet& net_;
  Diagnostics& diagnostics_;
};

}  // namespace

std::string list_of(const std::vector<std::string>& names) {
  constexpr size_t kMostListed = 40;
  const size_t listed = std::min(names.size(), kMostListed);
  return fmt::format("{}{}", fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(listed), ", "),
                     listed < names.size() ? fmt::format(" and {} more", names.size() - listed) : "");
}

void add_patterns(const PatternFlags& flags, caffe::SolverParameter* solver, Positions* positions,
                  Diagnostics* diagnostics) {
  for (const std::string& pattern : flags.freeze) {
    caffe::FreezeParameter& freeze = *solver->add_freeze();
    freeze.set_pattern(pattern);
    positions->set(freeze, nullptr, -1, place("--freeze", pattern));
  }
  for (const std::string& pattern : flags.fresh) {
    solver->add_fresh(pattern);
    positions->set(*solver, field_of(*solver, "fresh"), solver->fresh_size() - 1, place("--fresh", pattern));
  }
  for (const std::string& text : flags.lr_mult) add_rule(text, solver, positions, diagnostics);
}

void check_patterns(const caffe::SolverParameter& solver, const Positions& positions, const LoweredNet& net) {
  Diagnostics diagnostics;
  PatternCheck patterns(net, &diagnostics);
  for (const caffe::ParamRule& rule : solver.param_rule())
    patterns.check(rule.pattern(), Statistics::kIgnored, positions.of(rule, "pattern"));
  for (const caffe::FreezeParameter& freeze : solver.freeze())
    patterns.check(freeze.pattern(), Statistics::kMatched, positions.of(freeze, "pattern"));
  for (int i = 0; i < solver.fresh_size(); ++i)
    patterns.check(solver.fresh(i), Statistics::kMatched, positions.of(solver, "fresh", i));
  diagnostics.throw_if_errors();
}

}  // namespace trainer
