#include "kernels/fused/segment_ranges.h"

#include "gtest/gtest.h"

namespace attention::kernels {
namespace {

TEST(SegmentRangesTest, ContiguousSegmentsAreRangesAndOthersAreNot) {
  const int32_t query_segments[] = {7, 7, -2, 5, /**/ 1, 1, 1, 1};
  const int32_t key_segments[] = {-2, -2, 7, 7, 7, 0, /**/ 1, 1, 3, 3, 1, 2};
  AttentionProblem problem;
  problem.query.extents = {2, 1, 4, 1};
  problem.key.extents = {2, 1, 6, 1};
  problem.query_segments = query_segments;
  problem.key_segments = key_segments;
  SegmentRanges ranges;
  ranges.Begin(problem);
  EXPECT_TRUE(ranges.Contiguous(0));
  EXPECT_FALSE(ranges.Contiguous(1));
  const auto seen = [&](int64_t batch, int64_t query, KeyRange keys) {
    const KeyRange range = ranges.Intersect(batch, query, keys);
    return std::pair(range.begin, range.end);
  };
  EXPECT_EQ(seen(0, 0, {0, 6}), std::pair(int64_t{2}, int64_t{5}));
  EXPECT_EQ(seen(0, 1, {3, 4}), std::pair(int64_t{3}, int64_t{4}));
  EXPECT_EQ(seen(0, 2, {0, 6}), std::pair(int64_t{0}, int64_t{2}));
  const KeyRange none = ranges.Intersect(0, 3, {0, 6});  // no key has segment 5
  EXPECT_EQ(none.begin, none.end);
  const KeyRange apart = ranges.Intersect(0, 2, {3, 6});
  EXPECT_EQ(apart.begin, apart.end);
  EXPECT_EQ(seen(1, 0, {0, 6}), std::pair(int64_t{0}, int64_t{6}));  // left to the mask
}

}  // namespace
}  // namespace attention::kernels
