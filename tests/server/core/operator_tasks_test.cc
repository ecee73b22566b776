#include "server/core/operator_tasks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "server/core/task.h"
#include "tests/server/core/engine_fixture.h"
#include "tests/server/core/task_fixture.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using kernels::DataType;
using kernels::Extents;
using test::ValuesOf;
using testing::ElementsAre;

// Two rows (1, 2) and (3, 4) of one head, turned by no angle and by a quarter of a circle.
struct QuarterTurn {
  QuarterTurn() {
    task.input = kernels::DenseView(rows.data(), DataType::kF32, {1, 1, 2, 2});
    task.tables.cosines = kernels::DenseView(cosines.data(), DataType::kF32, {1, 1, 2, 1});
    task.tables.sines = kernels::DenseView(sines.data(), DataType::kF32, {1, 1, 2, 1});
  }

  std::vector<float> rows = {1, 2, 3, 4};
  std::vector<float> cosines = {1, 0};
  std::vector<float> sines = {0, 1};
  RotaryTask task;
};

// Two states of one row: 1 and 5, of which the second weighs three times as much.
template <class T>
struct TwoStates {
  explicit TwoStates(DataType type) {
    for (size_t i = 0; i < 2; ++i) {
      task.states.push_back({kernels::DenseView(&outputs[i], type, {1, 1, 1, 1}),
                             kernels::DenseView(&log_sum_exps[i], type, {1, 1, 1, 1})});
    }
  }

  std::vector<T> outputs = {1, 5};
  std::vector<T> log_sum_exps = {std::log(T{2}), std::log(T{6})};
  MergeTask task;
};

TEST(RotaryTaskTest, TurnsRowsIntoAnOutputThatLiesAsTheInput) {
  QuarterTurn turn;
  const auto result = RunTask(turn.task, {});
  ASSERT_THAT(result, test::IsOk());
  EXPECT_THAT(ValuesOf<float>(result->output), ElementsAre(1, 2, -4, 3));
  EXPECT_EQ(result->report.implementation, kElementwise);
  EXPECT_EQ(result->report.precision, "f32");
  EXPECT_EQ(result->report.thread_count, 1);

  // The same numbers as two heads side by side in one row, each with the second table row.
  turn.task.input = {turn.rows.data(), DataType::kF32, {1, 2, 1, 2}, {4, 2, 4, 1}};
  const int64_t second = 1;
  turn.task.tables.row_positions = &second;
  const auto packed = RunTask(turn.task, {});
  ASSERT_THAT(packed, test::IsOk());
  EXPECT_THAT(ValuesOf<float>(packed->output), ElementsAre(-2, 1, -4, 3));
}

TEST(RotaryTaskTest, CountsItsAnswerAndItsArithmetic) {
  const QuarterTurn turn;
  EXPECT_EQ(ResultBytes(turn.task), 16);
  EXPECT_EQ(SentBytes(turn.task), 16);
  EXPECT_EQ(ScratchBytes(turn.task, 1), 0);
  EXPECT_EQ(TaskFlops(turn.task), 12);
}

TEST(RotaryTaskTest, RefusesWhatDoesNotFitTogether) {
  QuarterTurn turn;
  turn.task.tables.width = 3;
  EXPECT_THAT(Validate(turn.task), test::StatusIs(absl::StatusCode::kInvalidArgument,
                                                  "width: got 3, want even, between 0 and 2"));
}

TEST(MergeTaskTest, JoinsStates) {
  const TwoStates<double> states(DataType::kF64);
  const auto result = RunTask(states.task, {});
  ASSERT_THAT(result, test::IsOk());
  EXPECT_THAT(ValuesOf<double>(result->output), ElementsAre(testing::DoubleNear(4, 1e-15)));
  EXPECT_THAT(ValuesOf<double>(result->log_sum_exp),
              ElementsAre(testing::DoubleNear(std::log(8.0), 1e-15)));
  EXPECT_EQ(result->report.implementation, kElementwise);
  EXPECT_EQ(result->report.precision, "f64");
}

