#include "server/core/request_context.h"

#include <gtest/gtest.h>

#include <chrono>

#include "tests/support/fake_clock.h"

namespace attention::server {
namespace {

using std::chrono::milliseconds;
using test::FakeClock;

TEST(RequestContextTest, GoesOnWhileNothingHappens) {
  FakeClock clock;
  const TimePoint start = clock.Now();
  const RequestContext context("request-1", start + milliseconds(10), clock);
  clock.Advance(milliseconds(10) - std::chrono::nanoseconds(1));
  EXPECT_FALSE(context.StopRequested());
  EXPECT_TRUE(context.StopStatus().ok());
  EXPECT_EQ(context.arrival(), start);
  EXPECT_EQ(context.deadline(), start + milliseconds(10));
  EXPECT_EQ(context.request_id(), "request-1");
}

TEST(RequestContextTest, StopsAtItsDeadline) {
  FakeClock clock;
  const RequestContext context("request-1", clock.Now() + milliseconds(10), clock);
  clock.Advance(milliseconds(10));
  EXPECT_TRUE(context.StopRequested());
  EXPECT_EQ(context.StopStatus().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_NE(context.StopStatus().message().find("--max-deadline-seconds"), std::string::npos);
}

TEST(RequestContextTest, NeverStopsForADeadlineThatIsNone) {
  FakeClock clock;
  const RequestContext context("request-1", TimePoint::max(), clock);
  clock.Advance(TimePoint::max() - clock.Now());
  EXPECT_FALSE(context.StopRequested());
  EXPECT_TRUE(context.StopStatus().ok());
}

TEST(RequestContextTest, StopsWhenCancelled) {
  FakeClock clock;
  RequestContext context("request-1", TimePoint::max(), clock);
  context.Cancel();
  EXPECT_TRUE(context.StopRequested());
  EXPECT_EQ(context.StopStatus().code(), absl::StatusCode::kCancelled);
}

TEST(RequestContextTest, TellsWhichOfCancellationAndDeadlineCameFirst) {
  FakeClock clock;
  RequestContext expired("request-1", clock.Now() + milliseconds(10), clock);
  RequestContext cancelled("request-2", clock.Now() + milliseconds(10), clock);
  cancelled.Cancel();
  clock.Advance(milliseconds(10));
  expired.Cancel();
  EXPECT_EQ(expired.StopStatus().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(cancelled.StopStatus().code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace attention::server
