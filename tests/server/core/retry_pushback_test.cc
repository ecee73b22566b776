#include "server/core/retry_pushback.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>

namespace attention::server {
namespace {

void ComputeTasksOf(double seconds, RetryPushback& pushback) {
  for (int task = 0; task < 200; ++task) pushback.Computed(seconds);
}

void ExpectAbout(int64_t got, double want) {
  EXPECT_GE(static_cast<double>(got), 0.74 * want);
  EXPECT_LE(static_cast<double>(got), 1.26 * want);
}

TEST(RetryPushbackTest, IsAsLongAsTheQueueTakes) {
  RetryPushback one_thread(1);
  ComputeTasksOf(0.1, one_thread);
  ExpectAbout(one_thread.Milliseconds(9), 1000);
  ExpectAbout(one_thread.Milliseconds(0), 100);
  RetryPushback two_threads(2);
  ComputeTasksOf(0.1, two_threads);
  ExpectAbout(two_threads.Milliseconds(9), 500);
}

TEST(RetryPushbackTest, FollowsWhatTasksTake) {
  RetryPushback pushback(1);
  ComputeTasksOf(0.1, pushback);
  ComputeTasksOf(0.01, pushback);
  ExpectAbout(pushback.Milliseconds(9), 100);
}

TEST(RetryPushbackTest, StaysWithinBounds) {
  const int64_t at_rest = RetryPushback(1).Milliseconds(1000);
  EXPECT_GE(at_rest, 20);
  EXPECT_LE(at_rest, 34);
  RetryPushback slow(1);
  ComputeTasksOf(10, slow);
  RetryPushback fast(64);
  ComputeTasksOf(1e-6, fast);
  for (int caller = 0; caller < 100; ++caller) {
    EXPECT_LE(slow.Milliseconds(INT64_MAX), 5000);
    EXPECT_GE(fast.Milliseconds(-1), 20);
  }
}

TEST(RetryPushbackTest, CallersDoNotComeBackTogether) {
  RetryPushback pushback(1);
  ComputeTasksOf(0.1, pushback);
  for (const int64_t queue_depth : {0, 9, 1'000'000}) {
    std::set<int64_t> times;
    for (int caller = 0; caller < 1000; ++caller) {
      times.insert(pushback.Milliseconds(queue_depth));
    }
    EXPECT_GT(times.size(), 40U) << queue_depth;
  }
}

}  // namespace
}  // namespace attention::server
