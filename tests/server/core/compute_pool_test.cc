#include "server/core/compute_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <latch>
#include <mutex>
#include <numeric>
#include <semaphore>
#include <set>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace attention::server {
namespace {

using kernels::Executor;
using testing::ElementsAre;
using testing::ElementsAreArray;

// Occupies a thread until released.
class Blocker {
 public:
  ComputePool::Job job() {
    return [this](Executor&) {
      running_.count_down();
      release_.wait();
    };
  }
  void WaitUntilRunning() { running_.wait(); }
  void Release() { release_.count_down(); }

 private:
  std::latch running_{1};
  std::latch release_{1};
};

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

TEST(ComputePoolTest, RunsEveryItemOnceWhateverTheThreadCount) {
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

TEST(ComputePoolTest, LendsIdleThreadsAndCountsThem) {
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

TEST(ComputePoolTest, LendsAThreadAsSoonAsItsOwnJobIsDone) {
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

TEST(ComputePoolTest, CountsAThreadThatComesBackToHelpOnce) {
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
TEST(ComputePoolTest, DoesNotKeepASmallJobWaitingForMoreThanTheItemAtHand) {
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

TEST(ComputePoolTest, SharesHelpersBetweenJobsThatAreBothLarge) {
  // Each of the two jobs needs one helper at the same time to get on.
  std::latch first_pair(2);
  std::latch second_pair(2);
  std::latch all_inside(4);
  int first_took_part = 0;
  int second_took_part = 0;
  {
    ComputePool pool(4, 2);
    const auto job = [&all_inside](std::latch& pair, int& took_part) {
      return [&](Executor& executor) {
        took_part = executor.Run(2, [&](int64_t) {
          pair.arrive_and_wait();
          all_inside.arrive_and_wait();
        });
      };
    };
    ASSERT_TRUE(pool.TrySubmit(job(first_pair, first_took_part)).ok());
    ASSERT_TRUE(pool.TrySubmit(job(second_pair, second_took_part)).ok());
  }
  EXPECT_EQ(first_took_part, 2);
  EXPECT_EQ(second_took_part, 2);
}

TEST(ComputePoolTest, RunsANestedRunOnTheItemsOwnThread) {
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

// A section ends while helpers are on their way in or out, and its memory is used again at once.
TEST(ComputePoolTest, SurvivesManyShortSectionsInARow) {
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
