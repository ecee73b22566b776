#include "server/core/guarded.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

#include "absl/status/statusor.h"

namespace attention::server {
namespace {

TEST(GuardedTest, ReturnsWhatTheWorkReturns) {
  EXPECT_EQ(*Guarded([]() -> absl::StatusOr<int> { return 7; }), 7);
  EXPECT_EQ(Guarded([] { return absl::AbortedError("x"); }), absl::AbortedError("x"));
}

TEST(GuardedTest, TurnsExceptionsIntoStatuses) {
  const auto no_memory = Guarded([]() -> absl::StatusOr<int> { throw std::bad_alloc(); });
  EXPECT_EQ(no_memory.status().code(), absl::StatusCode::kResourceExhausted);
  const auto fault = Guarded([]() -> absl::Status { throw std::runtime_error("why"); });
  EXPECT_EQ(fault, absl::InternalError("why"));
}

}  // namespace
}  // namespace attention::server
