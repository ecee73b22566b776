#include "server/core/byte_budget.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <thread>
#include <utility>
#include <vector>

namespace attention::server {
namespace {

TEST(ByteBudgetTest, GivesOutItsCapacityExactly) {
  ByteBudget budget(100);
  const ByteBudget::Permit first = budget.TryAcquire(60);
  const ByteBudget::Permit second = budget.TryAcquire(40);
  EXPECT_TRUE(first);
  EXPECT_TRUE(second);
  EXPECT_EQ(budget.used_bytes(), 100);
  EXPECT_FALSE(budget.TryAcquire(1));
  EXPECT_TRUE(budget.TryAcquire(0));
}

TEST(ByteBudgetTest, TakesNothingForARefusal) {
  ByteBudget budget(100);
  const ByteBudget::Permit first = budget.TryAcquire(60);
  EXPECT_FALSE(budget.TryAcquire(41));
  EXPECT_EQ(budget.used_bytes(), 60);
}

TEST(ByteBudgetTest, RefusesWhatWouldOverflow) {
  constexpr int64_t kLargest = std::numeric_limits<int64_t>::max();
  ByteBudget budget(kLargest);
  const ByteBudget::Permit first = budget.TryAcquire(1);
  EXPECT_FALSE(budget.TryAcquire(kLargest));
  EXPECT_TRUE(budget.TryAcquire(kLargest - 1));
}

TEST(ByteBudgetTest, RefusesANegativeSize) {
  ByteBudget budget(100);
  EXPECT_FALSE(budget.TryAcquire(-1));
  EXPECT_FALSE(budget.TryAcquire(std::numeric_limits<int64_t>::min()));
  EXPECT_EQ(budget.used_bytes(), 0);
}

TEST(ByteBudgetTest, TakesItsBytesBackOnceHoweverPermitsMove) {
  ByteBudget budget(100);
  {
    ByteBudget::Permit outer;
    {
      ByteBudget::Permit inner = budget.TryAcquire(30);
      const ByteBudget::Permit moved = std::move(inner);
      EXPECT_EQ(budget.used_bytes(), 30);
      outer = budget.TryAcquire(50);
      EXPECT_EQ(budget.used_bytes(), 80);
    }
    EXPECT_EQ(budget.used_bytes(), 50);
    outer = {};
    EXPECT_EQ(budget.used_bytes(), 0);
  }
  EXPECT_EQ(budget.used_bytes(), 0);
}

TEST(ByteBudgetTest, NeverGivesOutMoreThanItsCapacityToThreads) {
  constexpr int64_t kCapacityBytes = 10;
  ByteBudget budget(kCapacityBytes);
  std::atomic<int64_t> held_bytes = 0;
  std::atomic<bool> exceeded = false;
  {
    std::vector<std::jthread> threads;
    for (int64_t bytes = 2; bytes <= 5; ++bytes) {
      threads.emplace_back([&, bytes] {
        for (int round = 0; round < 20'000; ++round) {
          const ByteBudget::Permit permit = budget.TryAcquire(bytes);
          if (!permit) continue;
          if (held_bytes.fetch_add(bytes) + bytes > kCapacityBytes) exceeded = true;
          held_bytes.fetch_sub(bytes);
        }
      });
    }
  }
  EXPECT_FALSE(exceeded);
  EXPECT_EQ(budget.used_bytes(), 0);
}

}  // namespace
}  // namespace attention::server
