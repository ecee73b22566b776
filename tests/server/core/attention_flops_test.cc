#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "server/core/attention_task.h"
#include "tests/server/core/task_fixture.h"

namespace attention::server {
namespace {

using kernels::DataType;
using test::RaggedSizes;
using test::Sizes;

TEST(AttentionFlopsTest, CountsTheOperationsOfEachSequenceAlone) {
  EXPECT_DOUBLE_EQ(TaskFlops(RaggedSizes(DataType::kF32)),
                   2.0 * 7 * (2 * 1 + 0 * 3 + 9 * 9) * (3 + 5));
}

TEST(AttentionFlopsTest, CountsThatEachSequenceReadsATableOfBiasesAnew) {
  AttentionTask task = RaggedSizes(DataType::kF32);
  const double without = TaskFlops(task);
  const std::vector<double> table(7 * 8);
  task.problem.bucketed_bias = {.table = table, .bucket_count = 8};
  EXPECT_EQ(TaskFlops(task), without + 3 * 7 * 8 * 32);
}

TEST(AttentionFlopsTest, CountsThatEachSequenceWidensTheParametersOfAScoreAnew) {
  AttentionTask task = RaggedSizes(DataType::kBF16);
  task.options.score = kernels::ScoreKind::kGeneral;
  const double without = TaskFlops(task);
  const std::vector<uint16_t> weight(3 * 3);
  task.problem.score_first_weight = kernels::DenseView(weight.data(), task.type, {1, 1, 3, 3});
  EXPECT_EQ(TaskFlops(task), without + 3 * 3 * 3 * 32);
}

TEST(AttentionFlopsTest, CountsTheValuesThatRowsWithoutKeysTakeTheMeanOf) {
  AttentionTask task = Sizes(DataType::kF32, 2, 7, 11, 13);
  const double all = TaskFlops(task);
  task.options.fully_masked = kernels::FullyMasked::kUniform;
  EXPECT_DOUBLE_EQ(TaskFlops(task), all);  // none are hidden
  task.problem.causal = true;
  task.problem.query_offset = -100;
  EXPECT_DOUBLE_EQ(TaskFlops(task), 2.0 * 2 * 7 * 11 * 13 * 5);
  task.options.fully_masked = kernels::FullyMasked::kNan;
  EXPECT_EQ(TaskFlops(task), 0);
}

}  // namespace
}  // namespace attention::server
