#include "server/core/attention_task.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "tests/server/core/task_fixture.h"

namespace attention::server {
namespace {

using kernels::DataType;
using kernels::Extents;
using test::ProjectedTask;
using test::RaggedSizes;
using test::ReadyTask;
using test::Sizes;

constexpr int64_t kLargest = std::numeric_limits<int64_t>::max();

TEST(AttentionTaskTest, CountsTheBytesOfTheAnswer) {
  AttentionTask task = Sizes(DataType::kF32, 2, 7, 11, 13);
  EXPECT_EQ(ResultBytes(task), 2 * 7 * 11 * 5 * 4);
  task.return_weights = true;
  EXPECT_EQ(ResultBytes(task), 2 * 7 * 11 * (5 + 13) * 4);
  task.options.scores = kernels::ScoresOutput::kMasked;
  EXPECT_EQ(ResultBytes(task), 2 * 7 * 11 * (5 + 13 + 13) * 4);
  task.output_projection = {35, 100, nullptr, nullptr};
  EXPECT_EQ(ResultBytes(task), 2 * 11 * (100 + 7 * 13 + 7 * 13) * 4);
  task.type = DataType::kBF16;
  EXPECT_EQ(ResultBytes(task), 2 * 11 * (100 + 7 * 13 + 7 * 13) * 2);
}

// As they are sent, and held while they are converted.
TEST(AttentionTaskTest, CountsTheBytesOfAnAnswerInFloats) {
  constexpr int64_t kElements = 2 * 7 * 11 * 5;
  const std::vector<std::pair<DataType, int64_t>> held_bytes = {
      {DataType::kF32, 4}, {DataType::kBF16, 2 + 4}, {DataType::kF64, 8 + 4}};
  for (const auto& [type, held] : held_bytes) {
    AttentionTask task = Sizes(type, 2, 7, 11, 13);
    EXPECT_EQ(SentBytes(task), ResultBytes(task));
    task.sends_floats = true;
    EXPECT_EQ(SentBytes(task), kElements * 4);
    EXPECT_EQ(ResultBytes(task), kElements * held);
  }
}

TEST(AttentionTaskTest, CountsTheBytesOfStatistics) {
  const std::vector<std::pair<Statistics, int64_t>> counts = {
      {{.log_sum_exp = true}, 11},
      {{.entropy = true}, 11},
      {{.maximum_weight = true}, 11},
      {{.key_mass = true}, 13},
      {{.top_weight_count = 4}, 2 * 11 * 4}};
  for (const auto& [statistics, count] : counts) {
    AttentionTask task = Sizes(DataType::kBF16, 2, 7, 11, 13);
    const int64_t output_bytes = ResultBytes(task);
    task.statistics = statistics;
    EXPECT_EQ(ResultBytes(task) - output_bytes, 2 * 7 * count * 4);
  }
  AttentionTask task = Sizes(DataType::kF64, 2, 7, 11, 13);
  const int64_t output_bytes = ResultBytes(task);
  task.statistics = {.entropy = true, .top_weight_count = 4};
  EXPECT_EQ(ResultBytes(task) - output_bytes, 2 * 7 * 11 * (8 + 4 * (8 + 4)));
}

TEST(AttentionTaskTest, SaturatesWhereTheProtocolsLargestExtentsOverflow) {
  AttentionTask task = Sizes(DataType::kF64, 65'536, 1024, 1 << 20, 1 << 20);
  task.return_weights = true;
  EXPECT_EQ(ResultBytes(task), kLargest);
  task.options.scores = kernels::ScoresOutput::kRaw;
  EXPECT_EQ(ResultBytes(task), kLargest);
  task.query.projection = {65'536, 65'536, nullptr, nullptr};
  task.query.view.extents[3] = 65'536;
  EXPECT_EQ(ScratchBytes(task, 1), kLargest);
  // Beyond any int64_t, but a number.
  EXPECT_GT(TaskFlops(task), 1e20);
  EXPECT_LT(TaskFlops(task), 1e40);
}

TEST(AttentionTaskTest, LetsAnEmptyExtentWinOverAnOverflow) {
  AttentionTask task = Sizes(DataType::kF64, 0, kLargest, kLargest, kLargest);
  EXPECT_EQ(ResultBytes(task), 0);
  task = Sizes(DataType::kF64, kLargest, kLargest, 0, kLargest);
  EXPECT_EQ(ResultBytes(task), 0);
}

TEST(AttentionTaskTest, CountsProjectedHeadsOncePerMap) {
  ProjectedTask<double> projected;  // F64: nothing is packed
  constexpr int64_t kHeadsBytes = 2 * 2 * 8;
  EXPECT_EQ(ScratchBytes(projected.task, 1), 3 * kHeadsBytes);
  projected.AddOutputProjection();
  EXPECT_EQ(ScratchBytes(projected.task, 1), 4 * kHeadsBytes);
  projected.task.value.projection = projected.task.key.projection;
  EXPECT_EQ(ScratchBytes(projected.task, 1), 3 * kHeadsBytes);
  projected.task.key.projection = projected.task.query.projection;
  EXPECT_EQ(ScratchBytes(projected.task, 1), 3 * kHeadsBytes);
  projected.task.value.projection = projected.task.query.projection;
  EXPECT_EQ(ScratchBytes(projected.task, 1), 2 * kHeadsBytes);
  EXPECT_EQ(ScratchBytes(ReadyTask<double>().task, 1), 0);
}

TEST(AttentionTaskTest, CountsJoinedKeysAndValuesOnceAsScratchOrAsAnswer) {
  AttentionTask task = Sizes(DataType::kF64, 2, 7, 11, 13);  // F64: nothing is packed
  const int64_t output_bytes = ResultBytes(task);
  task.key.joined = task.value.joined = JoinedRows{};
  constexpr int64_t kJoinedBytes = 2 * 7 * 13 * (3 + 5) * 8;
  EXPECT_EQ(ResultBytes(task), output_bytes);
  EXPECT_EQ(ScratchBytes(task, 1), kJoinedBytes);
  task.return_present = true;
  EXPECT_EQ(ResultBytes(task), output_bytes + kJoinedBytes);
  EXPECT_EQ(ScratchBytes(task, 1), 0);
}

TEST(AttentionTaskTest, IsAsManyProblemsAsTheBatchHasSequences) {
  EXPECT_EQ(ProblemCount(Sizes(DataType::kF32, 5, 7, 11, 13)), 1);
  const AttentionTask task = RaggedSizes(DataType::kF32);
  ASSERT_EQ(ProblemCount(task), 3);
  EXPECT_EQ(ProblemOf(task).query.extents, (Extents{1, 7, 11, 3}));
  EXPECT_EQ(ProblemOf(task, 2).query.extents, (Extents{1, 7, 9, 3}));
  EXPECT_EQ(ProblemOf(task, 1).value.extents, (Extents{1, 7, 3, 5}));
}

TEST(AttentionTaskTest, CountsStatisticsOfARaggedBatchTwiceUntilTheyAreArranged) {
  AttentionTask task = RaggedSizes(DataType::kF16);
  const int64_t scratch_bytes = ScratchBytes(task, 1);
  const int64_t result_bytes = ResultBytes(task);
  task.statistics.log_sum_exp = true;
  task.statistics.key_mass = true;
  task.statistics.top_weight_count = 2;
  constexpr int64_t kStatisticsBytes = 7 * (11 * 4 + 13 * 4 + 11 * 2 * (4 + 4));
  constexpr int64_t kMassSumBytes = 7 * 9 * 8;  // while the sequence of 9 keys is computed
  EXPECT_EQ(ScratchBytes(task, 1), scratch_bytes + kStatisticsBytes + kMassSumBytes);
  EXPECT_EQ(ResultBytes(task), result_bytes + kStatisticsBytes);
}

TEST(AttentionTaskTest, CountsTheOperationsOfProjectionsAndAttention) {
  ProjectedTask<float> projected;
  const double attention = 2.0 * 2 * (2 * 2) * (1 + 1);  // heads, pairs, widths
  const double map = 2.0 * 2 * 1 * 2;                    // rows, in, out
  EXPECT_DOUBLE_EQ(TaskFlops(projected.task), attention + 3 * map);
  projected.AddOutputProjection();
  EXPECT_DOUBLE_EQ(TaskFlops(projected.task), attention + 3 * map + 2.0 * 2 * 2 * 3);
  projected.task.value.projection = projected.task.key.projection;
  EXPECT_DOUBLE_EQ(TaskFlops(projected.task), attention + 2 * map + 2.0 * 2 * 2 * 3);
}

TEST(AttentionTaskTest, CountsOnlyWhatLengthsAndCausalityLeaveVisible) {
  AttentionTask task = Sizes(DataType::kF32, 2, 1, 4, 6);
  const std::vector<int64_t> key_lengths = {6, 0};
  task.problem.key_lengths = key_lengths;
  EXPECT_DOUBLE_EQ(TaskFlops(task), 2.0 * 4 * 6 * (3 + 5));
  task.problem.causal = true;
  EXPECT_DOUBLE_EQ(TaskFlops(task), 2.0 * (1 + 2 + 3 + 4) * (3 + 5));
}

TEST(AttentionTaskTest, CountsScoresTwiceWhereTheirWeightsAreLookedAtAfterwards) {
  AttentionTask task = Sizes(DataType::kF32, 1, 1, 4, 6);
  const double once = TaskFlops(task);
  task.statistics.log_sum_exp = true;
  EXPECT_DOUBLE_EQ(TaskFlops(task), once);
  const std::vector<std::function<void(AttentionTask&)>> lookers = {
      [](AttentionTask& t) { t.return_weights = true; },
      [](AttentionTask& t) { t.options.scores = kernels::ScoresOutput::kRaw; },
      [](AttentionTask& t) { t.statistics.entropy = true; },
      [](AttentionTask& t) { t.statistics.maximum_weight = true; },
      [](AttentionTask& t) { t.statistics.key_mass = true; },
      [](AttentionTask& t) { t.statistics.top_weight_count = 1; }};
  for (const auto& look : lookers) {
    AttentionTask looked_at = task;
    look(looked_at);
    EXPECT_DOUBLE_EQ(TaskFlops(looked_at), once + 2.0 * 4 * 6 * 3);
  }
}

TEST(AttentionTaskTest, CountsTheParametersOfOtherScores) {
  AttentionTask task = Sizes(DataType::kF32, 1, 1, 4, 6);
  const double dot_product = TaskFlops(task);
  task.options.score = kernels::ScoreKind::kGeneral;
  EXPECT_DOUBLE_EQ(TaskFlops(task), dot_product + 2.0 * 4 * 3 * 3);
  task.options.score = kernels::ScoreKind::kAdditive;
  task.problem.score_vector.extents = {1, 1, 1, 1000};
  EXPECT_DOUBLE_EQ(TaskFlops(task), dot_product + 1000.0 * (2 * (4 * 3 + 6 * 3) + 4 * 4 * 6));
}

TEST(AttentionTaskTest, ViewsReadyOperandsAndLeavesProjectedOnesWithoutMemory) {
  ReadyTask<float> ready;
  const std::vector<int64_t> key_lengths = {2};
  ready.task.problem.key_lengths = key_lengths;
  const kernels::AttentionProblem problem = ProblemOf(ready.task);
  EXPECT_EQ(problem.query.data, ready.task.query.view.data);
  EXPECT_EQ(problem.value.strides, ready.task.value.view.strides);
  EXPECT_EQ(problem.key_lengths.data(), key_lengths.data());
  ProjectedTask<float> projected;
  projected.task.query.view.data = &projected;  // not to be used
  EXPECT_EQ(ProblemOf(projected.task).query.data, nullptr);
  EXPECT_EQ(ProblemOf(projected.task).query.extents, (Extents{1, 2, 2, 1}));
}

TEST(AttentionTaskTest, AcceptsWhatFitsTogether) {
  ProjectedTask<float> projected;
  EXPECT_TRUE(Validate(projected.task).ok());
  projected.AddOutputProjection();
  EXPECT_TRUE(Validate(projected.task).ok());
  projected.task.return_weights = true;
  projected.task.options.scores = kernels::ScoresOutput::kMasked;
  EXPECT_TRUE(Validate(projected.task).ok());
  EXPECT_TRUE(Validate(ReadyTask<double>().task).ok());
}

TEST(AttentionTaskTest, RefusesWhatDoesNotFitTogether) {
  const std::vector<std::pair<std::function<void(AttentionTask&)>, std::string>> cases = {
      {[](AttentionTask& task) { task.query.projection->output_width = 3; },
       "query.projection.output_width: got 3, want 2 = heads * width"},
      {[](AttentionTask& task) { task.key.projection->input_width = 0; },
       "key.projection.input_width: got 0, want 1 or more"},
      {[](AttentionTask& task) { task.key.projection->output_width = -1; },
       "key.projection.output_width: got -1, want 1 or more"},
      {[](AttentionTask& task) { task.value.projection->weight = nullptr; },
       "value.projection.weight: got null"},
      {[](AttentionTask& task) { task.value.embeddings = nullptr; }, "value.embeddings: got null"},
      {[](AttentionTask& task) { task.output_projection->input_width = 4; },
       "output_projection.input_width: got 4, want 2 = heads * value width"},
      {[](AttentionTask& task) { task.output_layout = OutputLayout::kHeadsFirst; },
       "output_layout: got heads first, want sequence first to project"},
      {[](AttentionTask& task) {
         static constexpr int64_t kTooLong[] = {3};
         task.problem.key_lengths = kTooLong;
       },
       "key_lengths[0]"},
      {[](AttentionTask& task) { task.value.view.extents[2] = 5; }, "value.extents[2]"},
      {[](AttentionTask& task) { task.type = DataType::kBool; }, "query.type"},
      {[](AttentionTask& task) { task.options.scale = std::nan(""); }, "scale"},
      {[](AttentionTask& task) { task.statistics.top_weight_count = 257; }, "top_weights.count"},
      {[](AttentionTask& task) { task.statistics.top_weight_count = -1; },
       "top_weights.extents[3]: got -1, want 0 or more"},
      {[](AttentionTask& task) { task.key.view.extents[2] = -1; },
       "key.extents[2]: got -1, want 0 or more"},
      {[](AttentionTask& task) { task.query.view.extents = {0, int64_t{1} << 62, 8, 1}; },
       "query.extents: got [0, 4611686018427387904, 8, 1], want fewer than 2^63 bytes"},
      {[](AttentionTask& task) {
         task.query.view.extents[2] = int64_t{1} << 31;
         task.key.view.extents[2] = task.value.view.extents[2] = int64_t{1} << 31;
       },
       "weights.extents: got [1, 2, 2147483648, 2147483648]"},
      {[](AttentionTask& task) {
         task.query.view.extents[2] = task.key.view.extents[2] = task.value.view.extents[2] =
             int64_t{1} << 62;
       },
       "extents"},
  };
  for (const auto& [break_it, message] : cases) {
    ProjectedTask<float> projected;
    projected.AddOutputProjection();
    break_it(projected.task);
    const absl::Status status = Validate(projected.task);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << message;
    EXPECT_NE(status.message().find(message), absl::string_view::npos) << status;
  }
}

TEST(AttentionTaskTest, RefusesRowsThatCannotBeJoined) {
  const std::vector<std::pair<std::function<void(AttentionTask&)>, std::string>> cases = {
      {[](AttentionTask& task) { task.key.joined->past.extents[0] = 2; },
       "key.past.extents[0]: got 2, want 1 as key"},
      {[](AttentionTask& task) { task.value.joined->added.extents[1] = 3; },
       "value.added.extents[1]: got 3, want 1 as value"},
      {[](AttentionTask& task) { task.value.joined->past.extents[3] = 2; },
       "value.past.extents[3]: got 2, want 1 as value"},
      {[](AttentionTask& task) { task.key.joined->added.extents[2] = 2; },
       "key.extents[2]: got 2, want 3 = past and added rows"},
      {[](AttentionTask& task) { task.key.joined->added.extents[2] = -1; },
       "key.added.extents[2]: got -1, want 0 or more"},
      {[](AttentionTask& task) { task.key.joined->past.type = DataType::kF64; },
       "key.past.type: got another, want the task's"},
      {[](AttentionTask& task) { task.key.joined->past.data = nullptr; }, "key.past: got null"},
      {[](AttentionTask& task) { task.key.projection = LinearMap{}; },
       "key.joined: got rows, want no projection"},
      {[](AttentionTask& task) {
         task.return_present = true;
         task.value.joined.reset();
         task.value.view.data = &task;
       },
       "return_present: got true, want joined keys and values"},
      {[](AttentionTask& task) { task.ragged = RaggedRows{{0, 1}, {0, 1}}; },
       "key_starts[1]: got 1, want 2, the number of rows"},
  };
  for (const auto& [break_it, message] : cases) {
    ReadyTask<float> ready;
    ready.Join(1);
    ASSERT_TRUE(Validate(ready.task).ok()) << Validate(ready.task);
    break_it(ready.task);
    const absl::Status status = Validate(ready.task);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << message;
    EXPECT_NE(status.message().find(message), absl::string_view::npos) << status;
  }
}

}  // namespace
}  // namespace attention::server
