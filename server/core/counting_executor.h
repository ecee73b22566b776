// Remembers how many threads a computation had.

#ifndef ATTENTION_SERVER_CORE_COUNTING_EXECUTOR_H_
#define ATTENTION_SERVER_CORE_COUNTING_EXECUTOR_H_

#include <algorithm>
#include <cstdint>

#include "absl/functional/function_ref.h"
#include "kernels/execution.h"

namespace attention::server {

// Passes work on, to null as to the calling thread alone, and remembers the most threads that took
// part.
class CountingExecutor final : public kernels::Executor {
 public:
  explicit CountingExecutor(kernels::Executor* executor) : executor_(executor) {}

  int Run(int64_t item_count, absl::FunctionRef<void(int64_t)> work) override {
    const int thread_count =
        kernels::RunItems({.executor = executor_, .stop = nullptr}, item_count, work);
    most_threads_ = std::max(most_threads_, thread_count);
    return thread_count;
  }

  [[nodiscard]] int thread_count() const override {
    return kernels::ThreadCount({.executor = executor_, .stop = nullptr});
  }

  [[nodiscard]] int most_threads() const { return most_threads_; }

 private:
  kernels::Executor* const executor_;
  int most_threads_ = 1;
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_COUNTING_EXECUTOR_H_
