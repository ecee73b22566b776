// gRPC's values as this library has them.

#ifndef ATTENTION_CLIENT_GRPC_VALUES_H_
#define ATTENTION_CLIENT_GRPC_VALUES_H_

#include <algorithm>
#include <chrono>

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace attention::client {

// The numbers of gRPC's codes and abseil's are the same by design.
[[nodiscard]] inline absl::Status ToAbslStatus(const grpc::Status& status) {
  return {static_cast<absl::StatusCode>(status.error_code()), status.error_message()};
}

// `duration` after `now`, or the last point in time that the clock has; a negative one is over.
template <typename TimePoint, typename Duration>
[[nodiscard]] TimePoint After(TimePoint now, Duration duration) {
  const Duration until_last = std::chrono::floor<Duration>(TimePoint::max() - now);
  if (duration >= until_last) return TimePoint::max();
  return now + std::max(duration, Duration::zero());
}

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_GRPC_VALUES_H_
