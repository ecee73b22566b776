#include "server/core/task_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <new>
#include <vector>

#include "kernels/implementation.h"
#include "tests/server/core/task_fixture.h"
#include "tests/support/thread_executor.h"

namespace attention::server {
namespace {

using test::ProjectedTask;
using test::ReadyTask;
using test::ValuesOf;
using testing::Each;
using testing::ElementsAre;
using testing::Pointwise;

// One test for F32, through the fused kernels, and one for F64, through the unfused.
template <class T>
class TaskRunnerTest : public testing::Test {
 protected:
  // Both tasks are exact but for a few roundings of numbers up to 11.
  static constexpr double kTolerance = sizeof(T) == 8 ? 1e-13 : 1e-5;

  static auto Near(std::vector<double> expected) {
    std::vector<testing::Matcher<T>> matchers;
    for (const double value : expected) {
      matchers.push_back(testing::Truly(
          [value](T got) { return std::abs(static_cast<double>(got) - value) <= kTolerance; }));
    }
    return testing::ElementsAreArray(matchers);
  }
};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(TaskRunnerTest, Types);

TYPED_TEST(TaskRunnerTest, AttendsToReadyOperands) {
  ReadyTask<TypeParam> ready;
  ready.task.return_weights = true;
  ready.task.options.scores = kernels::ScoresOutput::kRaw;
  ASSERT_TRUE(Validate(ready.task).ok());
  const auto result = RunTask(ready.task, {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(ValuesOf<TypeParam>(result->output), this->Near({3}));
  EXPECT_THAT(ValuesOf<TypeParam>(result->weights), this->Near({0.25, 0.75}));
  EXPECT_THAT(ValuesOf<TypeParam>(result->scores), this->Near({0, 1.0986122886681098}));
  EXPECT_EQ(result->report.precision, sizeof(TypeParam) == 8 ? "f64" : "f32");
  EXPECT_FALSE(result->report.implementation.empty());
  EXPECT_EQ(result->report.thread_count, 1);
}

// Of the weights 1/4 and 3/4, for both of two queries.
TYPED_TEST(TaskRunnerTest, ReturnsEveryStatistic) {
  ReadyTask<TypeParam> ready(2);
  ready.task.statistics = {.log_sum_exp = true,
                           .entropy = true,
                           .maximum_weight = true,
                           .key_mass = true,
                           .top_weight_count = 3};
  ASSERT_TRUE(Validate(ready.task).ok()) << Validate(ready.task);
  const auto result = RunTask(ready.task, {});
  ASSERT_TRUE(result.ok()) << result.status();
  const double entropy = -0.25 * std::log(0.25) - 0.75 * std::log(0.75);
  EXPECT_THAT(ValuesOf<TypeParam>(result->log_sum_exp), this->Near({std::log(4), std::log(4)}));
  EXPECT_THAT(ValuesOf<TypeParam>(result->entropy), this->Near({entropy, entropy}));
  EXPECT_THAT(ValuesOf<TypeParam>(result->maximum_weight), this->Near({0.75, 0.75}));
  EXPECT_THAT(ValuesOf<TypeParam>(result->key_mass), this->Near({0.5, 1.5}));
  EXPECT_THAT(ValuesOf<TypeParam>(result->top_weights), this->Near({0.75, 0.25, 0, 0.75, 0.25, 0}));
  EXPECT_THAT(ValuesOf<int32_t>(result->top_keys), ElementsAre(1, 0, -1, 1, 0, -1));
}

TYPED_TEST(TaskRunnerTest, ReturnsStatisticsOfNoQueriesAndOfNoKeys) {
  for (const bool no_queries : {true, false}) {
    ReadyTask<TypeParam> ready(2);
    for (HeadsSource* source : {&ready.task.query, &ready.task.key, &ready.task.value}) {
      if ((source == &ready.task.query) == no_queries) source->view.extents[2] = 0;
    }
    ready.task.statistics = {.log_sum_exp = true, .key_mass = true, .top_weight_count = 1};
    ASSERT_TRUE(Validate(ready.task).ok()) << Validate(ready.task);
    const auto result = RunTask(ready.task, {});
    ASSERT_TRUE(result.ok()) << result.status();
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    EXPECT_THAT(ValuesOf<TypeParam>(result->log_sum_exp),
                testing::ElementsAreArray(std::vector<TypeParam>(
                    no_queries ? 0 : 2, static_cast<TypeParam>(-kInfinity))));
    EXPECT_THAT(ValuesOf<TypeParam>(result->key_mass),
                this->Near(std::vector<double>(no_queries ? 2 : 0, 0.0)));
    EXPECT_THAT(ValuesOf<int32_t>(result->top_keys),
                testing::ElementsAreArray(std::vector<int32_t>(no_queries ? 0 : 2, -1)));
  }
}

TYPED_TEST(TaskRunnerTest, ReturnsWeightsAndScoresOnlyIfAsked) {
  const ReadyTask<TypeParam> ready;
  const auto result = RunTask(ready.task, {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->weights.byte_count(), 0u);
  EXPECT_EQ(result->scores.byte_count(), 0u);
  EXPECT_EQ(result->log_sum_exp.byte_count(), 0u);
  EXPECT_EQ(result->top_keys.byte_count(), 0u);
}

TYPED_TEST(TaskRunnerTest, AttendsToPastAndNewKeysAndReturnsThemTogether) {
  for (const int64_t past_count : {0, 1, 2}) {
    for (const bool present : {false, true}) {
      ReadyTask<TypeParam> ready;
      ready.Join(past_count);
      ready.task.return_present = present;
      ASSERT_TRUE(Validate(ready.task).ok()) << Validate(ready.task);
      const auto result = RunTask(ready.task, {});
      ASSERT_TRUE(result.ok()) << result.status();
      EXPECT_THAT(ValuesOf<TypeParam>(result->output), this->Near({3}));
      if (present) {
        EXPECT_THAT(ValuesOf<TypeParam>(result->present_key), this->Near({0, 1.0986122886681098}));
        EXPECT_THAT(ValuesOf<TypeParam>(result->present_value), ElementsAre(0, 4));
      } else {
        EXPECT_EQ(result->present_key.byte_count(), 0u);
        EXPECT_EQ(result->present_value.byte_count(), 0u);
      }
    }
  }
}

TYPED_TEST(TaskRunnerTest, ProjectsEmbeddingsAndKeepsTheHeadsSideBySide) {
  const ProjectedTask<TypeParam> projected;
  ASSERT_TRUE(Validate(projected.task).ok());
  const auto result = RunTask(projected.task, {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(ValuesOf<TypeParam>(result->output), this->Near({3, 1, 3, 1}));
}

TYPED_TEST(TaskRunnerTest, PutsTheHeadsFirstIfAsked) {
  ProjectedTask<TypeParam> projected;
  projected.task.output_layout = OutputLayout::kHeadsFirst;
  const auto result = RunTask(projected.task, {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(ValuesOf<TypeParam>(result->output), this->Near({3, 3, 1, 1}));
}

TYPED_TEST(TaskRunnerTest, ProjectsTheOutput) {
  ProjectedTask<TypeParam> projected;
  projected.AddOutputProjection();
  ASSERT_TRUE(Validate(projected.task).ok());
  const auto result = RunTask(projected.task, {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(ValuesOf<TypeParam>(result->output), this->Near({7, -2, 10.5, 7, -2, 10.5}));
}

// Keys and values by one map (and, in the second case, queries too) are the same numbers as by
// equal maps that lie elsewhere.
TYPED_TEST(TaskRunnerTest, SharesEqualProjectionsWithoutChangingTheAnswer) {
  ProjectedTask<TypeParam> shared;
  ProjectedTask<TypeParam> elsewhere;
  for (const bool query_too : {false, true}) {
    AttentionTask separate = shared.task;
    shared.task.value.projection = shared.task.key.projection;
    separate.value.projection = elsewhere.task.key.projection;
    if (query_too) {
      shared.task.query.projection = shared.task.key.projection;
      separate.query.projection = shared.task.key.projection;
      separate.key.projection = elsewhere.task.key.projection;
    }
    ASSERT_LT(ScratchBytes(shared.task, 1), ScratchBytes(separate, 1));
    const auto shared_result = RunTask(shared.task, {});
    const auto separate_result = RunTask(separate, {});
    ASSERT_TRUE(shared_result.ok()) << shared_result.status();
    ASSERT_TRUE(separate_result.ok()) << separate_result.status();
    EXPECT_EQ(ValuesOf<TypeParam>(shared_result->output),
              ValuesOf<TypeParam>(separate_result->output));
    EXPECT_THAT(ValuesOf<TypeParam>(shared_result->output), testing::Not(Each(0)));
  }
}

// Queries of one input and keys and values of another, as in cross attention.
TYPED_TEST(TaskRunnerTest, ProjectsAMemoryThatIsNotTheQueries) {
  for (const bool memory_of_query : {false, true}) {
    ProjectedTask<TypeParam> projected;
    const std::vector<TypeParam> elsewhere = {0, std::log(TypeParam{3}), 0, std::log(TypeParam{3})};
    HeadsSource& query = projected.task.query;
    if (memory_of_query) {
      query.embeddings = elsewhere.data();
      query.view.extents[2] = 4;
    } else {
      projected.task.key.embeddings = projected.task.value.embeddings = elsewhere.data();
    }
    const auto result = RunTask(projected.task, {});
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_THAT(ValuesOf<TypeParam>(result->output),
                memory_of_query ? this->Near({3, 1, 3, 1, 3, 1, 3, 1}) : this->Near({3, 1, 3, 1}));
  }
}

TYPED_TEST(TaskRunnerTest, AnswersEmptyQueriesWithEmptyArrays) {
  ProjectedTask<TypeParam> projected;
  projected.AddOutputProjection();
  projected.task.query.view.extents[2] = 0;
  projected.task.query.embeddings = nullptr;
  projected.task.return_weights = true;
  ASSERT_TRUE(Validate(projected.task).ok()) << Validate(projected.task);
  const auto result = RunTask(projected.task, {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output.byte_count(), 0u);
  EXPECT_EQ(result->weights.byte_count(), 0u);
}

TYPED_TEST(TaskRunnerTest, GivesZerosThroughTheOutputProjectionWhereThereAreNoKeys) {
  ProjectedTask<TypeParam> projected;
  projected.AddOutputProjection();
  for (HeadsSource* source : {&projected.task.key, &projected.task.value}) {
    source->view.extents[2] = 0;
    source->embeddings = nullptr;
  }
  projected.task.return_weights = true;
  ASSERT_TRUE(Validate(projected.task).ok()) << Validate(projected.task);
  const auto result = RunTask(projected.task, {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(ValuesOf<TypeParam>(result->output), this->Near({1, 0, 0.5, 1, 0, 0.5}));
  EXPECT_EQ(result->weights.byte_count(), 0u);
}

TYPED_TEST(TaskRunnerTest, UsesTheTasksKeyLengths) {
  ReadyTask<TypeParam> ready;
  const int64_t key_lengths[] = {1};  // only the key 0, whose value is 0
  ready.task.problem.key_lengths = key_lengths;
  const auto result = RunTask(ready.task, {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(ValuesOf<TypeParam>(result->output), this->Near({0}));
}

TYPED_TEST(TaskRunnerTest, GivesTheSameBitsOnSeveralThreadsAndCountsThem) {
  const ReadyTask<TypeParam> ready(3000);
  test::ThreadExecutor executor(3);
  const auto parallel = RunTask(ready.task, {.executor = &executor, .stop = nullptr});
  const auto serial = RunTask(ready.task, {});
  ASSERT_TRUE(parallel.ok() && serial.ok()) << parallel.status() << serial.status();
  EXPECT_EQ(ValuesOf<TypeParam>(parallel->output), ValuesOf<TypeParam>(serial->output));
  EXPECT_EQ(parallel->report.thread_count, 3);
  EXPECT_EQ(serial->report.thread_count, 1);
}

// Sequences with the keys 0 and ln 3, the key 0 alone, no key, and the key ln 3 alone.
TYPED_TEST(TaskRunnerTest, AttendsToEachSequenceOfARaggedBatch) {
  ReadyTask<TypeParam> ready(5);
  const std::vector<TypeParam> keys = {0, std::log(TypeParam{3}), 0, std::log(TypeParam{3})};
  const std::vector<TypeParam> values = {0, 4, 5, 7};
  ready.task.key.view = kernels::DenseView(keys.data(), ready.task.type, {1, 1, 4, 1});
  ready.task.value.view = kernels::DenseView(values.data(), ready.task.type, {1, 1, 4, 1});
  ready.task.ragged = RaggedRows{{0, 2, 3, 4, 5}, {0, 2, 3, 3, 4}};
  ASSERT_TRUE(Validate(ready.task).ok()) << Validate(ready.task);
  const auto result = RunTask(ready.task, {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(ValuesOf<TypeParam>(result->output), this->Near({3, 3, 5, 0, 7}));
}

// Two heads with one key-value head; a query over two keys, and two queries over one.
TYPED_TEST(TaskRunnerTest, ArrangesStatisticsOfARaggedBatchByHead) {
  const TypeParam log_3 = std::log(TypeParam{3});
  const std::vector<TypeParam> queries = {1, 0, 1, 0, 1, 0};  // head 0: 1, head 1: 0
  const std::vector<TypeParam> keys = {0, log_3, log_3};
  ReadyTask<TypeParam> ready;
  AttentionTask& task = ready.task;
  task.query.view = {queries.data(), task.type, {1, 2, 3, 1}, {6, 1, 2, 1}};
  task.key.view = kernels::DenseView(keys.data(), task.type, {1, 1, 3, 1});
  task.value.view = task.key.view;
  task.output_layout = OutputLayout::kSequenceFirst;
  task.ragged = RaggedRows{{0, 1, 3}, {0, 2, 3}};
  task.statistics = {.log_sum_exp = true,
                     .entropy = false,
                     .maximum_weight = true,
                     .key_mass = true,
                     .top_weight_count = 2};
  ASSERT_TRUE(Validate(task).ok()) << Validate(task);
  const auto result = RunTask(task, {});
  ASSERT_TRUE(result.ok()) << result.status();
  using Statistic = TypeParam;
  const double log_2 = 0.6931471805599453;
  EXPECT_THAT(ValuesOf<Statistic>(result->log_sum_exp),
              this->Near({2 * log_2, log_3, log_3, log_2, 0, 0}));
  EXPECT_THAT(ValuesOf<Statistic>(result->maximum_weight), this->Near({0.75, 1, 1, 0.5, 1, 1}));
  EXPECT_THAT(ValuesOf<Statistic>(result->key_mass), this->Near({0.25, 0.75, 2, 0.5, 0.5, 2}));
  EXPECT_THAT(ValuesOf<Statistic>(result->top_weights),
              this->Near({0.75, 0.25, 1, 0, 1, 0, 0.5, 0.5, 1, 0, 1, 0}));
  EXPECT_THAT(ValuesOf<int32_t>(result->top_keys),
              ElementsAre(1, 0, 0, -1, 0, -1, 0, 1, 0, -1, 0, -1));
  EXPECT_EQ(result->entropy.byte_count(), 0u);
}

TYPED_TEST(TaskRunnerTest, ProjectsTheSequencesOfARaggedBatchTogether) {
  ProjectedTask<TypeParam> projected;
  projected.AddOutputProjection();
  projected.task.ragged = RaggedRows{{0, 1, 2}, {0, 0, 2}};  // the first sees no key
  ASSERT_TRUE(Validate(projected.task).ok()) << Validate(projected.task);
  const auto result = RunTask(projected.task, {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(ValuesOf<TypeParam>(result->output), this->Near({1, 0, 0.5, 7, -2, 10.5}));
}

TYPED_TEST(TaskRunnerTest, StopsBeforeItAttendsToJoinedKeys) {
  ReadyTask<TypeParam> ready;
  ready.Join(1);
  const test::StopAfter stop(1);
  const auto result = RunTask(ready.task, {.executor = nullptr, .stop = &stop});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kCancelled);
}

// A stop before the first question, and later ones: whichever stage is reached, the answer is
// kCancelled.
TYPED_TEST(TaskRunnerTest, StopsAtEveryStage) {
  ProjectedTask<TypeParam> projected;
  projected.AddOutputProjection();
  int64_t stopped_count = 0;
  for (int64_t ask_count = 1; ask_count < 1000; ++ask_count) {
    const test::StopAfter stop(ask_count);
    const auto result = RunTask(projected.task, {.executor = nullptr, .stop = &stop});
    if (result.ok()) break;
    ASSERT_EQ(result.status().code(), absl::StatusCode::kCancelled) << ask_count;
    ++stopped_count;
  }
  EXPECT_GE(stopped_count, 5);  // before each projection and before attention, at least
  EXPECT_LT(stopped_count, 900);
}

TYPED_TEST(TaskRunnerTest, ThrowsBadAllocBeforeComputingIfMemoryIsShort) {
  ProjectedTask<TypeParam> projected;
  projected.AddOutputProjection();
  projected.task.output_projection->output_width = int64_t{1} << 50;
  EXPECT_THROW((void)RunTask(projected.task, {}), std::bad_alloc);
}

TEST(TaskRunnerReportTest, CountsTheThreadsOfProjectionsToo) {
  ProjectedTask<double> projected;
  for (HeadsSource* source : {&projected.task.query, &projected.task.key, &projected.task.value}) {
    source->view.extents = {1, 1, 2, 1};  // two rows to project, one tile of attention
    source->projection->output_width = 1;
  }
  test::ThreadExecutor executor(3);
  const auto result = RunTask(projected.task, {.executor = &executor, .stop = nullptr});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->report.thread_count, 3);
}

TEST(TaskRunnerPrecisionTest, TheTasksPrecisionGovernsProjectionsToo) {
  ReadyTask<float> ready;
  ready.task.options.scale = 0;  // both keys weigh the same: the output is 2 before its projection
  const float weight = 1.001F;   // in BF16, 1
  ready.task.output_projection = {1, 1, &weight, nullptr};
  const auto output = [&] {
    const auto result = RunTask(ready.task, {});
    return result.ok() ? ValuesOf<float>(result->output).at(0) : std::nanf("");
  };
  EXPECT_EQ(output(), 2 * weight);
  ready.task.options.precision = kernels::Precision::kBF16;
  const bool in_bf16 =
      kernels::InstructionSet() == "avx512_amx" || kernels::InstructionSet() == "avx512_bf16";
  EXPECT_EQ(output(), in_bf16 ? 2 : 2 * weight);
}

TEST(TaskRunnerStopTest, DoesNotEvenPackAWeightOnceStopped) {
  ProjectedTask<float> projected;
  // An address that nobody can read.
  projected.task.query.projection->weight = reinterpret_cast<const void*>(uintptr_t{64});
  const test::StopAfter stop(1);
  const auto result = RunTask(projected.task, {.executor = nullptr, .stop = &stop});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace attention::server
