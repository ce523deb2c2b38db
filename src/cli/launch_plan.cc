// Hosts, ranks and scripts of `trainer launch`.
#include "cli/launch_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstring>
#include <string_view>

#include "base/error.h"
#include "base/shell_text.h"
#include "base/text.h"

namespace trainer {
namespace {

constexpr int kMostSlots = 1024;
constexpr const char* kLastLine = "# end of the script of trainer launch";

struct Host {
  std::string name;
  int slots = 1;
};

bool is_host_name(const std::string& name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || std::strchr("._-@", c) != nullptr;
  });
  const bool brackets = name.size() > 2 && name.front() == '[' && name.back() == ']' &&
                        name.find_first_not_of("0123456789abcdefABCDEF:.", 1) == name.size() - 1;
  return !name.empty() && name.front() != '-' && (plain || brackets);
}

// "b:4".
Host parse_host(const std::string& word) {
  const auto refuse = [&word](const std::string& why) {
    return config_error("--hosts: \"{}\": {}; write the hosts with their numbers of processes: --hosts=a,b:4", word,
                        why);
  };
  Host host{word};
  const size_t colon = word.find(':', word.empty() || word.front() != '[' ? 0 : std::min(word.find(']'), word.size()));
  if (colon != std::string::npos) {
    host.name = word.substr(0, colon);
    const std::string count = word.substr(colon + 1);
    const char* const end = count.data() + count.size();
    const auto [rest, error] = std::from_chars(count.data(), end, host.slots);
    if (error != std::errc() || rest != end || host.slots < 1 || host.slots > kMostSlots)
      throw refuse(fmt::format("\"{}\" is not a number of processes from 1 to {}", count, kMostSlots));
  }
  if (!is_host_name(host.name)) throw refuse(fmt::format("\"{}\" is not the name of a host", host.name));
  return host;
}

bool is_local(const std::string& name, const std::string& own_name) {
  return name == "localhost" || name == own_name || name == own_name.substr(0, own_name.find('.'));
}

bool is_passed(std::string_view name) {
  if (name == "TRAINER_TOKEN" || name == "TRAINER_TOKEN_FILE" || name == "TRAINER_STARTED_AGAIN") return false;
  for (const char* start : {"TRAINER_", "NCCL_", "GLOO_", "OMP_", "GOMP_", "DNNL_", "GLOG_"}) {
    if (name.starts_with(start)) return true;
  }
  for (const char* known : {"CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH", "OPENBLAS_CORETYPE"}) {
    if (name == known) return true;
  }
  return false;
}

bool is_shell_name(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
}

}  // namespace

std::vector<Slot> parse_hosts(const std::string& text, const std::string& own_name) {
  std::vector<Slot> slots;
  std::vector<std::string> names;
  bool all_local = true;
  for (const std::string& word : split(text, ',')) {
    const Host host = parse_host(trim(word));
    const bool local = is_local(host.name, own_name);
    const std::string machine = local ? "localhost" : host.name;
    if (std::find(names.begin(), names.end(), machine) != names.end())
      throw config_error("--hosts names \"{}\" twice; write its number of processes: {}:2", host.name, host.name);
    names.push_back(machine);
    all_local = all_local && local;
    for (int i = 0; i < host.slots; ++i) slots.push_back({host.name, local, i, host.slots});
  }
  if (slots.size() > kMostSlots)
    throw config_error("--hosts asks for {} processes; at most {} are possible", slots.size(), kMostSlots);
  if (slots.front().host == "localhost" && !all_local)
    throw config_error(
        "--hosts: the other hosts cannot reach rank 0 on \"localhost\"; write the name that this host "
        "has for them (here it is \"{}\")",
        own_name);
  return slots;
}

std::string address_of(const Slot& slot) {
  std::string name = slot.host.substr(slot.host.rfind('@') + 1);
  if (!name.empty() && name.front() == '[') name = name.substr(1, name.size() - 2);
  return name;
}

Variables passed_variables(const char* const* environment) {
  Variables variables;
  for (; *environment != nullptr; ++environment) {
    const std::string_view entry = *environment;
    const size_t equals = entry.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = entry.substr(0, equals);
    if (is_passed(name) && is_shell_name(name)) variables.emplace_back(name, entry.substr(equals + 1));
  }
  return variables;
}

// Free of what shells other than sh (csh, fish) treat in another way within single quotes.
std::string script_reader() {
  return fmt::format(
      "exec sh -c 's=$(while IFS= read -r l; do printf \"%s\\n\" \"$l\"; case \"$l\" in (\"{}\") break;; esac; done); "
      "eval \"$s\"'",
      kLastLine);
}

std::string rank_script(const LaunchPlan& plan, const std::vector<Slot>& slots, size_t rank) {
  const Slot& slot = slots[rank];
  Variables variables;
  if (!slot.local) variables = plan.passed;
  variables.insert(variables.end(), {{"RANK", std::to_string(rank)},
                                     {"WORLD_SIZE", std::to_string(slots.size())},
                                     {"LOCAL_RANK", std::to_string(slot.local_rank)},
                                     {"LOCAL_WORLD_SIZE", std::to_string(slot.local_size)},
                                     {"MASTER_ADDR", address_of(slots.front())},
                                     {"MASTER_PORT", std::to_string(plan.master_port)},
                                     {"TRAINER_JOB", plan.job},
                                     {"TRAINER_TOKEN", plan.token}});
  const std::string folder = shell_quoted(plan.folder), program = shell_quoted(plan.words.front());
  // A function, so that a script that does not arrive whole does nothing.
  std::string script = "launch() {\n";
  const auto require = [&](const std::string& test, const std::string& problem) {
    script += fmt::format(
        "{} || {{ echo {} >&2; exit 3; }}\n", test,
        shell_quoted(fmt::format("trainer: error: {}: {}; all hosts need the same folders", slot.host, problem)));
  };
  require("cd " + folder, fmt::format("there is no folder {}", plan.folder));
  require("[ -x " + program + " ]", fmt::format("there is no program {}", plan.words.front()));
  script += "unset TORCHELASTIC_RUN_ID TORCHELASTIC_USE_AGENT_STORE TRAINER_TOKEN_FILE\n";
  for (const auto& [name, value] : variables) script += fmt::format("export {}={}\n", name, shell_quoted(value));
  // The program takes the place of the inner shell, so its number is $$. It is in the foreground, because a shell lets
  // background processes ignore SIGINT; what reads the signals is in the background. The outer shell turns the end by a
  // signal into an exit code, which ssh does not.
  script +=
      "exec 3<&0\n"
      "sh -c '{ while read -r s; do case \"$s\" in (.) exit;; esac; kill -s \"$s\" $$; done; kill -s TERM $$; } "
      "<&3 >/dev/null 2>&1 & exec \"$@\" </dev/null 3<&-' trainer-launch";
  for (const std::string& word : plan.words) script += " " + shell_quoted(word);
  return script + "\nexit $?\n}\nlaunch\n" + kLastLine + "\n";
}

}  // namespace trainer
