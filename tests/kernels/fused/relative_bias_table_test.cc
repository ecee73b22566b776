#include "kernels/fused/relative_bias_table.h"

#include <limits>
#include <span>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/relative_bias.h"
#include "kernels/visibility.h"

namespace attention::kernels {
namespace {

constexpr int64_t kQueries = 5;
constexpr int64_t kKeys = 9;

TEST(RelativeBiasTableTest, HoldsTheBiasOfEveryPairWhateverTheOffsets) {
  constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  const std::vector<double> slopes = {0.5, -0.125};
  std::vector<double> table;
  for (int i = 0; i < 8 * 2; ++i) table.push_back(0.25 * i);
  for (const auto& offsets : std::vector<std::vector<int64_t>>{
           {0, 0, 0}, {3, -2, 8}, {1000, 0, 1003}, {kMost, 5, kLeast}, {14, 0, 28}}) {
    for (const bool symmetric : {false, true}) {
      AttentionProblem problem;
      problem.query.extents = {3, 2, kQueries, 1};
      problem.key.extents = {3, 1, kKeys, 1};
      problem.query_offsets = offsets;
      problem.alibi = {.slopes = slopes, .symmetric = symmetric};
      problem.bucketed_bias = {
          .table = table, .bucket_count = 8, .maximum_distance = 20, .bidirectional = symmetric};
      RelativeBiasTable biases;
      biases.Begin(problem);
      ASSERT_TRUE(biases.present());
      const RelativeBias want(problem.alibi, problem.bucketed_bias, 2);
      for (int64_t batch = 0; batch < 3; ++batch) {
        for (int64_t head = 0; head < 2; ++head) {
          for (int64_t query = 0; query < kQueries; ++query) {
            for (int64_t key = 0; key < kKeys; ++key) {
              const int64_t distance =
                  SaturatingSubtract(key, QueryPosition(problem, batch, query));
              ASSERT_FLOAT_EQ(biases.Row(batch, head, query, key)[0],
                              static_cast<float>(want.At(head, distance)))
                  << batch << " " << head << " " << query << " " << key;
            }
          }
        }
      }
    }
  }
}

// Where f64 has no room for all distances, either.
TEST(RelativeBiasTableTest, FarBiasesDoNotDependOnTheNeighboursInABatch) {
  constexpr int64_t kManyKeys = 256;
  constexpr int64_t kOffset = (int64_t{1} << 60) + (int64_t{1} << 36) + 127;
  const std::vector<double> slopes = {1.0};
  const std::vector<int64_t> offsets = {kOffset, kOffset + 2};
  AttentionProblem alone;
  alone.query.extents = {1, 1, 1, 1};
  alone.key.extents = {1, 1, kManyKeys, 1};
  alone.alibi.slopes = slopes;
  alone.query_offsets = std::span(offsets).first(1);
  AttentionProblem beside = alone;
  beside.query.extents[0] = beside.key.extents[0] = 2;
  beside.query_offsets = offsets;
  RelativeBiasTable want;
  want.Begin(alone);
  RelativeBiasTable got;
  got.Begin(beside);
  for (int64_t key = 0; key < kManyKeys; ++key) {
    ASSERT_EQ(got.Row(0, 0, 0, key)[0], want.Row(0, 0, 0, key)[0]) << key;
  }
}

TEST(RelativeBiasTableTest, IsAbsentWithoutABias) {
  AttentionProblem problem;
  problem.query.extents = {1, 2, kQueries, 1};
  problem.key.extents = {1, 1, kKeys, 1};
  RelativeBiasTable biases;
  biases.Begin(problem);
  EXPECT_FALSE(biases.present());
  EXPECT_EQ(RelativeBiasTable::MaxBytes(problem), 0);
}

}  // namespace
}  // namespace attention::kernels
