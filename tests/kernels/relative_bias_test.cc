// The buckets of distances against numbers of the published implementations, and both biases.

#include "kernels/relative_bias.h"

#include <limits>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace attention::kernels {
namespace {

constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

BucketedBias Bias(const std::vector<double>& table, int64_t bucket_count, int64_t maximum_distance,
                  bool bidirectional) {
  return {table, bucket_count, maximum_distance, bidirectional};
}

// T5's own: 32 buckets, distances up to 128. Computed by transformers'
// T5Attention._relative_position_bucket.
TEST(DistanceBucketsTest, AreThoseOfT5InBothDirections) {
  const std::vector<double> table(32);
  const DistanceBuckets buckets(Bias(table, 32, 128, true));
  const std::pair<int64_t, int64_t> wanted[] = {
      {0, 0},    {-1, 1},   {-7, 7},   {-8, 8},   {-11, 8},   {-12, 9},   {-15, 9},
      {-16, 10}, {-22, 10}, {-23, 11}, {-31, 11}, {-32, 12},  {-45, 12},  {-46, 13},
      {-63, 13}, {-64, 14}, {-90, 14}, {-91, 15}, {-128, 15}, {-500, 15}, {kLeast, 15},
      {1, 17},   {7, 23},   {8, 24},   {16, 26},  {64, 30},   {91, 31},   {kMost, 31}};
  for (const auto& [distance, bucket] : wanted)
    EXPECT_EQ(buckets.Find(distance), bucket) << distance;
}

TEST(DistanceBucketsTest, AreThoseOfT5sDecoder) {
  const std::vector<double> table(32);
  const DistanceBuckets buckets(Bias(table, 32, 128, false));
  const std::pair<int64_t, int64_t> wanted[] = {
      {5, 0},    {kMost, 0}, {0, 0},     {-1, 1},    {-15, 15},  {-16, 16},   {-18, 16},
      {-19, 17}, {-21, 18},  {-24, 19},  {-27, 20},  {-31, 21},  {-35, 22},   {-40, 23},
      {-46, 24}, {-52, 25},  {-59, 26},  {-67, 27},  {-77, 28},  {-87, 29},   {-99, 30},
      {-98, 29}, {-112, 30}, {-113, 31}, {-127, 31}, {-128, 31}, {kLeast, 31}};
  for (const auto& [distance, bucket] : wanted)
    EXPECT_EQ(buckets.Find(distance), bucket) << distance;
}

TEST(DistanceBucketsTest, AreThoseOfTheBiasAtHandWhicheverOneCameBefore) {
  const std::vector<double> table(64);
  for (int repetition = 0; repetition < 3; ++repetition) {
    const DistanceBuckets near(Bias(table, 32, 128, false));
    const DistanceBuckets far(Bias(table, 32, 1000, false));
    const DistanceBuckets many(Bias(table, 64, 128, true));  // of one direction, those of `near`
    EXPECT_EQ(near.Find(-100), 30);
    EXPECT_EQ(far.Find(-100), 23);
    EXPECT_EQ(many.Find(-100), 30);
    EXPECT_EQ(many.Find(100), 62);
  }
}

// The least table there may be: distance 0, and everything before.
TEST(DistanceBucketsTest, MayBeTwo) {
  const std::vector<double> table(2);
  const DistanceBuckets buckets(Bias(table, 2, 5, false));
  EXPECT_EQ(buckets.Find(3), 0);
  EXPECT_EQ(buckets.Find(0), 0);
  EXPECT_EQ(buckets.Find(-1), 1);
  EXPECT_EQ(buckets.Find(-1000), 1);
}

TEST(DistanceBucketsTest, NeverGoBackWithGrowingDistance) {
  for (const int64_t bucket_count : {2, 4, 10, 64, 4096}) {
    for (const int64_t maximum_distance : {3000, 1 << 20}) {
      const std::vector<double> table(static_cast<size_t>(bucket_count));
      const DistanceBuckets buckets(Bias(table, bucket_count, maximum_distance, false));
      int64_t last = 0;
      for (int64_t distance = 0; distance < 5000; ++distance) {
        const int64_t bucket = buckets.Find(-distance);
        ASSERT_GE(bucket, last);
        ASSERT_LT(bucket, bucket_count);
        last = bucket;
      }
      EXPECT_EQ(buckets.Find(-maximum_distance), bucket_count - 1);
    }
  }
}

TEST(RelativeBiasTest, AddsBothKinds) {
  const std::vector<double> slopes = {0.5, 0.25};
  const std::vector<double> table = {10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0};
  const RelativeBias none({}, {}, 2);
  EXPECT_FALSE(none.present());
  const RelativeBias alibi({slopes, false}, {}, 2);
  EXPECT_TRUE(alibi.present());
  EXPECT_EQ(alibi.At(0, -4), -2.0);
  EXPECT_EQ(alibi.At(1, 4), 1.0);
  const RelativeBias symmetric({slopes, true}, {}, 2);
  EXPECT_EQ(symmetric.At(0, -4), -2.0);
  EXPECT_EQ(symmetric.At(1, 4), -1.0);
  const RelativeBias both({slopes, false}, Bias(table, 4, 5, true), 2);
  EXPECT_EQ(both.At(0, 0), 10.0);
  EXPECT_EQ(both.At(1, -1), 40.0 - 0.25);
  EXPECT_EQ(both.At(0, 2), 70.0 + 1.0);
}

}  // namespace
}  // namespace attention::kernels
