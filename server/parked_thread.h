// Threads for the end of a process, when there may be no room for new ones.

#ifndef ATTENTION_SERVER_PARKED_THREAD_H_
#define ATTENTION_SERVER_PARKED_THREAD_H_

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "absl/functional/any_invocable.h"

namespace attention::server {

// A thread that exists from the beginning and sleeps until it gets its work, once. Thread safety:
// one thread runs, asks and destroys it.
class ParkedThread {
 public:
  // Throws std::system_error if the thread cannot be started.
  ParkedThread() : thread_([this] { Wait(); }) {}

  // Waits for the work, if it has got any.
  ~ParkedThread();

  ParkedThread(const ParkedThread&) = delete;
  ParkedThread& operator=(const ParkedThread&) = delete;

  // Has the thread call `work`, which must not throw. At most once.
  void Run(absl::AnyInvocable<void() &&> work);

  // Whether the work is done, within `timeout`.
  [[nodiscard]] bool WaitFor(std::chrono::milliseconds timeout);

 private:
  void Wait();

  std::mutex mutex_;
  std::condition_variable changed_;
  absl::AnyInvocable<void() &&> work_;  // guarded by mutex_, as the rest down to thread_
  bool ending_ = false;
  bool done_ = false;
  std::thread thread_;  // last: it uses the rest
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_PARKED_THREAD_H_
