// A clock that tests turn by hand.

#ifndef ATTENTION_TESTS_SUPPORT_FAKE_CLOCK_H_
#define ATTENTION_TESTS_SUPPORT_FAKE_CLOCK_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <utility>

#include "server/core/clock.h"

namespace attention::test {

// Starts one hour after the epoch and moves only when told to.
// Thread safety: all methods may be called from any thread, but OnNow.
class FakeClock final : public server::Clock {
 public:
  [[nodiscard]] server::TimePoint Now() const override {
    const int64_t call = now_call_count_.fetch_add(1) + 1;
    if (on_now_) on_now_(call);
    return server::TimePoint(std::chrono::nanoseconds(now_ns_.load()));
  }

  void Advance(std::chrono::nanoseconds step) { now_ns_.fetch_add(step.count()); }

  // Calls `on_now` before each answer, with the number of questions so far. Set it before the clock
  // is shared.
  void OnNow(std::function<void(int64_t call)> on_now) { on_now_ = std::move(on_now); }

  [[nodiscard]] int64_t now_call_count() const { return now_call_count_.load(); }

 private:
  std::function<void(int64_t)> on_now_;
  std::atomic<int64_t> now_ns_ = int64_t{3600} * 1'000'000'000;
  mutable std::atomic<int64_t> now_call_count_ = 0;
};

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SUPPORT_FAKE_CLOCK_H_
