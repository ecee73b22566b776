// When a failed call is tried again, and after which wait. A decision only: nothing here calls or
// sleeps.
//
//   UNAVAILABLE          after exponential backoff with jitter, or after the wait the server names
//   RESOURCE_EXHAUSTED   only if the server names a wait, and after that wait
//   anything else        never
//
// The server names a wait by `grpc-retry-pushback-ms` in its trailer (gRFC A6): a decimal number of
// milliseconds. A value that is negative, malformed or given twice means: do not try again.

#ifndef ATTENTION_CLIENT_RETRY_H_
#define ATTENTION_CLIENT_RETRY_H_

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace attention::client {

inline constexpr std::string_view kPushbackTrailer = "grpc-retry-pushback-ms";

struct RetryOptions {
  // Attempts of one call, the first included. 1 turns retries off.
  int max_attempts = 4;

  // The wait after the first attempt; doubled after each further one, up to the maximum. The real
  // wait is a random one between 0.8 and 1.2 times that, so that clients that failed together do
  // not come back together.
  std::chrono::milliseconds initial_backoff{100};
  std::chrono::milliseconds max_backoff{5000};
};

// Time, so that tests need not wait, but for a connection: gRPC waits for that by the machine's
// clock. Implementations are thread-safe.
class RetryClock {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  virtual ~RetryClock() = default;
  [[nodiscard]] virtual TimePoint Now() = 0;
  virtual void SleepFor(std::chrono::milliseconds duration) = 0;

  // The machine's clock; lives forever.
  static RetryClock* Real();
};

struct FailedAttempt {
  absl::StatusCode code;
  int attempt;                              // 1 for the first
  std::vector<std::string> pushbacks = {};  // all values of kPushbackTrailer
};

// The wait before the next attempt, or nothing if there must be none. `random` is uniform in
// [0, 1).
[[nodiscard]] std::optional<std::chrono::milliseconds> WaitBeforeRetry(const FailedAttempt& failed,
                                                                       const RetryOptions& options,
                                                                       double random);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_RETRY_H_
