#include "server/core/attention_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/server/core/engine_fixture.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using std::chrono::milliseconds;
using test::Answer;
using test::ReadyTask;
using test::ThreadHolder;
using testing::ElementsAre;
using testing::IsEmpty;

using AttentionEngineTest = test::EngineTest;

TEST_F(AttentionEngineTest, Answers) {
  StartEngine();
  const ReadyTask<double> ready;
  const Answer answer = Submit(ready.task).get();
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_THAT(test::ValuesOf<double>(answer->result.output),
              ElementsAre(testing::DoubleNear(3, 1e-13)));
  EXPECT_EQ(answer->result.report.precision, "f64");
}

TEST_F(AttentionEngineTest, MeasuresQueueAndComputation) {
  StartEngine();
  const ReadyTask<double> ready(7);
  std::future<Answer> future;
  {
    ThreadHolder holder(*engine_, clock_);
    clock_.OnNow(nullptr);
    future = Submit(ready.task);
    clock_.Advance(milliseconds(250));
  }
  const Answer answer = future.get();
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(LastTimes().queue_ns, 250'000'000);
  EXPECT_EQ(LastTimes().compute_ns, 0);  // the clock stood still
  ASSERT_TRUE(BecomesIdle());
  const test::RecordedMetrics recorded = metrics_.recorded();
  EXPECT_THAT(recorded.queue_waits, ElementsAre(0, 0.25));
  EXPECT_THAT(recorded.queue_depths, ElementsAre(1, 0));
  EXPECT_THAT(recorded.sequence_lengths, ElementsAre(testing::Pair(1, 2), testing::Pair(7, 2)));
  ASSERT_EQ(recorded.computed.size(), 2u);
  EXPECT_THAT(recorded.compute_times, ElementsAre(testing::Pair(Method::kCrossAttention, 0),
                                                  testing::Pair(Method::kSelfAttention, 0)));
  EXPECT_DOUBLE_EQ(recorded.computed[1].flops, TaskFlops(ready.task));
  EXPECT_EQ(recorded.computed[1].implementation, answer->result.report.implementation);
  EXPECT_EQ(recorded.computed[1].precision, "f64");
  EXPECT_THAT(recorded.rejections, IsEmpty());
  EXPECT_THAT(recorded.stopped, IsEmpty());
}

TEST_F(AttentionEngineTest, KeepsTheAnswersBytesReservedUntilTheAnswerIsGone) {
  StartEngine();
  const ReadyTask<double> ready(5);
  {
    const Answer answer = Submit(ready.task).get();
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(engine_->bytes_in_flight(), 5 * 8);
  }
  EXPECT_EQ(engine_->bytes_in_flight(), 0);
}

TEST_F(AttentionEngineTest, ReservesScratchUntilTheTaskIsDone) {
  StartEngine();
  const test::ProjectedTask<double> projected;
  std::future<Answer> future;
  {
    ThreadHolder holder(*engine_, clock_);
    future = Submit(projected.task);
    EXPECT_EQ(engine_->bytes_in_flight(),
              ResultBytes(projected.task) + ScratchBytes(projected.task, 1));
    ASSERT_GT(ScratchBytes(projected.task, 1), 0);
  }
  const Answer answer = future.get();
  EXPECT_EQ(engine_->bytes_in_flight(), ResultBytes(projected.task));
}

TEST_F(AttentionEngineTest, AdmitsRequestsUpToTheLimitAndTheBudget) {
  StartEngine({.limits = {.max_request_bytes = 100}, .max_bytes_in_flight = 150});
  auto first = engine_->AdmitRequest(100);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(engine_->bytes_in_flight(), 100);
  const auto second = engine_->AdmitRequest(51);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kResourceExhausted);
  const auto too_large = engine_->AdmitRequest(101);
  EXPECT_EQ(too_large.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(too_large.status().message(),
            "request: got 101 bytes, want <= 100 (--max-request-bytes)");
  EXPECT_TRUE(engine_->AdmitRequest(50).ok());
  *first = {};
  EXPECT_EQ(engine_->bytes_in_flight(), 0);
  EXPECT_THAT(metrics_.recorded().rejections,
              ElementsAre(Rejection::kBytesInFlight, Rejection::kOverLimit));
}