TEST(MergeTaskTest, CountsItsAnswerAndItsArithmetic) {
  const TwoStates<double> f64(DataType::kF64);
  EXPECT_EQ(ResultBytes(f64.task), 16);
  const TwoStates<float> f32(DataType::kF32);
  EXPECT_EQ(ResultBytes(f32.task), 8);
  EXPECT_EQ(SentBytes(f64.task), 16);
  EXPECT_EQ(ScratchBytes(f32.task, 1), 0);
  EXPECT_EQ(TaskFlops(f32.task), 4);
}

TEST(MergeTaskTest, RefusesWhatDoesNotFitTogether) {
  TwoStates<float> states(DataType::kF32);
  states.task.states[1].log_sum_exp.type = DataType::kF64;
  EXPECT_THAT(Validate(states.task),
              test::StatusIs(absl::StatusCode::kInvalidArgument,
                             "states[1].log_sum_exp.type: got F64, want F32"));
}

// Admission, queue and metrics are the same for every kind of task.
class OperatorEngineTest : public test::EngineTest {
 protected:
  test::Answer Ask(Method method, const AnyTask& task) {
    std::promise<test::Answer> answered;
    engine_->Submit(method, task, NewContext(), 0, [&](test::Answer answer, const StageTimes&) {
      answered.set_value(std::move(answer));
    });
    return answered.get_future().get();
  }
};

TEST_F(OperatorEngineTest, AnswersTasksOfEveryKind) {
  StartEngine();
  const QuarterTurn turn;
  test::Answer turned = Ask(Method::kApplyRotaryEmbedding, &turn.task);
  ASSERT_TRUE(turned.ok()) << turned.status();
  EXPECT_THAT(ValuesOf<float>(turned->result.output), ElementsAre(1, 2, -4, 3));
  EXPECT_EQ(engine_->bytes_in_flight(), 16);
  const TwoStates<float> states(DataType::kF32);
  const test::Answer merged = Ask(Method::kMergeAttentionStates, &states.task);
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_THAT(ValuesOf<float>(merged->result.output), ElementsAre(4));
  EXPECT_EQ(engine_->bytes_in_flight(), 24);
  ASSERT_TRUE(BecomesIdle());
  const test::RecordedMetrics recorded = metrics_.recorded();
  ASSERT_EQ(recorded.computed.size(), 2U);
  EXPECT_THAT(recorded.compute_times,
              testing::ElementsAre(testing::Key(Method::kApplyRotaryEmbedding),
                                   testing::Key(Method::kMergeAttentionStates)));
  EXPECT_EQ(recorded.computed[0].implementation, kElementwise);
  EXPECT_EQ(recorded.computed[0].flops, 12);
  EXPECT_THAT(recorded.sequence_lengths, testing::IsEmpty());
}

TEST_F(OperatorEngineTest, RefusesTasksOfEveryKindAlike) {
  StartEngine({.limits = {.max_response_bytes = 7}});
  const QuarterTurn turn;
  EXPECT_EQ(Ask(Method::kApplyRotaryEmbedding, &turn.task).status().message(),
            "response: got 16 bytes, want <= 7 (--max-response-bytes)");
  const TwoStates<float> states(DataType::kF32);
  EXPECT_EQ(Ask(Method::kMergeAttentionStates, &states.task).status().message(),
            "response: got 8 bytes, want <= 7 (--max-response-bytes)");
  QuarterTurn bad;
  bad.task.tables.width = 1;
  EXPECT_EQ(Ask(Method::kApplyRotaryEmbedding, &bad.task).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(metrics_.recorded().rejections,
              ElementsAre(Rejection::kOverLimit, Rejection::kOverLimit, Rejection::kInvalid));
}

}  // namespace
}  // namespace attention::server
