// When callers who were refused may try again.

#ifndef ATTENTION_SERVER_CORE_RETRY_PUSHBACK_H_
#define ATTENTION_SERVER_CORE_RETRY_PUSHBACK_H_

#include <atomic>
#include <cstdint>

namespace attention::server {

// Thread safety: any number of threads may call all of it. Never throws.
class RetryPushback {
 public:
  explicit RetryPushback(int thread_count) : thread_count_(thread_count) {}

  // A task was computed, in this many seconds.
  void Computed(double seconds);

  // About as long as the waiting tasks will take, by what the latest ones took: (depth + 1) * mean
  // / threads. A quarter more or less, so that those who were refused together do not come back
  // together; between 20 ms and 5 s.
  [[nodiscard]] int64_t Milliseconds(int64_t queue_depth);

 private:
  const int thread_count_;
  std::atomic<double> mean_seconds_ = 0;
  std::atomic<uint32_t> count_ = 0;  // of answers
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_RETRY_PUSHBACK_H_
