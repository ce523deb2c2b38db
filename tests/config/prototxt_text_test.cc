// Messages as prototxt: the printed text parses back to the same message.
#include "config/prototxt_text.h"

#include <gtest/gtest.h>

#include <limits>

#include "config/prototxt.h"
#include "trainer.pb.h"

namespace trainer {
namespace {

TEST(PrototxtText, NumbersAreTheShortestThatParseBack) {
  caffe::FillerParameter filler;
  filler.set_type("gau\"ss\n");
  filler.set_value(0.1f);
  filler.set_min(16777216.0f);
  filler.set_max(std::numeric_limits<float>::infinity());
  filler.set_std(0.12345678f);
  filler.set_mean(-1e-30f);
  EXPECT_EQ(prototxt_text(filler),
            "type: \"gau\\\"ss\\n\"\nvalue: 0.1\nmin: 16777216\nmax: inf\nmean: -1e-30\nstd: 0.12345678\n");
  caffe::FillerParameter again;
  Positions positions;
  Diagnostics diagnostics;
  ASSERT_TRUE(parse_prototxt(prototxt_text(filler), "", &again, &positions, &diagnostics));
  EXPECT_EQ(again.SerializeAsString(), filler.SerializeAsString());
}

TEST(PrototxtText, NotANumberParsesBack) {
  caffe::FillerParameter filler;
  filler.set_value(-std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(prototxt_text(filler), "value: nan\n");
}

TEST(CompactPrototxt, LinesHaveAtMost120Columns) {
  caffe::LayerParameter layer;
  layer.set_name("a {");
  for (int i = 0; i < 30; ++i) layer.add_bottom("bottom");
  layer.mutable_transform_param()->add_augment()->mutable_resize()->set_size(8);
  layer.mutable_relu_param();
  const std::string text = compact_prototxt(layer);
  for (size_t begin = 0, end; begin < text.size(); begin = end + 1) {
    end = text.find('\n', begin);
    EXPECT_LE(end - begin, 120u);
  }
  EXPECT_NE(text.find("\ntransform_param { augment { resize { size: 8 } } }\n"), std::string::npos) << text;
  caffe::LayerParameter again;
  Positions positions;
  Diagnostics diagnostics;
  ASSERT_TRUE(parse_prototxt(text, "", &again, &positions, &diagnostics)) << text;
  EXPECT_EQ(again.SerializeAsString(), layer.SerializeAsString());
}

}  // namespace
}  // namespace trainer
