#include "server/core/warm_up.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "kernels/implementation.h"
#include "server/core/precision.h"
#include "tests/server/core/blocker.h"
#include "tests/server/core/engine_fixture.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using std::chrono::milliseconds;
using test::FakeClock;
using test::IsOk;
using test::StatusIs;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr WarmUpShape kSmall = {
    .head_count = 2, .key_value_head_count = 1, .token_count = 3, .width = 4};

// Of one shape on one thread: plain, causal, one query and projected, in F32 and in BF16 and, if it
// is not f32, in the default precision.
int64_t TaskCountOfAShape(kernels::Precision default_precision) {
  return default_precision == kernels::Precision::kF32 ? 8 : 12;
}

bool EverythingRunsInFloat64() {
  return kernels::UsableImplementations().front()->name() == "unfused-float64";
}

TEST(RunOnEveryThreadTest, CallsOnceOnEachThread) {
  ComputePool pool(3, 1);
  for (int round = 0; round < 10; ++round) {
    std::mutex mutex;
    std::multiset<int> indices;
    std::set<std::thread::id> threads;
    EXPECT_THAT(RunOnEveryThread(pool,
                                 [&](int index) {
                                   const std::lock_guard lock(mutex);
                                   indices.insert(index);
                                   threads.insert(std::this_thread::get_id());
                                 }),
                IsOk());
    EXPECT_THAT(indices, ElementsAre(0, 1, 2));
    EXPECT_EQ(threads.size(), 3U);
    EXPECT_EQ(threads.count(std::this_thread::get_id()), 0U);
  }
}

TEST(RunOnEveryThreadTest, CallsNothingWhereTheQueueIsFull) {
  ComputePool pool(1, 1);
  test::Blocker blocker;
  ASSERT_THAT(pool.TrySubmit(blocker.job()), IsOk());
  blocker.WaitUntilRunning();
  ASSERT_THAT(pool.TrySubmit([](kernels::Executor&) {}), IsOk());
  int call_count = 0;
  EXPECT_THAT(RunOnEveryThread(pool, [&](int) { ++call_count; }),
              StatusIs(absl::StatusCode::kResourceExhausted, testing::_));
  EXPECT_EQ(call_count, 0);
  blocker.Release();
}

TEST(RunOnEveryThreadTest, DoesNotWaitForCallsThatTheQueueRefused) {
  ComputePool pool(2, 1);
  test::Blocker blockers[2];
  for (test::Blocker& blocker : blockers) {
    ASSERT_THAT(pool.TrySubmit(blocker.job()), IsOk());
    blocker.WaitUntilRunning();
  }
  std::atomic<int> call_count = 0;
  auto status = std::async(std::launch::async, [&] {
    return RunOnEveryThread(pool, [&](int) { call_count.fetch_add(1); });
  });
  while (pool.queue_depth() == 0) std::this_thread::yield();
  std::this_thread::sleep_for(milliseconds(20));  // as a rule the second call is refused by now
  for (test::Blocker& blocker : blockers) blocker.Release();
  const bool all = status.get().ok();
  EXPECT_EQ(call_count.load(), all ? 2 : 1);
}

TEST(WarmUpTest, ComputesEverythingOnEveryThread) {
  if (EverythingRunsInFloat64()) GTEST_SKIP() << "there is nothing to warm up here";
  ComputePool pool(2, 1);
  const FakeClock clock;
  for (const kernels::Precision precision : kPrecisions) {
    const WarmUpReport report =
        WarmUp(pool, {.shapes = {kSmall, {1, 1, 70, 64}}}, precision, clock);
    EXPECT_THAT(report.status, IsOk()) << Name(precision);
    EXPECT_EQ(report.planned_task_count, 2 * 2 * TaskCountOfAShape(precision));
    EXPECT_EQ(report.computed_task_count, report.planned_task_count);
  }
}

TEST(WarmUpTest, GoesOnAfterAFaultAndTellsIt) {
  if (EverythingRunsInFloat64()) GTEST_SKIP() << "there is nothing to warm up here";
  ComputePool pool(2, 1);
  const FakeClock clock;
  constexpr WarmUpShape kImpossible = {
      .head_count = 3, .key_value_head_count = 2, .token_count = 3, .width = 4};
  const WarmUpReport report =
      WarmUp(pool, {.shapes = {kImpossible, kSmall}}, kernels::Precision::kF32, clock);
  EXPECT_THAT(report.status,
              StatusIs(absl::StatusCode::kInvalidArgument, testing::HasSubstr("extents[1]")));
  EXPECT_EQ(report.computed_task_count, report.planned_task_count / 2);
}

TEST(WarmUpTest, HasNothingToDoWithoutShapes) {
  ComputePool pool(1, 1);
  const FakeClock clock;
  const WarmUpReport report = WarmUp(pool, {}, kernels::Precision::kF32, clock);
  EXPECT_THAT(report.status, IsOk());
  EXPECT_EQ(report.planned_task_count, 0);
  EXPECT_EQ(report.computed_task_count, 0);
}

TEST(WarmUpTest, EndsWhenItsTimeIsOver) {
  if (EverythingRunsInFloat64()) GTEST_SKIP() << "there is nothing to warm up here";
  ComputePool pool(2, 1);
  FakeClock clock;
  clock.OnNow([&clock](int64_t) { clock.Advance(milliseconds(1)); });
  const WarmUpReport report =
      WarmUp(pool, {.shapes = {kSmall, kSmall, kSmall, kSmall}, .limit = milliseconds(20)},
             kernels::Precision::kF32, clock);
  EXPECT_THAT(report.status, IsOk()) << "to be stopped is no fault";
  EXPECT_GT(report.computed_task_count, 0);
  EXPECT_LT(report.computed_task_count, report.planned_task_count);
  EXPECT_GE(report.elapsed, milliseconds(20));
}

TEST(WarmUpTest, CommonShapesAreValid) {
  ASSERT_FALSE(CommonWarmUpShapes().empty());
  for (const WarmUpShape& shape : CommonWarmUpShapes()) {
    EXPECT_GE(shape.token_count, 1);
    EXPECT_EQ(shape.head_count % shape.key_value_head_count, 0);
  }
}

TEST(WarmUpTest, CountsTheLargestArray) {
  EXPECT_EQ(LargestArrayElements({2, 1, 100, 4}), 8 * 100) << "queries";
  EXPECT_EQ(LargestArrayElements({2, 1, 3, 4}), 8 * 8) << "weights";
}

using AttentionEngineWarmUpTest = test::EngineTest;

TEST_F(AttentionEngineWarmUpTest, IsNoRequestToAnybody) {
  StartEngine({.thread_count = 2});
  const WarmUpReport report = engine_->WarmUp({.shapes = {kSmall}}, kernels::Precision::kF32);
  EXPECT_THAT(report.status, IsOk());
  EXPECT_TRUE(BecomesIdle());
  EXPECT_EQ(engine_->bytes_in_flight(), 0);
  const test::RecordedMetrics recorded = metrics_.recorded();
  EXPECT_THAT(recorded.queue_depths, IsEmpty());
  EXPECT_THAT(recorded.queue_waits, IsEmpty());
  EXPECT_TRUE(recorded.computed.empty());
  EXPECT_THAT(recorded.sequence_lengths, IsEmpty());
}

}  // namespace
}  // namespace attention::server
