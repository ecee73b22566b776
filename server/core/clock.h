// Time, as an argument: tests turn the clock by hand.

#ifndef ATTENTION_SERVER_CORE_CLOCK_H_
#define ATTENTION_SERVER_CORE_CLOCK_H_

#include <chrono>

namespace attention::server {

using TimePoint = std::chrono::steady_clock::time_point;

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual TimePoint Now() const = 0;
};

// The machine's monotonic clock.
class SteadyClock final : public Clock {
 public:
  [[nodiscard]] TimePoint Now() const override { return std::chrono::steady_clock::now(); }
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_CLOCK_H_
