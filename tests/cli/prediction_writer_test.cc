// The lines of predictions.
#include "cli/prediction_writer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace trainer {
namespace {

const std::vector<float> kScores = {0.125f, 0.5f, 0.125f, 0.25f};

PredictionForm form_of(PredictionFormat format, int64_t top_k = 3) {
  return {format, true, top_k, {"ant", "bee", "c,\"d\"", "dog"}};
}

TEST(PredictionWriter, ShowsTheLargestClassesFirst) {
  EXPECT_EQ(prediction_lines(form_of(PredictionFormat::kText), "a b.jpg", kScores),
            "a b.jpg: bee 0.5000, dog 0.2500, ant 0.1250\n");
  EXPECT_EQ(prediction_lines({PredictionFormat::kText, true, 9, {}}, "x", kScores),
            "x: 1 0.5000, 3 0.2500, 0 0.1250, 2 0.1250\n");
  EXPECT_EQ(prediction_header(form_of(PredictionFormat::kText)), "");
}

TEST(PredictionWriter, WritesJsonLines) {
  EXPECT_EQ(prediction_lines(form_of(PredictionFormat::kJson, 2), "a\"b.jpg", kScores),
            "{\"name\":\"a\\\"b.jpg\",\"classes\":[{\"class\":1,\"name\":\"bee\",\"probability\":0.5},"
            "{\"class\":3,\"name\":\"dog\",\"probability\":0.25}]}\n");
  const float infinite = std::numeric_limits<float>::infinity();
  EXPECT_EQ(prediction_lines({PredictionFormat::kJson, false, 5, {}}, "7", std::vector<float>{1.5f, infinite}),
            "{\"name\":\"7\",\"values\":[1.5,null]}\n");
}

TEST(PredictionWriter, WritesCsv) {
  EXPECT_EQ(prediction_header(form_of(PredictionFormat::kCsv)), "name,rank,class,class_name,probability\n");
  EXPECT_EQ(prediction_lines(form_of(PredictionFormat::kCsv, 4), "a,b.jpg", kScores),
            "\"a,b.jpg\",1,1,bee,0.5\n\"a,b.jpg\",2,3,dog,0.25\n\"a,b.jpg\",3,0,ant,0.125\n"
            "\"a,b.jpg\",4,2,\"c,\"\"d\"\"\",0.125\n");
  EXPECT_EQ(prediction_lines({PredictionFormat::kCsv, false, 5, {}}, "7", std::vector<float>{1.5f, -2}), "7,1.5,-2\n");
}

TEST(PredictionWriter, PutsNaNLast) {
  EXPECT_EQ(prediction_lines({PredictionFormat::kText, true, 2, {}}, "x", std::vector<float>{NAN, 0.25f, 0.75f}),
            "x: 2 0.7500, 1 0.2500\n");
}

}  // namespace
}  // namespace trainer
