// Tests the flag parser against the syntax of gflags.
#include "cli/flags.h"

#include <gflags/gflags.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace trainer {
namespace {

const std::vector<Flag> kTable = {
    {"solver", FlagType::kFile, "", "FILE", "The solver."},
    {"iterations", FlagType::kInteger, "50", "N", "How many."},
    {"threshold", FlagType::kNumber, "0.5", "X", "A number."},
    {"update", FlagType::kBool, "false", "", "Also the update."},
    {"run_dir", FlagType::kFolder, "", "DIR", "Where.", false, true},
    {"weights", FlagType::kFiles, "", "FILE,FILE", "Where to start."},
    {"set", FlagType::kText, "", "KEY=VALUE", "Change a field.", true},
    {"sigint_effect", FlagType::kChoice, "stop", "stop|snapshot|none", "On SIGINT."},
    {"normalise", FlagType::kBool, "true", "", "A flag that begins with no."},
};

Arguments parse(const std::vector<std::string>& words) { return Arguments::parse(kTable, words); }

std::string mistake(const std::vector<std::string>& words) {
  try {
    parse(words);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfiguration);
    return error.what();
  }
  return "no mistake";
}

TEST(Flags, EverySpellingOfAValue) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"-solver", "s.prototxt"}, {"-solver=s.prototxt"}, {"--solver", "s.prototxt"}, {"--solver=s.prototxt"}}) {
    EXPECT_EQ(parse(words).text("solver"), "s.prototxt");
    EXPECT_TRUE(parse(words).given("solver"));
  }
  EXPECT_EQ(parse({"--run-dir=here"}).text("run_dir"), "here");
  EXPECT_EQ(parse({"--set", "a=b=c"}).texts("set"), std::vector<std::string>{"a=b=c"});
  EXPECT_EQ(parse({"-iterations", "-3"}).integer("iterations"), -3);
}

TEST(Flags, TheGivenOnesAreWordsForAShell) {
  EXPECT_EQ(parse({"-solver", "a b", "--nonormalise", "--update=t", "--set", "x=1", "--run-dir=", "--set", "y={ 2 }"})
                .given_text(),
            "--solver='a b' --normalise=false --update --set='x=1' --run_dir='' --set='y={ 2 }'");
  EXPECT_EQ(parse({}).given_text(), "");
}

TEST(Flags, DefaultsHoldWhereNothingIsGiven) {
  const Arguments arguments = parse({});
  EXPECT_FALSE(arguments.given("solver"));
  EXPECT_EQ(arguments.text("solver"), "");
  EXPECT_EQ(arguments.integer("iterations"), 50);
  EXPECT_EQ(arguments.number("threshold"), 0.5);
  EXPECT_FALSE(arguments.get_bool("update"));
  EXPECT_TRUE(arguments.get_bool("normalise"));
  EXPECT_TRUE(arguments.texts("set").empty());
}

TEST(Flags, TruthValuesTakeNoWord) {
  const Arguments arguments = parse({"--update", "true"});
  EXPECT_TRUE(arguments.get_bool("update"));
  EXPECT_EQ(arguments.positional(), std::vector<std::string>{"true"});
  EXPECT_FALSE(parse({"--update", "--noupdate"}).get_bool("update"));
  EXPECT_FALSE(parse({"--update=false"}).get_bool("update"));
  EXPECT_FALSE(parse({"--nonormalise"}).get_bool("normalise"));
}

TEST(Flags, StandAnywhereUntilTwoDashes) {
  const Arguments arguments = parse({"one", "--iterations=3", "two", "-", "--", "--update", "--"});
  EXPECT_EQ(arguments.integer("iterations"), 3);
  EXPECT_EQ(arguments.positional(), (std::vector<std::string>{"one", "two", "-", "--update", "--"}));
  EXPECT_FALSE(arguments.get_bool("update"));
}

TEST(Flags, RepeatedFlags) {
  EXPECT_EQ(parse({"--set=a=1", "x", "--set", "b=2"}).texts("set"), (std::vector<std::string>{"a=1", "b=2"}));
  EXPECT_EQ(parse({"--iterations=1", "--iterations=2"}).integer("iterations"), 2);
}

TEST(Flags, MistakesNameTheFlagAndTheRemedy) {
  EXPECT_EQ(mistake({"--slover=x"}), "unknown flag --slover; did you mean --solver?");
  EXPECT_EQ(mistake({"--solver"}), "--solver needs a value");
  EXPECT_EQ(mistake({"--iterations=ten"}), "--iterations: \"ten\" is not a whole number below 2^31");
  EXPECT_EQ(mistake({"--iterations=99999999999999999999"}),
            "--iterations: \"99999999999999999999\" is not a whole number below 2^31");
  EXPECT_EQ(mistake({"--iterations=2147483648"}), "--iterations: \"2147483648\" is not a whole number below 2^31");
  EXPECT_EQ(mistake({"--threshold=1.5x"}), "--threshold: \"1.5x\" is not a number");
  EXPECT_EQ(mistake({"--update=maybe"}), "--update: \"maybe\" is neither true nor false");
  EXPECT_EQ(mistake({"--sigint_effect=halt"}), "--sigint_effect: \"halt\" is not one of stop, snapshot, none");
  EXPECT_EQ(mistake({"--solver="}), "--solver: the path is empty; write --solver=FILE");
  EXPECT_EQ(mistake({"--weights", ""}), "--weights: the path is empty; write --weights=FILE,FILE");
  EXPECT_EQ(parse({"--run_dir="}).text("run_dir"), "");
  EXPECT_EQ(mistake({"--nosolver"}), "unknown flag --nosolver; did you mean --solver?");
}

TEST(Flags, ProcessWideFlagsAreGlogsAlone) {
  std::string before;
  ASSERT_TRUE(gflags::GetCommandLineOption("minloglevel", &before));
  EXPECT_EQ(parse({"-minloglevel", "2", "word"}).positional(), std::vector<std::string>{"word"});
  std::string after;
  gflags::GetCommandLineOption("minloglevel", &after);
  EXPECT_EQ(after, "2");
  gflags::SetCommandLineOption("minloglevel", before.c_str());
  EXPECT_EQ(mistake({"--minloglevel=low"}).substr(0, 21), "--minloglevel: \"low\" ");
  EXPECT_EQ(mistake({"--flagfile=x"}).substr(0, 23), "unknown flag --flagfile");
}

TEST(Flags, TheCommandIsTheFirstFreeWord) {
  const std::vector<const std::vector<Flag>*> tables = {&kTable};
  EXPECT_EQ(first_word(tables, {"train", "--solver", "x"}), 0);
  EXPECT_EQ(first_word(tables, {"-solver", "x", "train"}), 2);
  EXPECT_EQ(first_word(tables, {"--update", "train"}), 1);
  EXPECT_EQ(first_word(tables, {"-v", "1", "train"}), 2);
  EXPECT_EQ(first_word(tables, {"--solver=x"}), -1);
  EXPECT_EQ(first_word(tables, {"--", "train"}), 1);
  EXPECT_EQ(first_word(tables, {}), -1);
}

}  // namespace
}  // namespace trainer
