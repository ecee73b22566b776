#include "server/core/compute_threads.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <optional>
#include <thread>

namespace attention::server {
namespace {

TEST(ComputeThreadsTest, UsesEveryProcessorUnlessToldOtherwise) {
  EXPECT_EQ(ComputeThreadCount(8, std::nullopt, std::nullopt), 8);
}

TEST(ComputeThreadsTest, TakesTheSmallestOfAffinityQuotaAndWish) {
  EXPECT_EQ(ComputeThreadCount(8, 4.0, std::nullopt), 4);
  EXPECT_EQ(ComputeThreadCount(8, 4.0, 2), 2);
  EXPECT_EQ(ComputeThreadCount(8, 4.0, 6), 4);
  EXPECT_EQ(ComputeThreadCount(3, 4.0, 6), 3);
  EXPECT_EQ(ComputeThreadCount(8, std::nullopt, 100), 8);
}

TEST(ComputeThreadsTest, RoundsTheQuotaDownButNeverToNothing) {
  EXPECT_EQ(ComputeThreadCount(8, 2.9, std::nullopt), 2);
  EXPECT_EQ(ComputeThreadCount(8, 1.0, std::nullopt), 1);
  EXPECT_EQ(ComputeThreadCount(8, 0.1, std::nullopt), 1);
  EXPECT_EQ(ComputeThreadCount(8, 1e30, std::nullopt), 8);
}

TEST(ComputeThreadsTest, CountsTheProcessorsOfTheAffinityMask) {
  int count_when_pinned = 0;
  const int count = AffinityCpuCount();
  std::thread([&count_when_pinned] {
    cpu_set_t mask;
    ASSERT_EQ(sched_getaffinity(0, sizeof mask, &mask), 0);
    int first = 0;
    while (!CPU_ISSET(first, &mask)) ++first;
    CPU_ZERO(&mask);
    CPU_SET(first, &mask);
    ASSERT_EQ(sched_setaffinity(0, sizeof mask, &mask), 0);
    count_when_pinned = AffinityCpuCount();
  }).join();
  EXPECT_EQ(count_when_pinned, 1);
  EXPECT_GE(count, 1);
  EXPECT_GE(ComputeThreadCount(std::nullopt), 1);
  EXPECT_LE(ComputeThreadCount(std::nullopt), count);
}

}  // namespace
}  // namespace attention::server
