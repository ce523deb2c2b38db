// The content of a run folder.
#include "report/run_folder.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <regex>
#include <sstream>

#include "base/error.h"
#include "cli/glog_sink.h"
#include "report/event_file.h"
#include "report/run_history.h"
#include "report/run_report.h"
#include "report/test_json.h"
#include "report/test_results.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

class RunFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    set_up_logging("trainer_tests");
    char name[] = "/tmp/run_folder_test_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    root_ = name;
  }
  void TearDown() override { fs::remove_all(root_); }

  static std::string read(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  static std::string without_times(const std::string& lines) {
    return std::regex_replace(lines, std::regex("[0-9:]{8}\\.[0-9]{6} "), "");
  }
  RunInfo info() const {
    RunInfo info;
    info.net_name = "a<b";
    info.solver_type = "SGD";
    info.folder = root_ + "/new/run";
    info.net_text = "name: \"a<b\"\n";
    info.solver_text = "base_lr: 0.1\n";
    info.max_iteration = 20;
    info.display = 10;
    info.images_per_iteration = 64;
    return info;
  }
  // A run with two displays, a test and a snapshot; returns the log lines from the standard error.
  std::string short_run(double last_loss) {
    testing::internal::CaptureStderr();
    RunReport report;
    report.note("loaded 2 of 2 layers");
    report.begin(info());
    report.train_display({0, 2.5, 0.1, 0, {{"loss", 2.5, 1}}});
    report.step({1, 2.5, 0.1, 0});
    report.train_display({10, last_loss, 0.1, 0, {{"loss", last_loss, 1}}});
    report.test_begin(10, 0);
    report.test_step(1, 1);
    report.test_result({10, 0, std::nullopt, {{"accuracy", 0.75, 0}, {"each", 0.5, 0}, {"each", 1, 0}}, 100});
    report.snapshot({10, "p_iter_10.caffemodel", "p_iter_10.solverstate", false, ""});
    report.finish({10, "done", true});
    return testing::internal::GetCapturedStderr();
  }

  std::string root_;
};

TEST_F(RunFolderTest, FilesOfARun) {
  const std::string lines = short_run(1.25);
  const std::string folder = root_ + "/new/run";
  EXPECT_EQ(read(folder + "/net.prototxt"), "name: \"a<b\"\n");
  EXPECT_EQ(read(folder + "/solver.prototxt"), "base_lr: 0.1\n");
  // All lines of the standard error, including those before the folder was created. Each sink takes its own time.
  EXPECT_EQ(without_times(read(folder + "/train.log")), without_times(lines));
  EXPECT_NE(lines.find("] loaded 2 of 2 layers\n"), std::string::npos);
  EXPECT_NE(lines.find("] Iteration 10, Testing net (#0)\n"), std::string::npos);
  EXPECT_NE(lines.find("]     Test net output #2: each = 1\n"), std::string::npos);
  EXPECT_NE(lines.find("] Optimization Done.\n"), std::string::npos);

  const RunHistory history = read_history(folder + "/metrics.jsonl");
  ASSERT_EQ(history.series.size(), 5u);
  EXPECT_EQ(history.series[0].name, "smoothed_loss");
  EXPECT_TRUE(history.series[1].loss);
  ASSERT_EQ(history.series[1].points.size(), 2u);
  EXPECT_EQ(history.series[1].points[1].iteration, 10);
  EXPECT_EQ(history.series[1].points[1].value, 1.25);
  EXPECT_EQ(history.series[2].split, "test");
  EXPECT_FALSE(history.series[2].loss);
  EXPECT_EQ(history.series[4].name, "each[1]");
  EXPECT_EQ(history.end.at("outcome"), "done");
  ASSERT_EQ(history.snapshots.size(), 1u);

  const std::string page = read(folder + "/report.html");
  EXPECT_NE(page.find("<h1>a&lt;b</h1>"), std::string::npos);
  EXPECT_NE(page.find("<polyline"), std::string::npos);
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_EQ(page.find("http"), std::string::npos);
}