TEST_F(AttentionEngineTest, RefusesTooLargeAnAnswerNamingTheLimit) {
  StartEngine({.limits = {.max_response_bytes = 39}});
  const ReadyTask<double> ready(5);
  const Answer answer = Submit(ready.task).get();
  EXPECT_EQ(answer.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(answer.status().message(), "response: got 40 bytes, want <= 39 (--max-response-bytes)");
  EXPECT_THAT(metrics_.recorded().rejections, ElementsAre(Rejection::kOverLimit));
  EXPECT_EQ(engine_->bytes_in_flight(), 0);
  EXPECT_TRUE(BecomesIdle());
}

TEST_F(AttentionEngineTest, RefusesForGoodWhatWouldNeverFitTheBudget) {
  StartEngine({.max_bytes_in_flight = 39});
  const ReadyTask<double> ready(5);
  const Answer answer = Submit(ready.task).get();
  EXPECT_EQ(answer.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(answer.status().message(),
            "request, response and scratch memory: got 40 bytes, want <= 39 "
            "(--max-bytes-in-flight)");
}

TEST_F(AttentionEngineTest, RefusesForGoodWhatDoesNotFitBesideItsOwnRequest) {
  StartEngine({.max_bytes_in_flight = 50});
  const ReadyTask<double> ready(5);
  const auto request = engine_->AdmitRequest(11);
  ASSERT_TRUE(request.ok()) << request.status();
  held_bytes_ = request->bytes();
  EXPECT_THAT(Submit(ready.task).get(),
              test::StatusIs(absl::StatusCode::kInvalidArgument,
                             "request, response and scratch memory: got 51 bytes, want <= 50 "
                             "(--max-bytes-in-flight)"));
  EXPECT_THAT(engine_->ReserveConversion(40, 11),
              test::StatusIs(absl::StatusCode::kInvalidArgument,
                             "request and its numbers in another type: got 51 bytes, want <= 50 "
                             "(--max-bytes-in-flight)"));
  EXPECT_THAT(engine_->AdmitRequest(51),
              test::StatusIs(absl::StatusCode::kInvalidArgument,
                             "request: got 51 bytes, want <= 50 (--max-bytes-in-flight)"));
  EXPECT_THAT(metrics_.recorded().rejections,
              ElementsAre(Rejection::kOverLimit, Rejection::kOverLimit, Rejection::kOverLimit));
  EXPECT_EQ(engine_->AdmitRequest(50).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(engine_->ReserveConversion(39, 11)->bytes(), 39);
  EXPECT_EQ(engine_->bytes_in_flight(), 11);
}

TEST_F(AttentionEngineTest, RefusesTooMuchArithmetic) {
  StartEngine({.limits = {.max_flops = 39, .max_float64_flops = 407}});
  const ReadyTask<float> f32(6);    // 2 * 6 * 2 * (1 + 1) = 48
  const ReadyTask<double> f64(3);   // 24, and 64 for each of 6 pairs
  const ReadyTask<float> small(3);  // 24, of those that are fast
  EXPECT_EQ(Submit(f32.task).get().status().message(),
            "request: got 48 floating point operations, want <= 39 (--max-request-flops)");
  EXPECT_EQ(Submit(f64.task).get().status().message(),
            "request: got 408 floating point operations in float64, want <= 407 "
            "(--max-request-float64-flops)");
  // Hidden pairs are walked to, too.
  ReadyTask<double> hidden(4);
  const int64_t no_keys[] = {0};
  hidden.task.problem.key_lengths = no_keys;
  EXPECT_EQ(Submit(hidden.task).get().status().message(),
            "request: got 512 floating point operations in float64, want <= 407 "
            "(--max-request-float64-flops)");
  const bool has_fused = !kernels::RunsInFloat64(ProblemOf(small.task), small.task.options);
  EXPECT_EQ(Submit(small.task).get().ok(), has_fused);
}

TEST_F(AttentionEngineTest, RefusesAnInvalidTaskNamingTheField) {
  StartEngine();
  ReadyTask<double> ready;
  ready.task.value.view.extents[2] = 1;
  const Answer answer = Submit(ready.task).get();
  EXPECT_EQ(answer.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(answer.status().message().find("value.extents[2]: got 1, want 2"),
            absl::string_view::npos)
      << answer.status();
  EXPECT_THAT(metrics_.recorded().rejections, ElementsAre(Rejection::kInvalid));
}

TEST_F(AttentionEngineTest, RefusesWhileTheBudgetIsFullAndReturnsWhatItTook) {
  // Room for the answer and the scratch of one task, and one byte less than that of two.
  const test::ProjectedTask<double> projected;
  const int64_t task_bytes = ResultBytes(projected.task) + ScratchBytes(projected.task, 1);
  StartEngine({.max_bytes_in_flight = 2 * task_bytes - 1});
  std::future<Answer> accepted;
  {
    ThreadHolder holder(*engine_, clock_);
    accepted = Submit(projected.task);
    const Answer refused = Submit(projected.task).get();
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(engine_->bytes_in_flight(), task_bytes);
    EXPECT_THAT(metrics_.recorded().rejections, ElementsAre(Rejection::kBytesInFlight));
  }
  EXPECT_TRUE(accepted.get().ok());
  EXPECT_TRUE(Submit(projected.task).get().ok());
  ASSERT_TRUE(BecomesIdle());
  EXPECT_EQ(engine_->bytes_in_flight(), 0);
}

TEST_F(AttentionEngineTest, RefusesWhileTheQueueIsFullAndReturnsTheBytes) {
  StartEngine({.queue_capacity = 2});
  const ReadyTask<double> ready;
  std::vector<std::future<Answer>> accepted;
  {
    ThreadHolder holder(*engine_, clock_);
    for (int i = 0; i < 2; ++i) accepted.push_back(Submit(ready.task));
    EXPECT_EQ(engine_->queue_depth(), 2);
    const Answer refused = Submit(ready.task).get();
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(engine_->bytes_in_flight(), 2 * 8);
    EXPECT_THAT(metrics_.recorded().rejections, ElementsAre(Rejection::kQueueFull));
  }
  for (std::future<Answer>& answer : accepted) EXPECT_TRUE(answer.get().ok());
  ASSERT_TRUE(BecomesIdle());
  EXPECT_EQ(engine_->queue_depth(), 0);
  EXPECT_EQ(engine_->bytes_in_flight(), 0);
}

TEST_F(AttentionEngineTest, SaysThatMemoryIsShortAndReturnsTheBytes) {
  constexpr int64_t kNoLimit = int64_t{1} << 62;
  StartEngine(
      {.limits = {.max_response_bytes = kNoLimit, .max_flops = 1e300, .max_float64_flops = 1e300},
       .max_bytes_in_flight = kNoLimit});
  test::ProjectedTask<double> projected;
  projected.AddOutputProjection();
  projected.task.output_projection->output_width = int64_t{1} << 50;
  const Answer answer = Submit(projected.task).get();
  EXPECT_EQ(answer.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(answer.status().message(), "the server is out of memory");
  ASSERT_TRUE(BecomesIdle());
  EXPECT_EQ(engine_->bytes_in_flight(), 0);
  EXPECT_TRUE(Submit(ReadyTask<double>().task).get().ok());  // and goes on
}

TEST_F(AttentionEngineTest, AnswersManyThreadsAtOnceAndBalancesItsBooks) {
  StartEngine({.thread_count = 2, .queue_capacity = 4, .max_bytes_in_flight = 4000});
  const ReadyTask<double> ready(50);
  std::atomic<int> answered = 0;
  std::atomic<int> refused = 0;
  {
    std::vector<std::jthread> callers;
    for (int caller = 0; caller < 4; ++caller) {
      callers.emplace_back([&] {
        for (int i = 0; i < 200; ++i) {
          const Answer answer = Submit(ready.task).get();
          ++(answer.ok() ? answered : refused);
          if (!answer.ok()) {
            EXPECT_EQ(answer.status().code(), absl::StatusCode::kResourceExhausted);
          }
        }
      });
    }
  }
  ASSERT_TRUE(BecomesIdle());
  EXPECT_EQ(answered + refused, 800);
  EXPECT_GT(answered, 0);
  const test::RecordedMetrics recorded = metrics_.recorded();
  EXPECT_EQ(recorded.computed.size(), static_cast<size_t>(answered));
  EXPECT_EQ(recorded.rejections.size(), static_cast<size_t>(refused));
  EXPECT_EQ(engine_->bytes_in_flight(), 0);
}

}  // namespace
}  // namespace attention::server
