// How a ComputePool lends its threads to a job.

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <latch>
#include <mutex>
#include <semaphore>
#include <set>
#include <thread>
#include <vector>

#include "server/core/compute_pool.h"
#include "tests/server/core/blocker.h"

namespace attention::server {
namespace {

using kernels::Executor;
using test::Blocker;

TEST(ComputePoolExecutorTest, RunsEveryItemOnceWhateverTheThreadCount) {
  for (const int thread_count : {1, 2, 3, 8}) {
    for (const int64_t item_count : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<size_t>(item_count));
      int took_part = 0;
      {
        ComputePool pool(thread_count, 1);
        ASSERT_TRUE(pool.TrySubmit([&](Executor& executor) {
                          took_part = executor.Run(
                              item_count, [&](int64_t item) { ++runs[static_cast<size_t>(item)]; });
                        })
                        .ok());
      }
      for (const std::atomic<int>& count : runs) EXPECT_EQ(count, 1);
      EXPECT_GE(took_part, 1);
      EXPECT_LE(took_part, thread_count);
    }
  }
}

TEST(ComputePoolExecutorTest, LendsIdleThreadsAndCountsThem) {
  constexpr int kThreadCount = 4;
  std::latch all_inside(kThreadCount);  // passes only if as many threads run items at the same time
  int took_part = 0;
  std::mutex mutex;
  std::set<std::thread::id> threads;
  {
    ComputePool pool(kThreadCount, 1);
    ASSERT_TRUE(pool.TrySubmit([&](Executor& executor) {
                      took_part = executor.Run(kThreadCount, [&](int64_t) {
                        all_inside.arrive_and_wait();
                        const std::lock_guard lock(mutex);
                        threads.insert(std::this_thread::get_id());
                      });
                    })
                    .ok());
  }
  EXPECT_EQ(took_part, kThreadCount);
  EXPECT_EQ(threads.size(), static_cast<size_t>(kThreadCount));
}

TEST(ComputePoolExecutorTest, LendsAThreadAsSoonAsItsOwnJobIsDone) {
  Blocker other_job;
  std::latch both_inside(2);
  int took_part = 0;
  {
    ComputePool pool(2, 1);
    ASSERT_TRUE(pool.TrySubmit(other_job.job()).ok());
    other_job.WaitUntilRunning();
    ASSERT_TRUE(pool.TrySubmit([&](Executor& executor) {
                      took_part = executor.Run(2, [&](int64_t item) {
                        if (item == 0) other_job.Release();
                        both_inside.arrive_and_wait();
                      });
                    })
                    .ok());
  }
  EXPECT_EQ(took_part, 2);
}

TEST(ComputePoolExecutorTest, CountsAThreadThatComesBackToHelpOnce) {
  std::binary_semaphore helper_may_go(0);
  std::latch helper_inside(1);
  std::latch small_job_done(1);
  std::atomic<bool> came_back = false;
  int took_part = 0;
  {
    ComputePool pool(2, 1);
    ASSERT_TRUE(pool.TrySubmit([&](Executor& executor) {
                      const std::thread::id owner = std::this_thread::get_id();
                      took_part = executor.Run(3, [&](int64_t item) {
                        if (std::this_thread::get_id() == owner) {
                          // Item 0 is the owner's and lasts until the helper has run the rest.
                          while (!came_back) std::this_thread::yield();
                        } else if (item == 1) {
                          helper_inside.count_down();
                          helper_may_go.acquire();
                        } else {
                          small_job_done.wait();
                          came_back = true;
                        }
                      });
                    })
                    .ok());
    helper_inside.wait();
    ASSERT_TRUE(pool.TrySubmit([&](Executor&) { small_job_done.count_down(); }).ok());
    helper_may_go.release();
  }
  EXPECT_TRUE(came_back);
  EXPECT_EQ(took_part, 2);
}

// The huge job still has thousands of items when the small one arrives; the helper, once done with
// the item at hand, must take the small job instead of another item.
TEST(ComputePoolExecutorTest, DoesNotKeepASmallJobWaitingForMoreThanTheItemAtHand) {
  constexpr int64_t kItemCount = 5000;
  std::latch both_inside(3);
  std::latch small_job_done(1);
  std::atomic<int64_t> helper_items = 0;
  std::atomic<int64_t> helper_items_before_small_job = -1;
  std::latch small_job_submitted(1);
  {
    ComputePool pool(2, 4);
    ASSERT_TRUE(pool.TrySubmit([&](Executor& executor) {
                      const std::thread::id owner = std::this_thread::get_id();
                      executor.Run(kItemCount, [&](int64_t item) {
                        const bool is_owner = std::this_thread::get_id() == owner;
                        if (!is_owner) ++helper_items;
                        if (item < 2) {
                          both_inside.arrive_and_wait();
                          small_job_submitted.wait();
                          if (is_owner)
                            small_job_done.wait();  // the owner's item at hand takes long
                        }
                      });
                    })
                    .ok());
    both_inside.arrive_and_wait();
    ASSERT_TRUE(pool.TrySubmit([&](Executor&) {
                      helper_items_before_small_job = helper_items.load();
                      small_job_done.count_down();
                    })
                    .ok());
    small_job_submitted.count_down();
  }
  EXPECT_EQ(helper_items_before_small_job, 1);
}

// Each of two large jobs needs one helper to get on, while the other one could use both.
TEST(ComputePoolExecutorTest, SharesHelpersBetweenJobsThatAreBothLarge) {
  std::array<Blocker, 2> blockers;  // on the threads that shall help, until both jobs want help
  std::latch both_want_help(2);
  std::latch all_inside(4);
  std::array<std::latch, 2> pairs = {std::latch(2), std::latch(2)};
  std::array<int, 2> took_part = {};
  {
    ComputePool pool(4, 2);
    for (Blocker& blocker : blockers) ASSERT_TRUE(pool.TrySubmit(blocker.job()).ok());
    for (size_t job = 0; job < 2; ++job) {
      ASSERT_TRUE(pool.TrySubmit([&, job](Executor& executor) {
                        took_part[job] = executor.Run(100, [&, job](int64_t item) {
                          if (item == 0) both_want_help.count_down();
                          if (item < 2) pairs[job].arrive_and_wait();
                          if (item < 2) all_inside.count_down();
                          all_inside.wait();
                        });
                      })
                      .ok());
    }
    both_want_help.wait();
    for (Blocker& blocker : blockers) blocker.Release();
  }
  EXPECT_GE(took_part[0], 2);
  EXPECT_GE(took_part[1], 2);
}

TEST(ComputePoolExecutorTest, LendsThreadsUntilTheLastJobIsDone) {
  std::latch running(1);
  std::latch both_inside(2);
  {
    ComputePool pool(2, 1);
    ASSERT_TRUE(pool.TrySubmit([&](Executor& executor) {
                      running.count_down();
                      // Long enough for the pool's destructor to have begun.
                      std::this_thread::sleep_for(std::chrono::milliseconds(20));
                      executor.Run(2, [&](int64_t) { both_inside.arrive_and_wait(); });
                    })
                    .ok());
    running.wait();
  }
  EXPECT_TRUE(both_inside.try_wait());
}

TEST(ComputePoolExecutorTest, RunsANestedRunOnTheItemsOwnThread) {
  std::atomic<int> nested_items = 0;
  std::atomic<bool> left_the_thread = false;
  std::atomic<bool> shared = false;
  {
    ComputePool pool(4, 1);
    ASSERT_TRUE(pool.TrySubmit([&](Executor& executor) {
                      executor.Run(50, [&](int64_t) {
                        const std::thread::id outer = std::this_thread::get_id();
                        const int took_part = executor.Run(10, [&](int64_t) {
                          if (std::this_thread::get_id() != outer) left_the_thread = true;
                          ++nested_items;
                        });
                        if (took_part != 1) shared = true;
                      });
                    })
                    .ok());
  }
  EXPECT_EQ(nested_items, 500);
  EXPECT_FALSE(left_the_thread);
  EXPECT_FALSE(shared);
}

TEST(ComputePoolExecutorTest, SharesWhatARunOfASingleItemRuns) {
  std::latch both_inside(2);
  int took_part = 0;
  {
    ComputePool pool(2, 1);
    ASSERT_TRUE(pool.TrySubmit([&](Executor& executor) {
                      executor.Run(1, [&](int64_t) {
                        took_part =
                            executor.Run(2, [&](int64_t) { both_inside.arrive_and_wait(); });
                      });
                    })
                    .ok());
  }
  EXPECT_EQ(took_part, 2);
}

// A section ends while helpers are on their way in or out, and its memory is used again at once.
TEST(ComputePoolExecutorTest, SurvivesManyShortSectionsInARow) {
  std::atomic<int64_t> items = 0;
  {
    ComputePool pool(4, 2);
    for (int job = 0; job < 2; ++job) {
      ASSERT_TRUE(pool.TrySubmit([&](Executor& executor) {
                        for (int64_t run = 0; run < 3000; ++run) {
                          int64_t on_this_run[5] = {};  // gone when Run returns: nobody may be late
                          executor.Run(5, [&](int64_t item) { on_this_run[item] = item + 1; });
                          for (const int64_t value : on_this_run) items += value > 0;
                        }
                      })
                      .ok());
    }
  }
  EXPECT_EQ(items, 2 * 3000 * 5);
}

}  // namespace
}  // namespace attention::server
