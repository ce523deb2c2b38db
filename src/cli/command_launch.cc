// trainer launch: starts the processes of a training on several hosts.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "base/error.h"
#include "base/host_name.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/rank_processes.h"
#include "ranks/message_socket.h"

extern char** environ;

namespace trainer {
namespace {

std::vector<std::string> joining_commands() {
  std::vector<std::string> names;
  for (const Command* command : commands()) {
    if (command->joins) names.emplace_back(command->name);
  }
  return names;
}

// Mistakes in the command's words are shown once, before anything starts.
Arguments check_command(const std::vector<std::string>& words) {
  const std::vector<std::string> known = joining_commands();
  const std::string name = words.empty() ? "" : words.front();
  if (std::find(known.begin(), known.end(), name) == known.end())
    throw UsageError(words.empty()
                         ? fmt::format("Need the command that all processes run after --: {}", fmt::join(known, ", "))
                         : fmt::format("several processes cannot run \"{}\" together{}; after -- give one of {}", name,
                                       suggest(name, known, "; did you mean {}?"), fmt::join(known, ", ")));
  return parse_command(*find_command(name), {words.begin() + 1, words.end()});
}

bool is_elastic(const std::string& command, const Arguments& arguments) {
  const std::vector<Flag>& flags = find_command(command)->flags;
  return std::any_of(flags.begin(), flags.end(),
                     [](const Flag& flag) { return std::string(flag.name) == "elastic"; }) &&
         arguments.given("elastic");
}

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words = split(text, ' ');
  std::erase(words, "");
  return words;
}

// Below the ports that systems give to outgoing connections.
int draw_port() {
  std::random_device device;
  return std::uniform_int_distribution<int>(20000, 29999)(device);
}

std::string token_of_run() {
  const char* const given = std::getenv("TRAINER_TOKEN");
  return given != nullptr && *given != '\0' ? given : random_digits(32);
}

int run_launch(const Arguments& arguments) {
  if (trim(arguments.text("hosts")).empty()) throw UsageError("Need the hosts: --hosts=a,b:4");
  const std::vector<std::string>& words = arguments.positional();
  const Arguments of_command = check_command(words);
  const std::vector<Slot> slots = parse_hosts(arguments.text("hosts"), host_name());
  LaunchOptions options;
  options.ssh = words_of(arguments.text("ssh"));
  if (options.ssh.empty()) throw config_error("--ssh is empty; write the command that reaches other hosts: --ssh=ssh");
  options.elastic = is_elastic(words.front(), of_command);
  LaunchPlan plan;
  plan.folder = std::filesystem::current_path();
  plan.words = {std::filesystem::read_symlink("/proc/self/exe")};
  plan.words.insert(plan.words.end(), words.begin(), words.end());
  plan.master_port = draw_port();
  plan.job = random_digits(8);
  plan.token = token_of_run();
  plan.passed = passed_variables(environ);
  return run_ranks(plan, slots, options);
}

REGISTER_COMMAND(
    launch, .name = "launch", .summary = "starts a training on several hosts",
    .usage = "launch --hosts=HOST[:N],... [--ssh=COMMAND] -- train|test|time [flags]",
    .description =
        "Starts N processes of the command on each host (1 without N), numbered in the order of the hosts; they train "
        "together. This host and localhost are started directly, others by ssh, which must work without prompting. "
        "All hosts need the program and the files at the same paths.\n\n"
        "Shows the output of rank 0, and lines of the others with their rank and host. Signals go to all processes. "
        "When one fails, the others end, or continue with --elastic; the exit code is that of the first one that "
        "failed.",
    .flags =
        {
            {"hosts", FlagType::kText, "", "HOST[:N],...",
             "The hosts, each with its number of processes. The first one must have a name that the others reach."},
            {"ssh", FlagType::kText, "ssh -o BatchMode=yes", "COMMAND",
             "The command that runs a command on a host: it gets the host and one more argument. It is split at "
             "blanks."},
        },
    .run = run_launch, .runs_on_all_ranks = true);

}  // namespace
}  // namespace trainer
