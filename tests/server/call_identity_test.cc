#include "server/call_identity.h"

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attention::server {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using std::chrono::system_clock;

TEST(NewRequestIdTest, IsSixteenHexadecimalDigits) {
  EXPECT_THAT(NewRequestId(), testing::MatchesRegex("[0-9a-f]{16}"));
}

TEST(NewRequestIdTest, IsUniqueAcrossThreads) {
  std::vector<std::vector<std::string>> ids(4);
  std::vector<std::thread> threads;
  for (auto& own : ids) {
    threads.emplace_back([&own] {
      for (int i = 0; i < 5000; ++i) own.push_back(NewRequestId());
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<std::string> distinct;
  for (const auto& own : ids) distinct.insert(own.begin(), own.end());
  EXPECT_EQ(distinct.size(), 20'000U);
}

TEST(IsTraceparentTest, AcceptsTheRecommendationsExample) {
  EXPECT_TRUE(IsTraceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
}

TEST(IsTraceparentTest, RefusesEverythingElse) {
  for (const char* text : {
           "",
           "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
           "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
           "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
           "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
           "00-00000000000000000000000000000000-b7ad6b7169203331-01",
           "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
           "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
           "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
           "00-0af7651916cd43dd8448eb211c80319c\nb7ad6b7169203331-01",
       }) {
    EXPECT_FALSE(IsTraceparent(text)) << text;
  }
}

TEST(EffectiveDeadlineTest, IsTheCallersUnlessThatIsTooFarAway) {
  const system_clock::time_point system_now = system_clock::time_point() + hours(24 * 365 * 56);
  const TimePoint now = TimePoint() + hours(5);
  const auto deadline = [&](system_clock::time_point requested) {
    return EffectiveDeadline(requested, system_now, now, seconds(300)) - now;
  };
  EXPECT_EQ(deadline(system_now + seconds(7)), seconds(7));
  EXPECT_EQ(deadline(system_now + seconds(300)), seconds(300));
  EXPECT_EQ(deadline(system_now + seconds(301)), seconds(300));
  EXPECT_EQ(deadline(system_clock::time_point::max()), seconds(300)) << "no deadline at all";
  EXPECT_EQ(deadline(system_now - seconds(7)), seconds(-7));
}

}  // namespace
}  // namespace attention::server
