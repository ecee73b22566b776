// How an AttentionEngine ends requests early and itself: deadlines, cancellation, faults, draining.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <barrier>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "tests/server/core/engine_fixture.h"

namespace attention::server {
namespace {

using absl::StatusCode;
using std::chrono::milliseconds;
using test::Answer;
using test::ReadyTask;
using test::ThreadHolder;
using testing::ElementsAre;
using testing::IsEmpty;

class AttentionEngineStopTest : public test::EngineTest {
 protected:
  // After the holder's own, nothing was computed, and every byte is back.
  void ExpectNothingComputed(StatusCode code, size_t computed_by_holder) {
    ASSERT_TRUE(BecomesIdle());
    const test::RecordedMetrics recorded = metrics_.recorded();
    EXPECT_EQ(recorded.computed.size(), computed_by_holder);
    EXPECT_THAT(recorded.stopped, ElementsAre(code));
    EXPECT_THAT(recorded.rejections, IsEmpty());
    EXPECT_EQ(engine_->bytes_in_flight(), 0);
    EXPECT_THAT(log_.internal_errors(), IsEmpty());
  }
};

TEST_F(AttentionEngineStopTest, RefusesATaskWhoseDeadlineHasPassed) {
  StartEngine();
  const ReadyTask<double> ready;
  EXPECT_EQ(Submit(ready.task, NewContext(clock_.Now())).get().status().code(),
            StatusCode::kDeadlineExceeded);
  ExpectNothingComputed(StatusCode::kDeadlineExceeded, 0);
  EXPECT_THAT(metrics_.recorded().queue_waits, IsEmpty());
}

TEST_F(AttentionEngineStopTest, RefusesATaskThatIsCancelledAlready) {
  StartEngine();
  const ReadyTask<double> ready;
  const auto context = NewContext();
  context->Cancel();
  EXPECT_EQ(Submit(ready.task, context).get().status().code(), StatusCode::kCancelled);
  ExpectNothingComputed(StatusCode::kCancelled, 0);
}

TEST_F(AttentionEngineStopTest, DropsATaskWhoseDeadlinePassesInTheQueue) {
  StartEngine();
  const ReadyTask<double> ready;
  std::future<Answer> answer;
  {
    ThreadHolder holder(*engine_, clock_);
    answer = Submit(ready.task, NewContext(clock_.Now() + milliseconds(10)));
    clock_.Advance(milliseconds(10));
  }
  EXPECT_EQ(answer.get().status().code(), StatusCode::kDeadlineExceeded);
  ExpectNothingComputed(StatusCode::kDeadlineExceeded, 1);
}

TEST_F(AttentionEngineStopTest, DropsATaskThatIsCancelledInTheQueue) {
  StartEngine();
  const ReadyTask<double> ready;
  const auto context = NewContext();
  std::future<Answer> answer;
  {
    ThreadHolder holder(*engine_, clock_);
    answer = Submit(ready.task, context);
    context->Cancel();
  }
  EXPECT_EQ(answer.get().status().code(), StatusCode::kCancelled);
  ExpectNothingComputed(StatusCode::kCancelled, 1);
}

// However long the one before them takes.
TEST_F(AttentionEngineStopTest, TasksThatNobodyWaitsForKeepNobodyOut) {
  StartEngine({.queue_capacity = 2});
  const ReadyTask<double> ready;
  ThreadHolder holder(*engine_, clock_);
  const auto context = NewContext();
  std::future<Answer> cancelled = Submit(ready.task, context);
  std::future<Answer> expired = Submit(ready.task, NewContext(clock_.Now() + milliseconds(10)));
  context->Cancel();
  clock_.Advance(milliseconds(20));
  std::vector<std::future<Answer>> accepted;
  for (int i = 0; i < 2; ++i) accepted.push_back(Submit(ready.task));
  EXPECT_EQ(cancelled.get().status().code(), StatusCode::kCancelled);
  EXPECT_EQ(expired.get().status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(engine_->queue_depth(), 2);
  EXPECT_EQ(engine_->bytes_in_flight(), 2 * 8);
  EXPECT_EQ(Submit(ready.task).get().status().code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(metrics_.recorded().rejections, ElementsAre(Rejection::kQueueFull));
  EXPECT_EQ(metrics_.recorded().queue_waits.size(), 3u);  // the holder's and two
  holder.Release();
  for (std::future<Answer>& answer : accepted) EXPECT_TRUE(answer.get().ok());
}

TEST_F(AttentionEngineStopTest, NorDoTheyWhenManyComeAtOnce) {
  for (int round = 0; round < 50; ++round) {
    StartEngine({.queue_capacity = 8});
    const ReadyTask<double> ready;
    ThreadHolder holder(*engine_, clock_);
    const auto context = NewContext();
    std::vector<std::future<Answer>> cancelled(8);
    for (auto& answer : cancelled) answer = Submit(ready.task, context);
    context->Cancel();
    std::vector<std::future<Answer>> accepted(8);
    {
      std::barrier together(8);
      std::vector<std::jthread> callers;
      for (auto& answer : accepted) {
        callers.emplace_back([&] {
          together.arrive_and_wait();
          answer = Submit(ready.task);
        });
      }
    }
    holder.Release();
    for (auto& answer : accepted) EXPECT_TRUE(answer.get().ok());
  }
}

TEST_F(AttentionEngineStopTest, TheirBytesAreThereForOthersToo) {
  StartEngine({.max_bytes_in_flight = 40});
  const ReadyTask<double> ready(5);
  ThreadHolder holder(*engine_, clock_);
  const auto context = NewContext();
  std::future<Answer> cancelled = Submit(ready.task, context);
  EXPECT_FALSE(engine_->AdmitRequest(8).ok());
  context->Cancel();
  EXPECT_TRUE(engine_->AdmitRequest(40).ok());
  EXPECT_EQ(cancelled.get().status().code(), StatusCode::kCancelled);

  const auto other_context = NewContext();
  cancelled = Submit(ready.task, other_context);
  other_context->Cancel();
  std::future<Answer> accepted = Submit(ready.task);
  EXPECT_EQ(cancelled.get().status().code(), StatusCode::kCancelled);
  holder.Release();
  EXPECT_TRUE(accepted.get().ok());
}

TEST_F(AttentionEngineStopTest, TellsHowLongAStoppedTaskHadWaited) {
  StartEngine();
  const ReadyTask<double> ready;
  std::future<Answer> answer;
  {
    ThreadHolder holder(*engine_, clock_);
    answer = Submit(ready.task, NewContext(clock_.Now() + milliseconds(10)));
    clock_.Advance(milliseconds(30));
  }
  EXPECT_EQ(answer.get().status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(LastTimes().queue_ns, 30'000'000);
  EXPECT_EQ(LastTimes().compute_ns, 0);
  EXPECT_EQ(metrics_.recorded().compute_times.size(), 1u);  // the holder's
}

TEST_F(AttentionEngineStopTest, AllocatesNothingForATaskThatIsCancelledInTheQueue) {
  constexpr int64_t kNoLimit = int64_t{1} << 62;
  StartEngine(
      {.limits = {.max_response_bytes = kNoLimit, .max_flops = 1e300, .max_float64_flops = 1e300},
       .max_bytes_in_flight = kNoLimit});
  test::ProjectedTask<double> projected;
  projected.AddOutputProjection();
  projected.task.output_projection->output_width = int64_t{1} << 50;  // nobody has that much
  const auto context = NewContext();
  std::future<Answer> answer;
  {
    ThreadHolder holder(*engine_, clock_);
    answer = Submit(projected.task, context);
    context->Cancel();
  }
  EXPECT_EQ(answer.get().status().code(), StatusCode::kCancelled);
}

TEST_F(AttentionEngineStopTest, ReturnsTheBytesOfAStoppedTaskBeforeItSaysSo) {
  StartEngine();
  const ReadyTask<double> ready;
  const auto context = NewContext();
  int64_t bytes_when_told = -1;
  {
    ThreadHolder holder(*engine_, clock_);
    engine_->Submit(Method::kSelfAttention, &ready.task, context, 0,
                    [&](const Answer& answer, const StageTimes&) {
                      EXPECT_EQ(answer.status().code(), StatusCode::kCancelled);
                      bytes_when_told = engine_->bytes_in_flight();
                    });
    EXPECT_GT(engine_->bytes_in_flight(), 0);
    context->Cancel();
  }
  ASSERT_TRUE(BecomesIdle());
  EXPECT_EQ(bytes_when_told, 0);
}

// The clock is asked once between any two tiles, so acting on its Nth answer acts between tiles.
// The first task tells how many questions there are when nothing happens.
class StopBetweenTilesTest : public AttentionEngineStopTest {
 protected:
  static constexpr int64_t kQueryCount = 20'000;
  static constexpr int64_t kQuestionsBeforeTheFirstTile = 8;

  int64_t QuestionsOfAWholeTask() {
    StartEngine();
    const int64_t before = clock_.now_call_count();
    EXPECT_TRUE(Submit(ready_.task, NewContext(clock_.Now() + milliseconds(10))).get().ok());
    EXPECT_TRUE(BecomesIdle());
    return clock_.now_call_count() - before;
  }

  // Runs the task, calling `act` once in the middle of it.
  StatusCode RunActingInTheMiddle(std::function<void(RequestContext&)> act) {
    const int64_t question_count = QuestionsOfAWholeTask();
    EXPECT_GT(question_count, 3 * kQuestionsBeforeTheFirstTile) << "too few tiles to stop between";
    engine_.reset();
    const auto context = NewContext(clock_.Now() + milliseconds(10));
    const int64_t middle = clock_.now_call_count() + question_count / 2;
    clock_.OnNow([=](int64_t call) {
      if (call == middle) act(*context);
    });
    StartEngine();
    const StatusCode code = Submit(ready_.task, context).get().status().code();
    EXPECT_TRUE(BecomesIdle());
    EXPECT_GE(clock_.now_call_count(), middle);
    EXPECT_EQ(metrics_.recorded().computed.size(), 1u);  // the whole one's
    EXPECT_EQ(metrics_.recorded().compute_times.size(), 2u);
    EXPECT_EQ(engine_->bytes_in_flight(), 0);
    EXPECT_THAT(metrics_.recorded().stopped, ElementsAre(code));
    return code;
  }

  const ReadyTask<float> ready_{kQueryCount};
};

TEST_F(StopBetweenTilesTest, EndsACancelledTask) {
  EXPECT_EQ(RunActingInTheMiddle([](RequestContext& context) { context.Cancel(); }),
            StatusCode::kCancelled);
}

TEST_F(StopBetweenTilesTest, EndsATaskWhoseDeadlinePasses) {
  EXPECT_EQ(RunActingInTheMiddle([this](RequestContext&) { clock_.Advance(milliseconds(10)); }),
            StatusCode::kDeadlineExceeded);
}

// A clock that shows a passed deadline once and takes it back makes the kernels stop for no reason
// that holds: a fault of ours.
TEST_F(AttentionEngineStopTest, HidesAFaultBehindTheRequestIdAndLogsIt) {
  const ReadyTask<double> ready;
  const auto context = NewContext(clock_.Now() + milliseconds(10));
  // Questions, in order: Cancel or deadline at Submit, the time of submission, the start, the
  // deadline at dequeue, and the runner's before attention.
  const int64_t before_attention = clock_.now_call_count() + 5;
  clock_.OnNow([this, before_attention](int64_t call) {
    if (call == before_attention) clock_.Advance(milliseconds(10));
    if (call == before_attention + 1) clock_.Advance(-milliseconds(10));
  });
  StartEngine();
  const Answer answer = Submit(ready.task, context).get();
  EXPECT_EQ(answer.status().code(), StatusCode::kInternal);
  EXPECT_EQ(answer.status().message(), "internal error; request id request-1");
  ASSERT_TRUE(BecomesIdle());
  EXPECT_THAT(log_.internal_errors(),
              ElementsAre(testing::Pair("request-1", "CANCELLED: stopped on request")));
  EXPECT_EQ(engine_->bytes_in_flight(), 0);
}

TEST_F(AttentionEngineStopTest, RefusesEverythingNewWhileDraining) {
  StartEngine();
  const ReadyTask<double> ready;
  std::future<Answer> accepted;
  {
    ThreadHolder holder(*engine_, clock_);
    accepted = Submit(ready.task);
    engine_->BeginDrain();
    engine_->BeginDrain();
    const Answer refused = Submit(ready.task).get();
    EXPECT_EQ(refused.status().code(), StatusCode::kUnavailable);
    EXPECT_EQ(refused.status().message(), "the server is draining");
    EXPECT_EQ(engine_->AdmitRequest(1).status().code(), StatusCode::kUnavailable);
    EXPECT_FALSE(engine_->WaitUntilIdle(std::chrono::steady_clock::now() + milliseconds(5)));
  }
  EXPECT_TRUE(accepted.get().ok());
  EXPECT_TRUE(BecomesIdle());
  EXPECT_THAT(metrics_.recorded().rejections,
              ElementsAre(Rejection::kDraining, Rejection::kDraining));
}

TEST_F(AttentionEngineStopTest, IsIdleOnlyOnceWhatDoneOwnsIsGone) {
  StartEngine({.thread_count = 2});
  const ReadyTask<double> ready;
  for (int i = 0; i < 200; ++i) {
    const auto owned = std::make_shared<int>(i);
    const auto context = NewContext();
    engine_->Submit(Method::kSelfAttention, &ready.task, context, 0,
                    [owned](const Answer&, const StageTimes&) {});
    ASSERT_TRUE(BecomesIdle());
    ASSERT_EQ(owned.use_count(), 1);
    ASSERT_EQ(context.use_count(), 1);
  }
}

TEST_F(AttentionEngineStopTest, IsNotIdleWhileTheDoneOfARefusedTaskOwnsAnything) {
  StartEngine({.limits = {.max_response_bytes = 0}});
  const ReadyTask<double> ready;
  bool idle_when_destroyed = true;
  std::shared_ptr<int> owned(new int(1), [&](const int* number) {
    delete number;
    idle_when_destroyed = engine_->WaitUntilIdle(TimePoint::min());
  });
  engine_->Submit(Method::kSelfAttention, &ready.task, NewContext(), 0,
                  [owned = std::move(owned)](const Answer& answer, const StageTimes&) {
                    EXPECT_EQ(answer.status().code(), StatusCode::kInvalidArgument);
                  });
  EXPECT_FALSE(idle_when_destroyed);
  EXPECT_TRUE(BecomesIdle());
}

TEST_F(AttentionEngineStopTest, AnswersEveryAcceptedTaskBeforeItIsDestroyed) {
  for (int round = 0; round < 50; ++round) {
    StartEngine({.thread_count = 1 + round % 3, .queue_capacity = 100});
    const ReadyTask<double> ready(20);
    std::vector<std::future<Answer>> answers;
    for (int i = 0; i < 20; ++i) {
      std::promise<Answer> promise;
      answers.push_back(promise.get_future());
      engine_->Submit(Method::kSelfAttention, &ready.task, NewContext(), 0,
                      [promise = std::move(promise)](Answer answer, const StageTimes&) mutable {
                        // The permit must not outlive the engine.
                        if (answer.ok()) answer->permit = {};
                        promise.set_value(std::move(answer));
                      });
    }
    engine_.reset();
    for (std::future<Answer>& answer : answers) {
      ASSERT_EQ(answer.wait_for(milliseconds(0)), std::future_status::ready);
      ASSERT_TRUE(answer.get().ok());
    }
  }
}

}  // namespace
}  // namespace attention::server