// The last result of each net, also after a second round of tests.
TEST_F(RunFolderTest, ResultsOfTests) {
  testing::internal::CaptureStderr();
  {
    RunReport report;
    RunInfo run = info();
    run.class_names = {"cat", "dog", "fox"};
    report.begin(run);
    TestResult first = test::small_result(), second{10, 1, std::nullopt, {{"errors.mae", 0.5}}, 20};
    report.test_result(first);
    report.test_result(second);
    first.iteration = 3000;
    report.test_result(first);
    report.finish({3000, "done", true});
    EXPECT_EQ(read(root_ + "/new/run/results.json"), results_json({first, second}, run.class_names, {}));
  }
  const std::string lines = testing::internal::GetCapturedStderr();
  EXPECT_NE(lines.find("]     Test net output #0: accuracy = 0.65 ± 0.21, 20 records\n"), std::string::npos) << lines;
  EXPECT_NE(lines.find("]     Test net output #4: top2 = 0.9 ± 0.13, 18 items\n"), std::string::npos) << lines;
  EXPECT_NE(lines.find("]     Test net output #3: loss = 0.75 (* 1 = 0.75 loss)\n"), std::string::npos) << lines;
  const std::string page = read(root_ + "/new/run/report.html");
  EXPECT_NE(page.find("Last test: iteration 3,000, 20 records"), std::string::npos);
  EXPECT_NE(page.find("Last test of net 1: iteration 10, 20 records"), std::string::npos);
  EXPECT_NE(page.find("<title>dog taken for fox: 4 of 10</title>"), std::string::npos);
  EXPECT_NE(read(root_ + "/new/run/metrics.jsonl").find("\"split\":\"test1\",\"name\":\"errors.mae\",\"value\":0.5"),
            std::string::npos);
}

TEST_F(RunFolderTest, NonFiniteValuesAreCountedButNotDrawn) {
  short_run(std::numeric_limits<double>::quiet_NaN());
  const RunHistory history = read_history(root_ + "/new/run/metrics.jsonl");
  EXPECT_EQ(history.series[1].points.size(), 1u);
  EXPECT_EQ(history.series[1].not_finite, 1);
  const std::string page = read(root_ + "/new/run/report.html");
  EXPECT_EQ(page.find("nan,"), std::string::npos);
  EXPECT_NE(page.find("were not finite"), std::string::npos);
}

TEST_F(RunFolderTest, AResumedRunAppends) {
  short_run(1.25);
  short_run(1.0);
  const RunHistory history = read_history(root_ + "/new/run/metrics.jsonl");
  ASSERT_EQ(history.series[1].points.size(), 2u);
  EXPECT_EQ(history.series[1].points[1].value, 1.0);
  EXPECT_EQ(history.snapshots.size(), 2u);
}

