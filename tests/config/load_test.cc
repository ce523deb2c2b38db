// Loads net and solver files, and checks the messages for missing and unreadable files.
#include "config/load.h"

#include <gtest/gtest.h>

#include "formats/temp_folder.h"

namespace trainer {
namespace {

std::string problem(const std::string& path) {
  Diagnostics diagnostics;
  EXPECT_EQ(load_net(path, &diagnostics), nullptr);
  return diagnostics.render();
}

TEST(Load, NamesTheNearestFileOfTheSameKind) {
  const TempFolder folder;
  folder.write("lenet.prototxt", "");
  folder.write("lennet.caffemodel", "");
  EXPECT_EQ(problem(folder / "lennet.prototxt"),
            fmt::format("trainer: error: there is no file {0}/lennet.prototxt; did you mean "
                        "{0}/lenet.prototxt?\n",
                        folder.path()));
  EXPECT_EQ(
      problem(folder / "solver.txt"),
      fmt::format("trainer: error: there is no file {}/solver.txt; its folder exists and has 0 other .txt files\n",
                  folder.path()));
  EXPECT_EQ(problem(folder / "a/b/net.prototxt"),
            fmt::format("trainer: error: there is no file {0}/a/b/net.prototxt; the existing part of its path is {0}\n",
                        folder.path()));
}

TEST(Load, RefusesFoldersAndBinaryFiles) {
  const TempFolder folder;
  EXPECT_EQ(problem(folder.path()),
            fmt::format("trainer: error: {} is a folder, not a file; name the prototxt inside it\n", folder.path()));
  const std::string binary = folder.write("x.caffemodel", std::string("ab\0c", 4));
  EXPECT_EQ(problem(binary),
            fmt::format("trainer: error: {} is a binary file, not a prototxt; pass weights with --weights, "
                        "solver states with --snapshot\n",
                        binary));
  EXPECT_NE(problem("/dev/zero"), "");
  EXPECT_NE(problem(""), "");
}

TEST(Load, ShowsThePositionThatNamesAMissingFile) {
  Diagnostics diagnostics;
  EXPECT_EQ(
      load_net("/nowhere/net.prototxt", &diagnostics, {"solver.prototxt", 3, 1, "net: \"/nowhere/net.prototxt\"", 3}),
      nullptr);
  EXPECT_EQ(diagnostics.render(),
            "solver.prototxt:3:1: error: there is no file /nowhere/net.prototxt; the existing part of its path is /\n"
            "    net: \"/nowhere/net.prototxt\"\n"
            "    ^~~\n");
}

TEST(Load, KeepsTheFieldsThatParsed) {
  const TempFolder folder;
  Diagnostics diagnostics;
  const auto file = load_net(folder.write("n.prototxt", "name: \"n\" nmae: \"m\" force_backward: true"), &diagnostics);
  ASSERT_NE(file, nullptr);
  EXPECT_FALSE(file->complete);
  EXPECT_EQ(file->net->name(), "n");
  EXPECT_TRUE(file->net->force_backward());
  EXPECT_EQ(diagnostics.error_count(), 1);
}

TEST(Load, AcceptsAnEmptyFile) {
  const TempFolder folder;
  Diagnostics diagnostics;
  const auto file = load_net(folder.write("n.prototxt", ""), &diagnostics);
  ASSERT_NE(file, nullptr);
  EXPECT_TRUE(file->complete);
  EXPECT_FALSE(diagnostics.has_errors());
}

TEST(Load, ASolverCompletesItsPrefixAndConvertsItsType) {
  const TempFolder folder;
  Diagnostics diagnostics;
  const auto file = load_solver(folder.write("s.prototxt", "net: \"n\" solver_type: NESTEROV"), &diagnostics);
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(file->solver->type(), "Nesterov");
  EXPECT_EQ(file->solver->snapshot_prefix(), folder / "s");
  EXPECT_EQ(file->notes.size(), 1u);
}

TEST(Load, ANetInsideASolverKeepsItsPositions) {
  const TempFolder folder;
  Diagnostics diagnostics;
  const std::string path =
      folder.write("s.prototxt", "net_param {\n  layer {\n    name: \"x\"\n    bottom: \"y\"\n  }\n}\n");
  const auto solver = load_solver(path, &diagnostics);
  ASSERT_NE(solver, nullptr);
  const auto net = inline_net_file(solver->solver->net_param(), *solver, &diagnostics);
  EXPECT_FALSE(diagnostics.has_errors());
  const SourcePosition position = net->positions.of(net->net->layer(0), "bottom", 0);
  EXPECT_EQ(position.file, path);
  EXPECT_EQ(position.line, 4);
}

}  // namespace
}  // namespace trainer
