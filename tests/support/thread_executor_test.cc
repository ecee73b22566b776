#include "tests/support/thread_executor.h"

#include <array>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>

#include "gtest/gtest.h"

namespace attention::test {
namespace {

TEST(ThreadExecutorTest, EachItemOfEachRunIsCalledOnce) {
  for (const int thread_count : {1, 2, 5}) {
    ThreadExecutor executor(thread_count);
    for (int run = 0; run < 100; ++run) {
      std::array<std::atomic<int>, 37> calls = {};
      EXPECT_EQ(executor.Run(calls.size(), [&](int64_t item) { ++calls[item]; }), thread_count);
      for (const std::atomic<int>& count : calls) EXPECT_EQ(count.load(), 1);
    }
  }
}

TEST(ThreadExecutorTest, TheSameThreadsWorkInEachRun) {
  ThreadExecutor executor(2);
  std::mutex mutex;
  std::set<std::thread::id> threads;
  for (int run = 0; run < 50; ++run) {
    executor.Run(100, [&](int64_t) {
      const std::lock_guard lock(mutex);
      threads.insert(std::this_thread::get_id());
    });
  }
  EXPECT_LE(threads.size(), 2U);
}

TEST(ThreadExecutorTest, ThreadsThatWentToSleepWakeUpForWork) {
  ThreadExecutor executor(2);
  for (int run = 0; run < 3; ++run) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::atomic<int> arrived = 0;
    // Each item waits for the other, so that both threads are needed.
    executor.Run(2, [&](int64_t) {
      ++arrived;
      while (arrived.load() < 2) std::this_thread::yield();
    });
    EXPECT_EQ(arrived.load(), 2);
  }
}

}  // namespace
}  // namespace attention::test