// The second part of a run writes again what the first one wrote after the snapshot at iteration 10.
TEST_F(RunFolderTest, AContinuedRunHasNoIterationTwice) {
  short_run(1.25);
  const std::string metrics = root_ + "/new/run/metrics.jsonl";
  std::ofstream(metrics, std::ios::app) << R"({"event":"best","iteration":5,"metric":"accuracy","value":0.5,"retries":0}
{"event":"best","iteration":10,"metric":"accuracy","value":0.75,"retries":0}
{"iteration":20,"split":"train","name":"loss","value":3}
{"iteration":30,"split":"tr)";
  {
    RunReport report;
    RunInfo continued = info();
    continued.first_iteration = 10;
    continued.continued = {10, "p_iter_10.caffemodel", "p_iter_10.solverstate", false, ""};
    report.begin(continued);
    report.train_display({10, 1.5, 0.1, 0, {{"loss", 1.5, 1}}});
    report.finish({20, "done", true});
  }
  const std::string lines = read(metrics);
  EXPECT_EQ(lines.find("\"iteration\":10,\"split\":\"test\""), std::string::npos);
  EXPECT_EQ(lines.find("1.25"), std::string::npos);
  EXPECT_EQ(lines.find("\"iteration\":20,\"split\""), std::string::npos);
  EXPECT_EQ(lines.find("\"split\":\"tr\""), std::string::npos);
  const RunHistory history = read_history(metrics);
  ASSERT_EQ(history.series[1].points.size(), 2u);
  EXPECT_EQ(history.series[1].points[0].value, 2.5);
  EXPECT_EQ(history.series[1].points[1].value, 1.5);
  EXPECT_EQ(history.snapshots.size(), 1u);
  EXPECT_EQ(history.best.at("iteration"), "5");
  EXPECT_TRUE(is_complete_report(root_ + "/new/run", 20));
  EXPECT_FALSE(is_complete_report(root_ + "/new/run", 10));
  std::string events;
  for (const auto& entry : fs::directory_iterator(root_ + "/new/run"))
    if (entry.path().filename().string().starts_with(kEventFilePrefix)) events += read(entry.path().string());
  EXPECT_EQ(events.find("accuracy"), std::string::npos);
  EXPECT_NE(events.find("train/loss"), std::string::npos);
}

// A net that is tested in one part of a run only keeps its result.
TEST_F(RunFolderTest, AContinuedRunKeepsEarlierResults) {
  testing::internal::CaptureStderr();
  TestResult early = test::small_result(), late = early;
  early.iteration = 5;
  late.iteration = 10;
  late.net = 1;
  {
    RunReport report;
    report.begin(info());
    report.test_result(early);
    report.test_result(late);
  }
  const std::string results = root_ + "/new/run/results.json";
  EXPECT_EQ(read(results), results_json({early, late}, {}, {}));
  {
    RunReport report;
    RunInfo continued = info();
    continued.first_iteration = 10;
    continued.continued = {10, "p_iter_10.caffemodel", "p_iter_10.solverstate", false, ""};
    report.begin(continued);
    EXPECT_EQ(read(results), results_json({early}, {}, {}));
    EXPECT_NE(read(root_ + "/new/run/report.html").find("Last test: iteration 5, 20 records"), std::string::npos);
    report.test_result(late);
    EXPECT_EQ(read(results), results_json({early, late}, {}, {}));
  }
  testing::internal::GetCapturedStderr();
}

// A run of the same command line that was killed before its first snapshot begins again in its folder.
TEST_F(RunFolderTest, AKilledRunBeginsAgain) {
  EXPECT_EQ(newest_run_folder(root_ + "/net"), "");
  make_run_folder(root_ + "/net");
  RunInfo run = info();
  run.folder = make_run_folder(root_ + "/net");
  run.command_line = "trainer train --solver='a b'";
  fs::create_directory(root_ + "/net_run/notes");
  EXPECT_EQ(newest_run_folder(root_ + "/net"), run.folder);
  EXPECT_TRUE(is_unsaved_run(run.folder, run.command_line));  // killed before its report began
  const auto begin = [&](const std::function<void(RunReport&)>& more) {
    RunReport report;
    report.begin(run);
    report.train_display({0, 2.5, 0.1, 0, {{"loss", 2.5, 1}}});
    more(report);
  };
  begin([](RunReport&) {});
  EXPECT_TRUE(is_unsaved_run(run.folder, run.command_line));
  EXPECT_FALSE(is_unsaved_run(run.folder, "trainer train --solver=b"));
  run.continued.emplace();
  begin([](RunReport&) {});
  const std::string metrics = run.folder + "/metrics.jsonl";
  EXPECT_EQ(read_history(metrics).snapshots.size(), 0u);
  const std::string lines = read(metrics);
  EXPECT_EQ(lines.find("smoothed_loss"), lines.rfind("smoothed_loss"));
  begin([](RunReport& report) { report.snapshot({10, "p_iter_10.caffemodel", "p_iter_10.solverstate", false, ""}); });
  EXPECT_FALSE(is_unsaved_run(run.folder, run.command_line));
}

TEST_F(RunFolderTest, ARunThatEndedDoesNotBeginAgain) {
  {
    RunReport report;
    report.begin(info());
    report.finish({20, "diverged", false});
  }
  EXPECT_FALSE(is_unsaved_run(root_ + "/new/run", ""));
}

TEST_F(RunFolderTest, NamesThePrefixOfItsSnapshots) {
  RunInfo run = info();
  run.snapshot_prefix = root_ + "/weights/net";
  fs::create_directory(root_ + "/weights");
  RunReport().begin(run);
  EXPECT_EQ(prefix_of_report(run.folder), root_ + "/weights/net");
  // All folders may move together.
  fs::create_directory(root_ + "/moved");
  fs::rename(root_ + "/new", root_ + "/moved/new");
  EXPECT_EQ(prefix_of_report(root_ + "/moved/new/run"), root_ + "/moved/weights/net");
  EXPECT_EQ(prefix_of_report(root_), "");
}

TEST_F(RunFolderTest, ARetryReplacesWhatItWritesAgain) {
  {
    RunReport report;
    report.begin(info());
    report.train_display({0, 2.5, 0.1, 0, {{"loss", 2.5, 1}}});
    report.best({5, "accuracy", 0.5, "p_best.caffemodel", 0});
    report.train_display({10, 9, 0.1, 0, {{"loss", 9, 1}}});
    report.best({10, "accuracy", 0.75, "p_best.caffemodel", 0});
    report.retry({12, 10, "p_iter_10.solverstate", 1, 2, 0.5});
    report.train_display({10, 1.5, 0.05, 0, {{"loss", 1.5, 1}}});
    report.finish({20, "done", true});
  }
  const RunHistory history = read_history(root_ + "/new/run/metrics.jsonl");
  ASSERT_EQ(history.series[1].points.size(), 2u);
  EXPECT_EQ(history.series[1].points[1].value, 1.5);
  EXPECT_EQ(history.best.at("iteration"), "10");
  ASSERT_EQ(history.retries.size(), 1u);
  EXPECT_EQ(read(root_ + "/new/run/metrics.jsonl").find("\"value\":9"), std::string::npos);
  EXPECT_NE(read(root_ + "/new/run/report.html").find("continued from iteration 10 with 0.5 times"), std::string::npos);
  // A run that continues from a snapshot before the retry repeats it; one after the retry does not.
  EXPECT_TRUE(is_repeated(history.retries[0], {10, 0}));
  EXPECT_FALSE(is_repeated(history.retries[0], {10, 1}));
}

TEST_F(RunFolderTest, AFolderInUseGetsAnotherName) {
  const RunFolder first(root_ + "/run");
  EXPECT_EQ(first.path(), root_ + "/run");
  {
    testing::internal::CaptureStderr();
    const RunFolder second(root_ + "/run/");
    EXPECT_EQ(second.path(), root_ + "/run-2");
    EXPECT_NE(testing::internal::GetCapturedStderr().find("another run writes to " + root_ +
                                                          "/run/: the report of this run goes to " + root_ + "/run-2"),
              std::string::npos);
    EXPECT_EQ(RunFolder(root_ + "/run").path(), root_ + "/run-3");
  }
  // A new run does not append to the folder of a finished run.
  EXPECT_EQ(RunFolder(root_ + "/run").path(), root_ + "/run-4");
}

TEST_F(RunFolderTest, HistoryOfALongRunIsBounded) {
  RunHistory history;
  const auto line = [](int iteration, double value) {
    return "{\"iteration\":" + std::to_string(iteration) +
           ",\"split\":\"test\",\"name\":\"accuracy\",\"value\":" + std::to_string(value) + "}";
  };
  constexpr int kLines = 50000;
  for (int i = 1; i <= kLines; ++i) {
    history.add(line(i, i == 777 ? 0.99 : i == 20001 ? -3 : 0.5));
    history.add("{\"event\":\"snapshot\",\"iteration\":" + std::to_string(i) + "}");
  }
  const Series& series = history.series.at(0);
  EXPECT_LE(series.points.size(), 4000u);
  EXPECT_LE(history.snapshots.size(), 1000u);
  EXPECT_EQ(history.snapshots.back().at("iteration"), std::to_string(kLines));
  EXPECT_EQ(series.highest()->iteration, 777);
  EXPECT_EQ(series.lowest()->iteration, 20001);
  EXPECT_LE(series.points.front().iteration, 2);
  for (size_t i = 1; i < series.points.size(); ++i)
    EXPECT_LT(series.points[i - 1].iteration, series.points[i].iteration);
  for (int i = 0; i < 1000; ++i)
    EXPECT_EQ(series.points[series.points.size() - 1 - static_cast<size_t>(i)].iteration, kLines - i);
}

TEST_F(RunFolderTest, TheRunContinuesWithoutAFolder) {
  std::ofstream(root_ + "/new") << "a file";
  const std::string lines = short_run(1.25);
  EXPECT_NE(lines.find("cannot create the run folder " + root_ + "/new/run"), std::string::npos);
  EXPECT_NE(lines.find("] Optimization Done."), std::string::npos);
  EXPECT_EQ(read(root_ + "/new"), "a file");
}

TEST_F(RunFolderTest, DefaultFoldersDiffer) {
  const std::string first = make_run_folder(root_ + "/net");
  EXPECT_EQ(first.substr(0, root_.size() + 9), root_ + "/net_run/");
  EXPECT_TRUE(fs::is_directory(first));
  EXPECT_NE(make_run_folder(root_ + "/net"), first);
}

TEST_F(RunFolderTest, SkipsTruncatedLines) {
  std::ofstream(root_ + "/m.jsonl") << "{\"iteration\":1,\"split\":\"train\",\"name\":\"loss\",\"value\":3}\n"
                                       "{\"iteration\":2,\"split\":\"train\",\"name\":\"lo";
  const RunHistory history = read_history(root_ + "/m.jsonl");
  ASSERT_EQ(history.series.size(), 1u);
  EXPECT_EQ(history.series[0].points.size(), 1u);
}

}  // namespace
}  // namespace trainer
