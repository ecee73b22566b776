// Lets some events through and counts the others.

#ifndef ATTENTION_SERVER_RATE_LIMITER_H_
#define ATTENTION_SERVER_RATE_LIMITER_H_

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

#include "server/core/clock.h"

namespace attention::server {

// At most `events_per_second` in each second of the clock. Thread safety: all methods may be called
// from any thread.
class RateLimiter {
 public:
  RateLimiter(int64_t events_per_second, const Clock& clock)
      : events_per_second_(events_per_second), clock_(clock) {}

  // Nothing if the event is to be suppressed; otherwise how many were suppressed since the last
  // that was not.
  [[nodiscard]] std::optional<int64_t> Allow() {
    const std::lock_guard<std::mutex> lock(mutex_);
    const TimePoint now = clock_.Now();
    if (now - second_start_ >= std::chrono::seconds(1)) {
      second_start_ = now;
      allowed_ = 0;
    }
    if (allowed_ >= events_per_second_) {
      ++suppressed_;
      return std::nullopt;
    }
    ++allowed_;
    return std::exchange(suppressed_, 0);
  }

 private:
  const int64_t events_per_second_;
  const Clock& clock_;
  std::mutex mutex_;
  TimePoint second_start_;
  int64_t allowed_ = 0;
  int64_t suppressed_ = 0;
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_RATE_LIMITER_H_
