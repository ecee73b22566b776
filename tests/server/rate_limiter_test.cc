#include "server/rate_limiter.h"

#include <optional>

#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"

namespace attention::server {
namespace {

TEST(RateLimiterTest, LetsSoManyThroughASecondAndCountsTheOthers) {
  test::FakeClock clock;
  RateLimiter limiter(2, clock);
  EXPECT_EQ(limiter.Allow(), 0);
  EXPECT_EQ(limiter.Allow(), 0);
  EXPECT_EQ(limiter.Allow(), std::nullopt);
  clock.Advance(std::chrono::milliseconds(999));
  EXPECT_EQ(limiter.Allow(), std::nullopt);
  clock.Advance(std::chrono::milliseconds(1));
  EXPECT_EQ(limiter.Allow(), 2) << "suppressed since the last line";
  EXPECT_EQ(limiter.Allow(), 0);
  EXPECT_EQ(limiter.Allow(), std::nullopt);
}

}  // namespace
}  // namespace attention::server
