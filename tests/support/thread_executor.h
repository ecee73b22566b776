// An executor with threads of its own, for tests.

#ifndef ATTENTION_TESTS_SUPPORT_THREAD_EXECUTOR_H_
#define ATTENTION_TESTS_SUPPORT_THREAD_EXECUTOR_H_

#include <atomic>
#include <thread>
#include <vector>

#include "kernels/execution.h"

namespace attention::test {

// Starts the other threads anew for each run, so that nothing is left between runs.
class ThreadExecutor final : public kernels::Executor {
 public:
  explicit ThreadExecutor(int thread_count) : thread_count_(thread_count) {}

  int Run(int64_t item_count, absl::FunctionRef<void(int64_t)> work) override {
    std::atomic<int64_t> next_item = 0;
    const auto take_items = [&] {
      for (int64_t item; (item = next_item.fetch_add(1)) < item_count;) work(item);
    };
    {
      std::vector<std::jthread> others;
      for (int i = 1; i < thread_count_; ++i) others.emplace_back(take_items);
      take_items();
    }
    return thread_count_;
  }

  int thread_count() const override { return thread_count_; }

 private:
  const int thread_count_;
};

// Asks for a stop from the `ask_count`-th question on.
class StopAfter final : public kernels::StopSignal {
 public:
  explicit StopAfter(int64_t ask_count) : asks_left_(ask_count) {}
  bool StopRequested() const override { return asks_left_.fetch_sub(1) <= 1; }

 private:
  mutable std::atomic<int64_t> asks_left_;
};

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SUPPORT_THREAD_EXECUTOR_H_
