#include "server/core/compute_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <latch>
#include <memory>
#include <mutex>
#include <numeric>
#include <set>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "tests/server/core/blocker.h"

namespace attention::server {
namespace {

using kernels::Executor;
using test::Blocker;
using testing::ElementsAre;
using testing::ElementsAreArray;

TEST(ComputePoolTest, RunsJobsInOrderOfSubmission) {
  std::vector<int> order;
  {
    ComputePool pool(1, 100);
    for (int i = 0; i < 100; ++i) {
      ASSERT_TRUE(pool.TrySubmit([&order, i](Executor&) { order.push_back(i); }).ok());
    }
  }
  std::vector<int> ascending(100);
  std::iota(ascending.begin(), ascending.end(), 0);
  EXPECT_THAT(order, ElementsAreArray(ascending));
}

TEST(ComputePoolTest, NamesItsThreads) {
  std::mutex mutex;
  std::set<std::string> names;
  {
    std::latch both(2);
    ComputePool pool(2, 2);
    for (int i = 0; i < 2; ++i) {
      ASSERT_TRUE(pool.TrySubmit([&](Executor&) {
                        both.arrive_and_wait();  // so that each thread gets one
                        std::array<char, 16> name = {};
                        pthread_getname_np(pthread_self(), name.data(), name.size());
                        const std::lock_guard lock(mutex);
                        names.insert(name.data());
                      })
                      .ok());
    }
  }
  EXPECT_THAT(names, ElementsAre("attention-0", "attention-1"));
}

TEST(ComputePoolTest, HoldsExactlyItsCapacityBesideTheRunningJobs) {
  constexpr int kThreadCount = 2;
  constexpr int kCapacity = 3;
  std::array<Blocker, kThreadCount> blockers;
  std::atomic<int> ran = 0;
  {
    ComputePool pool(kThreadCount, kCapacity);
    // However slowly the threads wake up, jobs that have a thread do not count as waiting.
    for (Blocker& blocker : blockers) ASSERT_TRUE(pool.TrySubmit(blocker.job()).ok());
    EXPECT_EQ(pool.queue_depth(), 0);
    for (int i = 0; i < kCapacity; ++i) {
      ASSERT_TRUE(pool.TrySubmit([&ran](Executor&) { ++ran; }).ok());
      EXPECT_EQ(pool.queue_depth(), i + 1);
    }
    const absl::Status refused = pool.TrySubmit([&ran](Executor&) { ran += 100; });
    EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(refused.message(), "the queue is full: 3 requests wait");
    EXPECT_EQ(pool.queue_depth(), kCapacity);
    for (Blocker& blocker : blockers) blocker.Release();
  }
  EXPECT_EQ(ran, kCapacity);
}

TEST(ComputePoolTest, HasRoomAgainOnceAJobHasFinished) {
  Blocker first;
  Blocker second;
  ComputePool pool(1, 1);
  ASSERT_TRUE(pool.TrySubmit(first.job()).ok());
  ASSERT_TRUE(pool.TrySubmit(second.job()).ok());
  ASSERT_FALSE(pool.TrySubmit([](Executor&) {}).ok());
  first.Release();
  second.WaitUntilRunning();
  EXPECT_EQ(pool.queue_depth(), 0);
  EXPECT_TRUE(pool.TrySubmit([](Executor&) {}).ok());
  second.Release();
}

TEST(ComputePoolTest, RunsAbandonedJobsOnTheCallingThreadAndNoOthers) {
  Blocker blocker;
  std::vector<int> order;  // of one thread at a time
  bool abandoned = false;
  {
    ComputePool pool(1, 4);
    ASSERT_TRUE(pool.TrySubmit(blocker.job()).ok());
    const auto submit = [&](int number, ComputePool::Abandoned is_abandoned) {
      return pool.TrySubmit([&order, number](Executor&) { order.push_back(number); },
                            std::move(is_abandoned));
    };
    ASSERT_TRUE(submit(1, [] { return false; }).ok());
    ASSERT_TRUE(pool.TrySubmit(
                        [&order, caller = std::this_thread::get_id()](Executor& executor) {
                          EXPECT_EQ(std::this_thread::get_id(), caller);
                          EXPECT_EQ(executor.thread_count(), 1);
                          EXPECT_EQ(executor.Run(2, [&](int64_t) { order.push_back(2); }), 1);
                        },
                        [&abandoned] { return abandoned; })
                    .ok());
    ASSERT_TRUE(submit(3, nullptr).ok());
    ASSERT_TRUE(submit(4, [] { return false; }).ok());
    pool.RunAbandoned();
    EXPECT_EQ(pool.queue_depth(), 4);
    abandoned = true;
    pool.RunAbandoned();
    EXPECT_EQ(pool.queue_depth(), 3);
    EXPECT_TRUE(submit(5, nullptr).ok());
    EXPECT_FALSE(submit(6, nullptr).ok());
    blocker.Release();
  }
  EXPECT_THAT(order, ElementsAre(2, 2, 1, 3, 4, 5));
}

TEST(ComputePoolTest, TellsEveryChangeOfTheQueueDepthInOrder) {
  Blocker blocker;
  std::vector<int64_t> depths;
  {
    ComputePool pool(1, 3, [&depths](int64_t depth) { depths.push_back(depth); });
    ASSERT_TRUE(pool.TrySubmit(blocker.job()).ok());
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(pool.TrySubmit([](Executor&) {}).ok());
    blocker.Release();
  }
  EXPECT_THAT(depths, ElementsAre(1, 2, 3, 2, 1, 0));
}

TEST(ComputePoolTest, DestroysARefusedJobAndWhatARunJobOwned) {
  const auto owned = std::make_shared<int>(1);
  Blocker first;
  {
    ComputePool pool(1, 1);
    ASSERT_TRUE(pool.TrySubmit(first.job()).ok());
    ASSERT_TRUE(pool.TrySubmit([owned](Executor&) {}).ok());
    EXPECT_EQ(owned.use_count(), 2);
    EXPECT_FALSE(pool.TrySubmit([owned](Executor&) {}).ok());
    EXPECT_EQ(owned.use_count(), 2);
    first.Release();
  }
  EXPECT_EQ(owned.use_count(), 1);
}

TEST(ComputePoolTest, SleepsWhileThereIsNothingToDoOrOnlyAHelperToWaitFor) {
  constexpr std::chrono::milliseconds kIdle(200);
  const std::clock_t start = std::clock();
  {
    ComputePool pool(4, 1);
    std::this_thread::sleep_for(kIdle);
    ASSERT_TRUE(pool.TrySubmit([&](Executor& executor) {
                      const std::thread::id owner = std::this_thread::get_id();
                      std::latch both_inside(2);
                      executor.Run(2, [&](int64_t) {
                        both_inside.arrive_and_wait();
                        if (std::this_thread::get_id() == owner) return;
                        std::this_thread::sleep_for(kIdle);
                      });
                    })
                    .ok());
  }
  const double busy_seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  EXPECT_LT(busy_seconds, 0.15);  // one spinning thread would make it 0.2, four 0.8
}

TEST(ComputePoolTest, RunsManyTinyJobsFromManyThreads) {
  constexpr int kSubmitterCount = 4;
  constexpr int kJobsEach = 2500;
  std::vector<std::atomic<int>> runs(kSubmitterCount * kJobsEach);
  std::atomic<int64_t> items = 0;
  {
    ComputePool pool(3, 16);
    std::vector<std::jthread> submitters;
    for (int submitter = 0; submitter < kSubmitterCount; ++submitter) {
      submitters.emplace_back([&, submitter] {
        for (int i = 0; i < kJobsEach; ++i) {
          const size_t job = static_cast<size_t>(submitter * kJobsEach + i);
          const auto try_submit = [&] {
            return pool.TrySubmit([&runs, &items, job](Executor& executor) {
              ++runs[job];
              executor.Run(static_cast<int64_t>(job % 4), [&items](int64_t) { ++items; });
            });
          };
          while (!try_submit().ok()) std::this_thread::yield();
        }
      });
    }
    submitters.clear();  // joins
  }
  for (const std::atomic<int>& count : runs) ASSERT_EQ(count, 1);
  EXPECT_EQ(items, kSubmitterCount * kJobsEach * (0 + 1 + 2 + 3) / 4);
}

TEST(ComputePoolTest, FinishesEveryAcceptedJobWhenDestroyedUnderLoad) {
  for (int round = 0; round < 100; ++round) {
    int64_t accepted = 0;
    std::atomic<int64_t> finished = 0;
    std::atomic<int64_t> items = 0;
    {
      ComputePool pool(1 + round % 4, 8);
      for (int i = 0; i < 20; ++i) {
        accepted += pool.TrySubmit([&](Executor& executor) {
                          executor.Run(32, [&](int64_t) { ++items; });
                          ++finished;
                        })
                        .ok();
      }
    }
    ASSERT_GE(accepted, 9);
    ASSERT_EQ(finished, accepted);
    ASSERT_EQ(items, 32 * accepted);
  }
}

TEST(ComputePoolTest, AcceptsJobsFromJobs) {
  std::latch inner_ran(1);
  ComputePool pool(1, 1);
  ASSERT_TRUE(pool.TrySubmit([&](Executor&) {
                    EXPECT_TRUE(pool.TrySubmit([&](Executor&) { inner_ran.count_down(); }).ok());
                  })
                  .ok());
  inner_ran.wait();
}

TEST(ComputePoolDeathTest, EndsTheProcessIfAJobThrows) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        ComputePool pool(1, 1);
        (void)pool.TrySubmit([](Executor&) { throw std::system_error(std::error_code()); });
      },
      "");
}

}  // namespace
}  // namespace attention::server
