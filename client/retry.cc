#include "client/retry.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <thread>

namespace attention::client {
namespace {

using std::chrono::milliseconds;

class RealClock final : public RetryClock {
 public:
  TimePoint Now() override { return std::chrono::steady_clock::now(); }
  void SleepFor(milliseconds duration) override { std::this_thread::sleep_for(duration); }
};

std::optional<milliseconds> ParsePushback(std::string_view text) {
  uint32_t wait_ms = 0;  // refuses a sign, and bounds the wait to 50 days
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), wait_ms);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return milliseconds(wait_ms);
}

milliseconds Backoff(int attempt, const RetryOptions& options, double random) {
  const double doubled =
      std::ldexp(static_cast<double>(options.initial_backoff.count()), attempt - 1);
  const double bounded = std::min(doubled, static_cast<double>(options.max_backoff.count()));
  return milliseconds(std::lround(bounded * (0.8 + 0.4 * random)));
}

}  // namespace

RetryClock* RetryClock::Real() {
  static RealClock clock;
  return &clock;
}

std::optional<milliseconds> WaitBeforeRetry(const FailedAttempt& failed,
                                            const RetryOptions& options, double random) {
  const bool unavailable = failed.code == absl::StatusCode::kUnavailable;
  if (!unavailable && failed.code != absl::StatusCode::kResourceExhausted) return std::nullopt;
  if (failed.attempt >= options.max_attempts) return std::nullopt;
  if (failed.pushbacks.size() == 1) return ParsePushback(failed.pushbacks.front());
  if (failed.pushbacks.empty() && unavailable) return Backoff(failed.attempt, options, random);
  return std::nullopt;
}

}  // namespace attention::client
