// A job that lasts as long as a test wants.

#ifndef ATTENTION_TESTS_SERVER_CORE_BLOCKER_H_
#define ATTENTION_TESTS_SERVER_CORE_BLOCKER_H_

#include <latch>

#include "server/core/compute_pool.h"

namespace attention::test {

// Occupies a thread until released. Must outlive its job.
class Blocker {
 public:
  server::ComputePool::Job job() {
    return [this](kernels::Executor&) {
      running_.count_down();
      release_.wait();
    };
  }
  void WaitUntilRunning() { running_.wait(); }
  void Release() { release_.count_down(); }

 private:
  std::latch running_{1};
  std::latch release_{1};
};

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SERVER_CORE_BLOCKER_H_
