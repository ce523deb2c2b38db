// The registry of commands and the texts generated from its tables.
#include "cli/command.h"

#include <gtest/gtest.h>

#include <set>

#include "cli/help_text.h"

namespace trainer {
namespace {

std::string mistake(const std::vector<std::string>& words) {
  try {
    run_command_line(words);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfiguration);
    return error.what();
  }
  return "no mistake";
}

TEST(Commands, AnUnknownOneNamesTheNearestAndAll) {
  const std::string message = mistake({"convret", "--x=1"});
  EXPECT_EQ(message.find("unknown command \"convret\"; did you mean convert?\ncommands: "), 0u) << message;
  EXPECT_NE(message.find("device_query"), std::string::npos);
}

TEST(Commands, AnUnknownFlagNamesTheHelp) {
  EXPECT_EQ(mistake({"convert", "--lits=x"}),
            "unknown flag --lits; did you mean --list?\n`trainer help convert` lists the flags.");
}

TEST(Commands, TooFewWordsShowTheUsage) {
  const std::string text = mistake({"convert", "idx", "a"});
  EXPECT_NE(text.find("\nusage: trainer convert folder SOURCE TARGET"), std::string::npos) << text;
  EXPECT_NE(text.find("\n       trainer convert idx IMAGES LABELS DATABASE\n"), std::string::npos) << text;
}

TEST(Commands, AreFoundBehindFlags) {
  EXPECT_STREQ(command_of({"--gpu", "0", "device_query"})->name, "device_query");
  EXPECT_EQ(command_of({"--gpu", "device_query"}), nullptr);
  EXPECT_EQ(command_of({}), nullptr);
}

// All texts come from one table: none may miss a flag, and every flag has a description.
TEST(Commands, HelpManualAndCompletionHaveEveryFlag) {
  const std::string manual = manual_page(), completion = completion_script();
  for (const Command* command : commands()) {
    EXPECT_GT(std::string(command->summary).size(), 10u) << command->name;
    const std::string help = command_page(*command);
    std::set<std::string> names;
    for (const Flag& flag : command->flags) {
      EXPECT_TRUE(names.insert(flag.name).second) << flag.name;
      EXPECT_GT(std::string(flag.help).size(), 10u) << flag.name;
      EXPECT_NE(help.find(flag.name), std::string::npos) << flag.name;
      EXPECT_NE(completion.find(std::string("--") + flag.name), std::string::npos) << flag.name;
      EXPECT_NE(manual.find(flag.name), std::string::npos) << flag.name;
    }
    // The parser must accept the defaults.
    std::vector<std::string> words;
    for (const Flag& flag : command->flags) {
      if (*flag.default_value != '\0') words.push_back(std::string("--") + flag.name + "=" + flag.default_value);
    }
    EXPECT_NO_THROW(Arguments::parse(command->flags, words)) << command->name;
  }
}

}  // namespace
}  // namespace trainer
