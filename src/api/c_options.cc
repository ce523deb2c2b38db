// The options of the C interface.
#include "api/c_options.h"

#include <fmt/ranges.h>

#include <charconv>
#include <functional>

#include "base/error.h"
#include "base/text.h"

namespace trainer {
namespace {

enum Use { kNet = 1, kSolver = 2, kBoth = 3 };

bool parse_bool(const std::string& name, const std::string& value) {
  if (value != "true" && value != "false") throw config_error("option {}: \"{}\" is not true or false", name, value);
  return value == "true";
}

int parse_int(const std::string& name, const std::string& value) {
  int number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() || value.empty())
    throw config_error("option {}: \"{}\" is not a whole number", name, value);
  return number;
}

RunPhase parse_phase(const std::string& value) {
  if (value != "train" && value != "test") throw config_error("option phase: \"{}\" is not train or test", value);
  return value == "train" ? RunPhase::kTrain : RunPhase::kTest;
}

struct Targets {
  NetOptions& net;
  SolverOptions& solver;
};

struct Option {
  std::string name;
  Use use;
  std::function<void(const Targets&, const std::string&)> set;
};

const std::vector<Option>& options() {
  static const std::vector<Option> list = {
      {"device", kBoth, [](const Targets& t, const std::string& v) { t.net.device = v; }},
      {"precision", kBoth, [](const Targets& t, const std::string& v) { t.net.precision = v; }},
      {"deterministic", kBoth,
       [](const Targets& t, const std::string& v) { t.net.deterministic = parse_bool("deterministic", v); }},
      {"threads", kBoth, [](const Targets& t, const std::string& v) { t.net.threads = parse_int("threads", v); }},
      {"set", kBoth, [](const Targets& t, const std::string& v) { t.net.set.push_back(v); }},
      {"fill", kBoth, [](const Targets& t, const std::string& v) { t.net.fill.push_back(v); }},
      {"stages", kBoth, [](const Targets& t, const std::string& v) { t.net.stages.push_back(v); }},
      {"level", kBoth, [](const Targets& t, const std::string& v) { t.net.level = parse_int("level", v); }},
      {"weights", kBoth,
       [](const Targets& t, const std::string& v) {
         t.net.weights = v;
         t.solver.weights.push_back(v);
       }},
      {"model", kNet, [](const Targets& t, const std::string& v) { t.net.model = v; }},
      {"model_text", kNet, [](const Targets& t, const std::string& v) { t.net.model_text = v; }},
      {"phase", kNet, [](const Targets& t, const std::string& v) { t.net.phase = parse_phase(v); }},
      {"allow_fresh", kNet,
       [](const Targets& t, const std::string& v) { t.net.allow_fresh = parse_bool("allow_fresh", v); }},
      {"keep", kNet, [](const Targets& t, const std::string& v) { t.net.keep.push_back(v); }},
      {"solver", kSolver, [](const Targets& t, const std::string& v) { t.solver.solver = v; }},
      {"solver_text", kSolver, [](const Targets& t, const std::string& v) { t.solver.solver_text = v; }},
      {"snapshot", kSolver, [](const Targets& t, const std::string& v) { t.solver.snapshot = v; }},
      {"scale_batch", kSolver,
       [](const Targets& t, const std::string& v) { t.solver.scale_batch = parse_bool("scale_batch", v); }},
      {"memory", kSolver, [](const Targets& t, const std::string& v) { t.solver.memory = v; }},
      {"run_folder", kSolver, [](const Targets& t, const std::string& v) { t.solver.run_folder = v; }},
  };
  return list;
}

const Option& option_named(std::string_view name) {
  std::vector<std::string> names;
  for (const Option& option : options()) {
    if (option.name == name) return option;
    names.push_back(option.name);
  }
  const std::string near = suggest(name, names, ", did you mean \"{}\"?");
  throw config_error("unknown option \"{}\"{}", name,
                     near.empty() ? fmt::format("; known are {}", fmt::join(names, ", ")) : near);
}

void require_use(const std::vector<std::string>& names, Use use, const char* subject) {
  for (const std::string& name : names) {
    if ((option_named(name).use & use) == 0) throw config_error("option {} is not one of a {}", name, subject);
  }
}

}  // namespace

void COptions::set(std::string_view name, const std::string& value) {
  const Option& option = option_named(name);
  option.set({net_, solver_}, value);
  names_.push_back(option.name);
}

NetOptions COptions::net() const {
  require_use(names_, kNet, "net");
  return net_;
}

SolverOptions COptions::solver() const {
  require_use(names_, kSolver, "solver");
  if (!net_.inputs.empty()) throw config_error("shapes of inputs are not options of a solver");
  SolverOptions solver = solver_;
  static_cast<RunOptions&>(solver) = net_;
  return solver;
}

}  // namespace trainer
