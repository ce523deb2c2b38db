// Counts and strides of shapes, including extents that no tensor can have.
#include "tensor/shape.h"

#include <gtest/gtest.h>

namespace trainer {
namespace {

TEST(Shape, CountsARangeOfAxes) {
  EXPECT_EQ(Shape({}).count(), 1);
  EXPECT_EQ(Shape({2, 3, 4}).count(), 24);
  EXPECT_EQ(Shape({2, 3, 4}).count(1), 12);
  EXPECT_EQ(Shape({2, 3, 4}).count(1, 1), 1);
  EXPECT_EQ(Shape({2, 0, 4}).count(), 0);
}

TEST(Shape, CountSaturatesAtKUncountable) {
  const int64_t large = int64_t{1} << 32;
  const TensorDesc desc{.shape = {2, large, large, large}};
  EXPECT_EQ(desc.shape.count(), Shape::kUncountable);
  EXPECT_EQ(desc.bytes(), 4 * Shape::kUncountable);
  EXPECT_EQ(desc.strides(), (std::vector<int64_t>{Shape::kUncountable, Shape::kUncountable, large, 1}));
}

TEST(Shape, BlobsHaveAtMost2147483647Elements) {
  EXPECT_EQ(check_shape({}), "");
  EXPECT_EQ(check_shape({2147483647}), "");
  EXPECT_EQ(check_shape({46340, 46340, 1}), "");
  EXPECT_EQ(check_shape({2147483648}), "2147483648 has more than 2147483647 elements");
  EXPECT_EQ(check_shape({65536, 32768}), "65536,32768 has more than 2147483647 elements");
  // The product is 2^80; the product of 2^63 and 2 is 0 in 64 bits.
  EXPECT_EQ(check_shape({int64_t{1} << 40, int64_t{1} << 40}),
            "1099511627776,1099511627776 has more than 2147483647 elements");
  EXPECT_NE(check_shape({int64_t{1} << 62, 4}), "");
  EXPECT_EQ(check_shape({3, 0, int64_t{1} << 40}), "axis 1 has extent 0");
  EXPECT_EQ(check_shape({-1}), "axis 0 has extent -1");
  EXPECT_EQ(check_shape(Shape(std::vector<int64_t>(33, 1))), "33 axes; a blob has at most 32");
}

}  // namespace
}  // namespace trainer
