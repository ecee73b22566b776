// Whatever the problem and the threads, tiles and blocks cover it, and the parts fit each other.

#include "kernels/fused/tile_plan.h"

#include <algorithm>
#include <set>

#include "gtest/gtest.h"

namespace attention::kernels {
namespace {

const Products* const kProducts[] = {&kF32Products, &kBF16Products, &kBF16X3Products,
                                     &kBF16X6Products};

AttentionProblem Problem(int64_t query_count, int64_t key_count) {
  AttentionProblem problem;
  problem.query = {nullptr, DataType::kF32, {2, 4, query_count, 33}, {}};
  problem.key = {nullptr, DataType::kF32, {2, 2, key_count, 33}, {}};
  problem.value = {nullptr, DataType::kF32, {2, 2, key_count, 40}, {}};
  return problem;
}

TEST(TilePlanTest, TilesAndBlocksCoverTheProblem) {
  for (const Products* products : kProducts) {
    for (const int64_t query_count : {1, 7, 32, 33, 64, 65, 129, 1000}) {
      for (const int64_t key_count : {0, 1, 15, 17, 64, 65, 200, 511, 513, 3000}) {
        for (const int thread_count : {1, 2, 64}) {
          for (const bool causal : {false, true}) {
            AttentionProblem problem = Problem(query_count, key_count);
            problem.causal = causal;
            const TilePlan plan = PlanTiles(problem, *products, thread_count);
            EXPECT_EQ(plan.group_row_count, 2 * query_count);
            EXPECT_EQ(plan.tile_rows % kRowStep, 0);
            EXPECT_GE(plan.tile_rows * plan.tile_count, plan.group_row_count);
            EXPECT_LT(plan.tile_rows * (plan.tile_count - 1), plan.group_row_count);
            EXPECT_GE(plan.key_columns * plan.key_block_count, key_count);
            EXPECT_LT(plan.key_columns * (plan.key_block_count - 1),
                      std::max<int64_t>(key_count, 1));
            EXPECT_EQ(plan.key_columns % plan.column_multiple, 0);
            EXPECT_EQ(plan.strip_columns % plan.column_multiple, 0);
            EXPECT_EQ(plan.key_block_count > 1 ? plan.key_columns % plan.strip_columns : 0, 0);
            EXPECT_GE(plan.key_stride, plan.key_columns);
            EXPECT_GE(plan.score_stride, plan.key_columns);
            EXPECT_GE(plan.weight_stride, plan.key_columns);
          }
        }
      }
    }
  }
}

TEST(TilePlanTest, FewHeadsGiveManyThreadsLowerTilesOfTheSameColumns) {
  const AttentionProblem problem = Problem(/*query_count=*/1000, /*key_count=*/1000);
  const TilePlan alone = PlanTiles(problem, kF32Products, 1);
  const TilePlan together = PlanTiles(problem, kF32Products, 64);
  EXPECT_LT(together.tile_rows, alone.tile_rows);
  EXPECT_EQ(together.key_columns, alone.key_columns);
  EXPECT_EQ(together.strip_columns, alone.strip_columns);
}

TEST(TilePlanTest, MostLengthsShareTheirStrides) {
  std::set<int64_t> strides;
  for (int64_t key_count = 1; key_count <= 5000; ++key_count) {
    strides.insert(PlanTiles(Problem(100, key_count), kF32Products, 1).score_stride);
  }
  EXPECT_LE(strides.size(), 6u);
}

}  // namespace
}  // namespace attention::kernels
