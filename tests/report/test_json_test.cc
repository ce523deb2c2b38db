// The JSON of tests.
#include "report/test_json.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <limits>

#include "report/test_results.h"

namespace trainer {
namespace {

#define MATRIX_TABLE(metric)                                                                                  \
  "{\"metric\":\"" metric                                                                                     \
  "\",\"columns\":[\"precision\",\"recall\",\"f1\",\"support\"],\"rows\":[[0.888888889,0.8,0.842105263,10],[" \
  "0.714285714,0.5,0.588235294,10],[0,null,0,0]]},"
constexpr const char* kTest =
    "\"records\":20,\"whole_set\":true,\"loss\":0.75,\"outputs\":[{\"name\":\"accuracy\",\"value\":0.65,\"interval\":"
    "0.209},{\"name\":\"each[0]\",\"value\":0.5},{\"name\":\"each[1]\",\"value\":1},{\"name\":\"loss\",\"value\":0.75,"
    "\"loss_weight\":1},{\"name\":\"top2\",\"value\":0.9,\"interval\":0.13,\"counted\":18}],\"tables\":["
    MATRIX_TABLE("accuracy") MATRIX_TABLE("top2")
    "{\"metric\":\"areas\",\"columns\":[\"area\"],\"rows\":[[0.25],[1],[null]]}],\"confusion_matrices\":[{\"metric\":"
    "\"accuracy\",\"counts\":[[8,2,0],[1,5,4],[0,0,0]]},{\"metric\":\"top2\",\"counts\":[[8,2,0],[1,5,4],[0,0,0]]}]}";

TEST(TestJson, HasAllOfATest) {
  EXPECT_EQ(test_json(test::small_result(), {"a", "b", "c"}),
            fmt::format("{{\"class_names\":[\"a\",\"b\",\"c\"],{}\n", kTest));
}

TEST(TestJson, ResultsOfSeveralNets) {
  TestResult second;
  second.iteration = 1500;
  second.net = 1;
  second.outputs = {{"loss", std::numeric_limits<double>::infinity(), 1}};
  EXPECT_EQ(results_json({test::small_result(), second}, {}, {}),
            fmt::format("{{\"class_names\":[],\"tests\":[{{\"net\":0,\"iteration\":1500,{},{{\"net\":1,\"iteration\":"
                        "1500,\"records\":0,\"whole_set\":false,\"outputs\":[{{\"name\":\"loss\",\"value\":null,"
                        "\"loss_weight\":1}}],\"tables\":[],\"confusion_matrices\":[]}}]}}\n",
                        kTest));
}

TEST(TestJson, ResultsCanBeReadAgain) {
  TestResult second = test::small_result();
  second.net = 1;
  second.loss.reset();
  second.whole_set = false;
  second.outputs.push_back({"worst", std::numeric_limits<double>::infinity(), 2, 0, 0});
  second.confusions.clear();
  const std::string text = results_json({test::small_result(), second}, {"a", "b", "c"}, {});
  const std::vector<TestResult> read = read_results(text);
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read[0].iteration, 1500);
  EXPECT_EQ(read[0].tables.size(), 1u);
  EXPECT_EQ(read[0].confusions.at(1).count(1, 2), 4);
  EXPECT_EQ(read[1].outputs.back().counted, 0);
  EXPECT_FALSE(read[1].loss);
  EXPECT_EQ(results_json(read, {"a", "b", "c"}, {}), text);
}

TEST(TestJson, OtherTextHasNoResults) {
  for (const char* text : {"", "{", "[]", "{\"tests\":[{\"net\":0,\"iteration\":\"two\"}]}",
                           "{\"tests\":[{\"confusion_matrices\":[{\"metric\":\"a\",\"counts\":[[1,2],[3]]}]}]}",
                           "{\"tests\":[{\"tables\":[{\"columns\":[\"a\",\"b\"],\"rows\":[[1]]}]}]}"})
    EXPECT_TRUE(read_results(text).empty()) << text;
}

TEST(TestJson, TheBestResult) {
  const JsonFields best = {
      {"iteration", "500"}, {"metric", "accuracy"}, {"value", "0.75"}, {"weights", "p_best.caffemodel"}};
  EXPECT_EQ(results_json({}, {}, best),
            "{\"class_names\":[],\"tests\":[],\"best\":{\"metric\":\"accuracy\",\"value\":0.75,\"iteration\":500,"
            "\"weights\":\"p_best.caffemodel\"}}\n");
}

}  // namespace
}  // namespace trainer
