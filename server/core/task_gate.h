// Counts who is inside, and closes for good.

#ifndef ATTENTION_SERVER_CORE_TASK_GATE_H_
#define ATTENTION_SERVER_CORE_TASK_GATE_H_

#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "server/core/clock.h"

namespace attention::server {

// Once Close has returned, the count only falls: whoever was inside may finish, nobody else comes
// in. Thread safety: all methods may be called from any thread.
class TaskGate {
 public:
  // False when closed; true obliges to Leave.
  [[nodiscard]] bool Enter() {
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    ++inside_count_;
    return true;
  }

  void Leave() {
    const std::lock_guard lock(mutex_);
    if (--inside_count_ == 0) empty_.notify_all();
  }

  void Close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }

  [[nodiscard]] bool closed() const {
    const std::lock_guard lock(mutex_);
    return closed_;
  }

  // Waits until nobody is inside; false if somebody still is at `deadline`, of the machine's
  // monotonic clock.
  [[nodiscard]] bool WaitUntilEmpty(TimePoint deadline) {
    std::unique_lock lock(mutex_);
    const auto empty = [this] { return inside_count_ == 0; };
    if (deadline != TimePoint::max()) return empty_.wait_until(lock, deadline, empty);
    empty_.wait(lock, empty);
    return true;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable empty_;
  int64_t inside_count_ = 0;
  bool closed_ = false;
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_TASK_GATE_H_
