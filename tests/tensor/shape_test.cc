// Counts and strides of shapes, extents of which no tensor can have included.
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

TEST(Shape, CountsNoFurtherThanKUncountable) {
  const int64_t large = int64_t{1} << 32;
  const TensorDesc desc{.shape = {2, large, large, large}};
  EXPECT_EQ(desc.shape.count(), Shape::kUncountable);
  EXPECT_EQ(desc.bytes(), 4 * Shape::kUncountable);
  EXPECT_EQ(desc.strides(), (std::vector<int64_t>{Shape::kUncountable, Shape::kUncountable, large, 1}));
}

}  // namespace
}  // namespace trainer
