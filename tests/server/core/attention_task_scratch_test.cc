// The memory that the kernels need for a task, beside request and answer.

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

// Of one sequence or of the whole task on so many threads.
int64_t PackedBytes(const AttentionTask& task, int64_t index, int thread_count) {
  return static_cast<int64_t>(
      kernels::EstimatePackedBytes(ProblemOf(task, index), task.options, {}, thread_count));
}

TEST(AttentionTaskScratchTest, CountsTheWidenedParametersOfAScoreAsScratch) {
  const std::vector<uint16_t> numbers(3 * 100);
  for (const DataType type : {DataType::kBF16, DataType::kF64}) {
    AttentionTask task = Sizes(type, 1, 1, 2, 2);
    task.options.score = kernels::ScoreKind::kAdditive;
    const int64_t without = ScratchBytes(task, 1);
    kernels::AttentionProblem& problem = task.problem;
    problem.score_first_weight = kernels::DenseView(numbers.data(), type, {1, 1, 3, 100});
    problem.score_second_weight = problem.score_first_weight;
    problem.score_vector = kernels::DenseView(numbers.data(), type, {1, 1, 1, 100});
    EXPECT_EQ(ScratchBytes(task, 1) - without, (3 + 3 + 1) * 100 * 8);
  }
}

TEST(AttentionTaskScratchTest, CountsPackedCopiesOfAsManySequencesAsThereAreThreads) {
  AttentionTask task = Sizes(DataType::kF32, 1, 1, 29, 29);
  task.ragged = RaggedRows{{0, 9, 19, 29}, {0, 9, 19, 29}};
  const auto packed = [&](int64_t sequence) { return PackedBytes(task, sequence, 1); };
  const int64_t list_bytes = 3 * 16;
  EXPECT_EQ(ScratchBytes(task, 1), list_bytes + packed(2));  // the largest
  EXPECT_EQ(ScratchBytes(task, 2), list_bytes + packed(2) + packed(1));
  EXPECT_EQ(ScratchBytes(task, 3), list_bytes + packed(2) + packed(1) + packed(0));
  EXPECT_EQ(ScratchBytes(task, 100), ScratchBytes(task, 3));
}

TEST(AttentionTaskScratchTest, CountsPackedCopiesOfAllHeadsOfASequenceThatThreadsShare) {
  const AttentionTask task = RaggedSizes(DataType::kF32);
  const int64_t list_bytes = 3 * 16;
  EXPECT_EQ(ScratchBytes(task, 1), list_bytes + PackedBytes(task, 2, 1));
  EXPECT_EQ(ScratchBytes(task, 2), list_bytes + 7 * PackedBytes(task, 2, 1));
}

// Each thread packs one head at a time where there are many; few heads are packed first.
TEST(AttentionTaskScratchTest, CountsPackedCopiesOfTheHeadsThatThreadsPackAtOnce) {
  const AttentionTask padded = Sizes(DataType::kF32, 3, 7, 9, 9);
  const int64_t head_bytes = ScratchBytes(padded, 1);
  EXPECT_EQ(ScratchBytes(padded, 5), 5 * head_bytes);
  EXPECT_EQ(ScratchBytes(padded, 6), 3 * 7 * head_bytes);
  EXPECT_EQ(ScratchBytes(padded, 100), 3 * 7 * head_bytes);
  // Long heads would keep the last thread from ending with the others.
  const AttentionTask large = Sizes(DataType::kF32, 3, 7, 1 << 16, 1 << 16);
  EXPECT_EQ(ScratchBytes(large, 5), 3 * 7 * ScratchBytes(large, 1));
}

// The largest batch of the shortest sequences, with a default server's limit far away.
TEST(AttentionTaskScratchTest, CountsLittleForManyShortSequences) {
  for (const int64_t length : {1, 9}) {
    AttentionTask task = Sizes(DataType::kF32, 65'536, 1, length, length);
    for (HeadsSource* source : {&task.query, &task.key, &task.value}) source->view.extents[3] = 64;
    EXPECT_LT(ScratchBytes(task, 64), int64_t{64} << 20) << length;
  }
}

TEST(AttentionTaskScratchTest, CountsThePaddingOfPackedKeysAndValues) {
  AttentionTask task = Sizes(DataType::kF16, 1, 1024, 9, 1);
  task.key.view.extents[3] = task.query.view.extents[3] = task.value.view.extents[3] = 1;
  // At least 32 keys, the least the kernels pad to, with 1 column of keys and 16 of values, in f32.
  EXPECT_GE(ScratchBytes(task, 300), int64_t{1024} * 32 * 17 * 4);
  // Partial results have their 16 columns even where there is no key.
  task = Sizes(DataType::kF16, 1024, 1024, 1, 0);
  EXPECT_GE(ScratchBytes(task, 1), int64_t{1024} * 1024 * 18 * 4);
  // Where tensors are large, padding does not matter.
  task = Sizes(DataType::kF32, 1, 8, 1 << 16, 1 << 16);
  task.key.view.extents[3] = task.query.view.extents[3] = task.value.view.extents[3] = 128;
  constexpr int64_t kOperandBytes = int64_t{8} * (1 << 16) * (128 + 128) * 4;
  EXPECT_GE(ScratchBytes(task, 8), kOperandBytes);
  EXPECT_LE(ScratchBytes(task, 8), kOperandBytes * 5 / 4);
}

// They are packed panel by panel, in the threads' working sets.
TEST(AttentionTaskScratchTest, CountsNoCopiesOfWeights) {
  AttentionTask task = Sizes(DataType::kF32, 1, 1, 2, 2);
  task.output_projection = {5, 640, nullptr, nullptr};
  const int64_t bytes = ScratchBytes(task, 1);
  task.output_projection->output_width = 1 << 30;
  EXPECT_EQ(ScratchBytes(task, 1), bytes);
}

TEST(AttentionTaskScratchTest, CountsTheMemoryOfBiasesAndOfKeyMass) {
  AttentionTask task = Sizes(DataType::kF32, 2, 3, 5, 7);
  const int64_t plain_bytes = ScratchBytes(task, 1);
  task.statistics.key_mass = true;
  EXPECT_GE(ScratchBytes(task, 1) - plain_bytes, 2 * 3 * 7 * 8);  // sums of 8 bytes
  task.statistics.key_mass = false;
  const double slopes[] = {1, 2, 3};
  task.problem.alibi.slopes = slopes;
  // A bias of each head for every distance between 5 queries and 7 keys.
  EXPECT_GE(ScratchBytes(task, 1) - plain_bytes, 3 * (5 + 7 - 1) * 4);
}

}  // namespace
}  // namespace attention::server
